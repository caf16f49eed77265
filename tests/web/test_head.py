"""HEAD works wherever GET does, with the same status and headers and without a body."""

import httpx
import pytest
from structlog.testing import capture_logs

from app.web.openapi import document
from tests.web.small_app import RouteState, build, settings

PATHS = (
    "/v1/orders",
    "/v1/orders?limit=x",
    "/v1/orders/204440790336",
    "/v1/profile",
    "/v1/raise",
    "/nowhere",
    "/openapi.json",
    "/docs",
    "/docs/assets/swagger-ui.css",
)


def status_and_headers(response: httpx.Response) -> tuple[int, dict[str, str]]:
    return response.status_code, {n: v for n, v in response.headers.items() if n != "x-request-id"}


@pytest.mark.parametrize("path", PATHS)
async def test_head_answers_like_get_without_the_content(http: httpx.AsyncClient, path: str) -> None:
    named = {"X-Request-ID": "the-same-one"}
    whole, head = await http.get(path, headers=named), await http.head(path, headers=named)
    assert status_and_headers(head) == status_and_headers(whole)
    assert (head.content, bool(whole.content)) == (b"", True)
    assert head.headers["x-request-id"] == "the-same-one"


async def test_a_version_that_is_known_already_is_304_for_both(http: httpx.AsyncClient) -> None:
    known = {"If-None-Match": (await http.head("/v1/profile")).headers["etag"]}
    answers = [await http.request(method, "/v1/profile", headers=known) for method in ("GET", "HEAD")]
    assert [answer.status_code for answer in answers] == [304, 304]


async def test_where_get_is_not_offered_head_is_not_either(http: httpx.AsyncClient) -> None:
    response = await http.head("/v1/invoices")
    assert (response.status_code, response.headers["allow"], response.content) == (405, "POST", b"")


async def test_the_log_names_the_method_of_the_request(http: httpx.AsyncClient) -> None:
    with capture_logs() as lines:
        await http.head("/v1/orders")
    assert [(line["method"], line["route"]) for line in lines] == [("HEAD", "/v1/orders")]


def test_the_document_does_not_list_each_reading_twice() -> None:
    described = document(build(RouteState(), settings()))
    assert not [path for path, item in described["paths"].items() if "head" in item]
