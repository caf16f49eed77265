"""Every request has an id, a log line, safe headers and a bounded body."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from starlette.types import Message
from structlog.contextvars import get_contextvars
from structlog.testing import capture_logs

from app.digital_river.client.request import CALLER, Caller
from app.web import setup
from app.web.middleware import ErrorBoundary, JsonBodyLimit
from tests.web.small_app import RouteState, build, settings
from tests.web.test_problems import problem

MIB = 1024 * 1024
JSON = {"content-type": "application/json"}


async def test_an_acceptable_request_id_is_kept(http: httpx.AsyncClient) -> None:
    response = await http.get("/v1/orders", headers={"x-request-id": "shop-1.a_b"})
    assert response.headers.get_list("x-request-id") == ["shop-1.a_b"]


@pytest.mark.parametrize("given", ["", "a b", "a" * 129, "<script>", 'x"y', "é"])
async def test_any_other_is_replaced_by_a_new_one(http: httpx.AsyncClient, given: str) -> None:
    ids = {
        (await http.get("/v1/orders", headers={b"x-request-id": given.encode()})).headers["x-request-id"]
        for _ in range(2)
    }
    assert len(ids) == 2
    assert given not in ids


@pytest.mark.parametrize(
    "given", ["4917610000000000", "4917-6100-0000-0000", "sk_live_abc", "a.whs_abc", "eyJh.eyJ"]
)
async def test_a_card_number_or_a_secret_is_no_request_id(http: httpx.AsyncClient, given: str) -> None:
    response = await http.get("/v1/orders", headers={"x-request-id": given})
    assert given not in response.headers["x-request-id"]


@pytest.mark.parametrize("given", ["204440790336", "20260131-093000", "0f8fad5b-d9cb-469f-a165-70867728950e"])
async def test_numbers_and_identifiers_are_valid_request_ids(http: httpx.AsyncClient, given: str) -> None:
    response = await http.get("/v1/orders", headers={"x-request-id": given})
    assert response.headers["x-request-id"] == given


async def test_the_request_id_reaches_logs_and_digital_river_and_ends_with_the_request() -> None:
    app = FastAPI()
    seen: dict[str, Any] = {}

    @app.get("/see")
    async def see() -> None:
        seen.update(get_contextvars(), caller=CALLER.get())

    setup.install(app, settings())
    transport = httpx.ASGITransport(app, client=("203.0.113.7", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://portal.test") as client:
        await client.get("/see", headers={"x-request-id": "abc"})
    assert seen == {"request_id": "abc", "caller": Caller("abc", "203.0.113.7")}
    assert get_contextvars() == {}
    assert CALLER.get() is None


async def test_each_request_is_one_log_line_without_ids_and_queries(http: httpx.AsyncClient) -> None:
    with capture_logs() as lines:
        await http.get("/v1/orders/204440790336")
        await http.get("/v1/orders?orderId=204440790336")
        await http.get("/nowhere/204440790336")
    shown = [(line["event"], line["method"], line["route"], line["status"]) for line in lines]
    assert shown == [
        ("request", "GET", "/v1/orders/{orderId}", 200),
        ("request", "GET", "/v1/orders", 200),
        ("request", "GET", None, 404),
    ]
    assert all(line["ms"] >= 0 for line in lines)
    assert "204440790336" not in repr(lines)


async def test_answers_may_neither_be_framed_nor_sniffed_nor_kept(http: httpx.AsyncClient) -> None:
    headers = (await http.get("/v1/orders")).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-site"
    assert headers["cache-control"] == "private, no-store"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "strict-transport-security" not in headers


async def test_the_documentation_loads_its_scripts_from_here_and_nothing_else_may(
    http: httpx.AsyncClient,
) -> None:
    page = await http.get("/docs")
    assert page.status_code == 200
    assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(assets) >= 2, "a script and its style sheet at least"
    for asset in assets:
        assert asset.startswith("/docs/assets/")
        assert (await http.get(asset)).status_code == 200
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "script-src" not in (await http.get("/openapi.json")).headers["content-security-policy"]


async def test_production_insists_on_https() -> None:
    production = settings(
        environment="production",
        database_url="postgresql://db.test/portal?sslmode=require",
        digital_river_public_key="pk_test_web",
        live_mode=False,
        oidc_issuer="https://issuer.test",
        public_url="https://portal.test",
    )
    transport = httpx.ASGITransport(build(RouteState(), production))
    async with httpx.AsyncClient(transport=transport, base_url="https://portal.test") as client:
        response = await client.get("/v1/orders")
    assert response.headers["strict-transport-security"].startswith("max-age=")


async def test_a_known_origin_may_read_the_answer_and_its_headers(
    http: httpx.AsyncClient, route_state: RouteState
) -> None:
    route_state.error = RuntimeError()
    for path in ("/v1/orders", "/v1/raise", "/nowhere"):
        headers = (await http.get(path, headers={"origin": "https://shop.test"})).headers
        assert headers["access-control-allow-origin"] == "https://shop.test"
        assert "X-Request-ID" in headers["access-control-expose-headers"]
    too_long = await http.post(
        "/v1/profile", content=b" " * (MIB + 1), headers=JSON | {"origin": "https://shop.test"}
    )
    assert (too_long.status_code, too_long.headers["access-control-allow-origin"]) == (
        413,
        "https://shop.test",
    )


async def test_an_unknown_origin_may_not(http: httpx.AsyncClient) -> None:
    headers = (await http.get("/v1/orders", headers={"origin": "https://evil.test"})).headers
    assert "access-control-allow-origin" not in headers


async def test_a_preflight_is_answered_with_the_headers_that_clients_need(http: httpx.AsyncClient) -> None:
    asked = {
        "origin": "https://shop.test",
        "access-control-request-method": "PATCH",
        "access-control-request-headers": "authorization, if-match, idempotency-key",
    }
    response = await http.options("/v1/profile", headers=asked)
    assert response.status_code == 200
    assert "PATCH" in response.headers["access-control-allow-methods"]
    assert response.headers["x-request-id"]


@pytest.mark.parametrize("name", ["traceparent", "tracestate", "x-shop-version"])
async def test_a_page_may_send_what_measures_it_and_what_is_configured(name: str) -> None:
    chosen = settings(cors_origins=("https://shop.test",), cors_headers=("X-Shop-Version",))
    transport = httpx.ASGITransport(build(RouteState(), chosen))
    asked = {
        "origin": "https://shop.test",
        "access-control-request-method": "HEAD",
        "access-control-request-headers": f"authorization, {name}",
    }
    async with httpx.AsyncClient(transport=transport, base_url="https://portal.test") as client:
        response = await client.options("/v1/profile", headers=asked)
        assert (response.status_code, "HEAD" in response.headers["access-control-allow-methods"]) == (
            200,
            True,
        )
        asked["access-control-request-headers"] = "x-other"
        assert (await client.options("/v1/profile", headers=asked)).status_code == 400


async def test_a_page_may_read_what_a_download_is_called(http: httpx.AsyncClient) -> None:
    headers = (await http.get("/v1/orders", headers={"origin": "https://shop.test"})).headers
    shown = headers["access-control-expose-headers"].split(", ")
    assert {"Content-Disposition", "ETag", "Location", "Retry-After", "WWW-Authenticate"} <= set(shown)


async def chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 65_536 + 1):
        yield b" " * 65_536


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_the_limit_is_refused_announced_or_not(
    http: httpx.AsyncClient, *, chunked: bool
) -> None:
    content: bytes | AsyncIterator[bytes] = chunks(MIB) if chunked else b" " * (MIB + 1)
    response = await http.post("/v1/profile", content=content, headers=JSON)
    assert response.status_code == 413
    problem(response)


async def test_a_body_of_exactly_the_limit_is_read(http: httpx.AsyncClient) -> None:
    content = b'{"fullName": "Ada"}'.ljust(MIB)
    assert (await http.post("/v1/profile", content=content, headers=JSON)).status_code == 200


@pytest.mark.parametrize("length", ["-1", "1e3", "0x10", "²", "9" * 5000])
async def test_an_impossible_length_is_refused(http: httpx.AsyncClient, length: str) -> None:
    response = await http.post(
        "/v1/profile",
        content=b"{}",
        headers={b"content-type": b"application/json", b"content-length": length.encode()},
    )
    assert response.status_code == (413 if length.startswith("9") else 400)


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip"])
async def test_a_compressed_body_is_refused(http: httpx.AsyncClient, encoding: str) -> None:
    response = await http.post("/v1/profile", content=b"{}", headers=JSON | {"content-encoding": encoding})
    assert response.status_code == 415
    problem(response)


async def test_routes_that_read_their_own_body_are_left_alone(http: httpx.AsyncClient) -> None:
    response = await http.post("/webhooks/raw", content=b"\0" * (MIB + 1))
    assert (response.status_code, response.json()) == (200, MIB + 1)


async def exchange(app: Any, messages: list[Message], *, silent: bool) -> tuple[int, dict[str, Any]]:
    """Speak ASGI directly: after its messages this client falls silent or goes away."""
    sent: list[Message] = []

    async def receive() -> Message:
        if messages:
            return messages.pop(0)
        if silent:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "headers": [(b"transfer-encoding", b"chunked"), (b"content-type", b"application/json")],
    }
    await app(scope, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"])


@pytest.mark.parametrize(("silent", "status"), [(True, 408), (False, 400)])
async def test_a_body_that_stays_incomplete_does_not_hold_the_service(*, silent: bool, status: int) -> None:
    async def unreachable(*_: object) -> None:
        raise AssertionError("the app must not see half a body")

    bodies = JsonBodyLimit(unreachable, limit=100, seconds=0.05, is_exempt=lambda _: False)
    half: Message = {"type": "http.request", "body": b'{"full', "more_body": True}
    answered, document = await exchange(ErrorBoundary(bodies), [half], silent=silent)
    assert (answered, document["status"]) == (status, status)


async def test_the_app_learns_after_the_body_that_the_client_disconnected() -> None:
    heard: list[Message] = []

    async def listening(scope: Any, receive: Any, _send: Any) -> None:
        heard.append({"type": "body", "body": await Request(scope, receive).body()})
        heard.append(await receive())

    bodies = JsonBodyLimit(listening, limit=100, seconds=1, is_exempt=lambda _: False)
    parts: list[Message] = [
        {"type": "http.request", "body": b"{", "more_body": True},
        {"type": "http.request", "body": b"}", "more_body": False},
        {"type": "http.disconnect"},
    ]
    scope = {"type": "http", "path": "/", "headers": [(b"content-length", b"2")], "method": "POST"}

    async def receive() -> Message:
        return parts.pop(0)

    async def send(_: Message) -> None:
        raise AssertionError("nothing to answer")

    await bodies(scope, receive, send)
    assert heard == [{"type": "body", "body": b"{}"}, {"type": "http.disconnect"}]
