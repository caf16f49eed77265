"""The OpenAPI document declares every error and header of an answer."""

import asyncio
from typing import Any

import httpx
import pytest

PROBLEM = {"$ref": "#/components/schemas/ProblemDocument"}


@pytest.fixture
async def document(http: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await http.get("/openapi.json")).json()
    return found


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }


async def test_every_error_is_a_problem_document(document: dict[str, Any]) -> None:
    errors = [
        response
        for operation in operations(document).values()
        for status, response in operation["responses"].items()
        if status >= "400"
    ]
    assert errors
    for response in errors:
        assert list(response["content"]) == ["application/problem+json"]
        assert response["content"]["application/problem+json"]["schema"] == PROBLEM
        assert response["description"]


async def test_the_problem_schema_replaces_fastapis(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert "HTTPValidationError" not in schemas
    assert "ValidationError" not in schemas
    assert set(schemas["ProblemDocument"]["properties"]) == {
        "type",
        "title",
        "status",
        "detail",
        "hint",
        "instance",
        "requestId",
        "errors",
    }
    assert "FieldError" in schemas


async def test_errors_of_every_route_are_declared_on_every_route(document: dict[str, Any]) -> None:
    found = operations(document)
    for name, operation in found.items():
        if "/v1/" in name:
            assert {"422", "500", "503"} <= set(operation["responses"]), name
    assert {"400", "408", "413", "415"} <= set(found["POST /v1/invoices"]["responses"])
    assert not {"400", "408", "413", "415"} & set(found["GET /v1/orders"]["responses"])
    assert {"404", "422"} <= set(found["GET /v1/orders/{orderId}"]["responses"])
    assert {"412", "428"} <= set(found["PATCH /v1/profile"]["responses"])


async def test_headers_are_declared_where_they_are_sent(document: dict[str, Any]) -> None:
    found = operations(document)
    for operation in found.values():
        for response in operation["responses"].values():
            assert response["headers"]["X-Request-ID"] == {"$ref": "#/components/headers/RequestId"}
    show = found["GET /v1/profile"]
    assert "ETag" in show["responses"]["200"]["headers"]
    assert "ETag" in show["responses"]["304"]["headers"]
    assert [parameter["name"] for parameter in show["parameters"]] == ["If-None-Match"]
    assert "Retry-After" in show["responses"]["503"]["headers"]
    assert "ETag" not in found["GET /v1/orders"]["responses"]["200"]["headers"]


async def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    waiting: list[Any] = [document]
    count = 0
    while waiting:
        part = waiting.pop()
        waiting += part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
        if isinstance(part, dict) and isinstance(part.get("$ref"), str):
            count += 1
            here: Any = document
            for step in part["$ref"].removeprefix("#/").split("/"):
                here = here[step]
    assert count > 20


async def test_docstrings_of_fields_are_published(document: dict[str, Any]) -> None:
    page = document["components"]["schemas"]["Page_str_"]
    assert "next page" in page["properties"]["nextCursor"]["description"]


async def test_other_requests_are_served_while_the_document_is_made(http: httpx.AsyncClient) -> None:
    making = asyncio.create_task(http.get("/openapi.json"))
    await asyncio.sleep(0)  # it starts
    other = await http.get("/not-a-path")
    assert (other.status_code, making.done()) == (404, False)
    made = await making
    again = await http.get("/openapi.json")
    assert (again.content, again.headers.keys()) == (made.content, made.headers.keys())
    assert len(again.headers.raw) == len(made.headers.raw)
