"""Every problem has a detail that a buyer understands."""

import asyncio
import json
from collections.abc import Iterator
from uuid import uuid4

import pytest

from app.web.problems import Problem
from tests.support.declared_answers import unfit
from tests.support.portal import Portal
from tests.support.sandbox import Json, Sandbox


def kinds(parent: type[Problem] = Problem) -> Iterator[type[Problem]]:
    """Every kind of problem that the product has."""
    for child in parent.__subclasses__():
        yield child
        yield from kinds(child)


KINDS = {kind.slug: kind for kind in kinds()}


@pytest.mark.parametrize("slug", sorted(KINDS))
def test_a_problem_without_specific_detail_has_a_general_one(slug: str) -> None:
    assert unfit(KINDS[slug]().document().model_dump(exclude_none=True)) is None


@pytest.mark.parametrize("detail", [None, "", "no sentence", "Send an ETag.", "Limit is `20`.", "Gone"])
def test_what_is_unfit_for_a_buyer_is_noticed(detail: str | None) -> None:
    assert unfit({"type": "urn:portal:problem:conflict", **({} if detail is None else {"detail": detail})})


ME = "/v1/customers/me"
REQUESTS: dict[str, tuple[int, str, str, Json]] = {
    "no JSON": (400, "PUT", ME, {"content": b"{", "headers": {"Content-Type": "application/json"}}),
    "NUL": (400, "PUT", ME, {"json": {"email": "\0"}}),
    "no token": (401, "GET", "/v1/documents", {"headers": {"Authorization": ""}}),
    "a bad token": (401, "GET", "/v1/documents", {"headers": {"Authorization": "Bearer x"}}),
    "no right": (403, "GET", "/ops/status", {}),
    "an unknown path": (404, "GET", "/nothing", {}),
    "an unknown document": (404, "GET", f"/v1/documents/{uuid4()}", {}),
    "a wrong method": (405, "DELETE", "/v1/documents", {}),
    "another version": (412, "PATCH", ME, {"json": {}, "headers": {"If-Match": '"x"'}}),
    "too much": (413, "PUT", ME, {"content": b" " * 2_000_000}),
    "no JSON at all": (415, "PUT", ME, {"content": b"x", "headers": {"Content-Type": "text/plain"}}),
    "packed": (415, "PUT", ME, {"content": b"x", "headers": {"Content-Encoding": "gzip"}}),
    "no form": (415, "POST", f"{ME}/tax-certificates", {"content": b"x"}),
    "a bad number": (422, "GET", "/v1/documents", {"params": {"limit": "x"}}),
    "a bad cursor": (422, "GET", "/v1/documents", {"params": {"cursor": "x"}}),
    "an unknown parameter": (422, "GET", "/v1/documents", {"params": {"colour": "x"}}),
    "a bad key": (422, "POST", f"{ME}/forget", {"headers": {"Idempotency-Key": "a b"}}),
    "no version": (428, "PATCH", ME, {"json": {}}),
    "a long head": (431, "GET", "/v1/documents", {"headers": {"Cookie": "x" * 20_000}}),
}


@pytest.mark.parametrize("case", REQUESTS)
async def test_a_refusal_can_be_shown_to_a_buyer(case: str, portal: Portal, sandbox: Sandbox) -> None:
    status, method, path, sent = REQUESTS[case]
    headers = {**await sandbox.token("ada"), **sent.get("headers", {})}
    answer = await portal.client.request(method, path, **{**sent, "headers": headers})
    assert answer.status_code == status, answer.text
    assert unfit(answer.json()) is None


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"kind": "garbage"}, 502),
        ({"kind": "status", "status": 401}, 502),
        ({"kind": "status", "status": 500}, 503),
        ({"kind": "throttle"}, 503),
        ({"kind": "status", "status": 409}, 409),
        ({"kind": "status", "status": 422}, 422),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
async def test_a_failure_of_digital_river_can_be_shown_to_a_buyer(
    fault: Json, status: int, portal: Portal, sandbox: Sandbox
) -> None:
    token = await sandbox.token("ada")
    await sandbox.fault(**fault, path="/customers/{id}")
    answer = await portal.get(f"{ME}/shipping-address", token)
    assert answer.status_code == status, answer.text
    assert unfit(answer.json()) is None


@pytest.mark.parametrize("sent", [b"GARBAGE\r\n\r\n", b"GET / HTTP/1.1\r\nA: " + b"x" * 40_000])
async def test_a_refusal_by_the_server_itself_can_be_shown_to_a_buyer(sent: bytes, portal: Portal) -> None:
    host, port = portal.client.base_url.host, portal.client.base_url.port
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(sent)
    await writer.drain()
    answer = (await reader.read()).partition(b"\r\n\r\n")[2]
    writer.close()
    assert b'"detail":"' in answer
    assert unfit(json.loads(answer)) is None
