"""Rules for every call: the key, the rate limit, and the form of the answer."""

import httpx
import pytest

from sandbox.api.routes import ROUTES
from tests.sandbox.official import OfficialDocument
from tests.support.api_client import ApiClient
from tests.support.sandbox import running_sandbox

SECRET = {"Authorization": "Bearer sk_test_sandbox"}
# Public links have no place in the API, so the official document does not know them.
OURS = {("GET", "/links/{id}")}


def test_every_route_is_one_the_official_document_describes(official: OfficialDocument) -> None:
    routes = {(method, route.path) for route in ROUTES for method in (route.methods or set()) - {"HEAD"}}
    assert {route for route in routes if not official.documents(*route)} == OURS


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Bearer", "Token sk_test_sandbox"])
async def test_a_call_without_the_secret_key_is_401_without_code(
    raw: httpx.AsyncClient, header: str | None
) -> None:
    response = await raw.get("/orders", headers={"Authorization": header} if header else {})
    assert response.status_code == 401
    assert response.json() == {
        "type": "unauthorized",
        "errors": [{"message": "An authorization error has occurred."}],
    }


async def test_the_key_may_come_as_the_user_of_basic_authentication(raw: httpx.AsyncClient) -> None:
    assert (await raw.get("/orders", auth=("sk_test_sandbox", ""))).status_code == 200
    assert (await raw.get("/orders", auth=("wrong", ""))).status_code == 401
    garbled = {"Authorization": "Basic ???"}
    assert (await raw.get("/orders", headers=garbled)).status_code == 401


async def test_the_public_key_opens_no_server_resource(raw: httpx.AsyncClient) -> None:
    response = await raw.get("/orders", headers={"Authorization": "Bearer pk_test_sandbox"})
    assert response.status_code == 403
    assert response.json()["type"] == "forbidden"


async def test_every_answer_carries_a_request_id_of_its_own(raw: httpx.AsyncClient) -> None:
    answers = [await raw.get(path, headers=SECRET) for path in ("/orders", "/orders/1", "/nowhere")]
    answers.append(await raw.get("/orders"))
    ids = [answer.headers["x-dr-requestid"] for answer in answers]
    assert len(set(ids)) == 4


async def test_unknown_paths_and_methods_are_refused_in_digital_rivers_shape(raw: httpx.AsyncClient) -> None:
    missing = await raw.get("/nowhere", headers=SECRET)
    assert (missing.status_code, missing.json()["type"]) == (404, "not_found")
    wrong = await raw.put("/orders/1", headers=SECRET)
    assert (wrong.status_code, wrong.json()["type"]) == (405, "method_not_allowed")


async def test_a_version_header_is_accepted_and_recorded_with_the_callers_ids(api: ApiClient) -> None:
    headers = {"DigitalRiver-Version": "2021-12-13", "upstream-id": "u-1", "forwarded": "for=192.0.2.1"}
    await api.client.get("/orders/1?expand=true", headers=headers)
    log = await api.get("/_sandbox/requests")
    call = log["calls"][-1]
    assert (call["method"], call["path"], call["status"]) == ("GET", "/orders/{id}", 404)
    assert {name: call["headers"][name.lower()] for name in headers} == headers
    assert log["counts"] == {"GET /orders/{id}": 1}


async def test_a_test_key_makes_everything_test_mode(api: ApiClient) -> None:
    order = await api.complete()
    assert order["liveMode"] is False
    events = (await api.get("/events", {"limit": 100}))["data"]
    assert {event["liveMode"] for event in events} == {False}


@pytest.mark.proof
async def test_more_calls_than_the_limit_are_blocked_until_retry_after() -> None:
    async with (
        running_sandbox(SANDBOX_RATE_LIMIT="3") as limited,
        httpx.AsyncClient(base_url=limited.url, headers=SECRET) as client,
    ):
        answers = [await client.get("/orders") for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        assert answers[-1].json()["type"] == "too_many_requests"
        assert int(answers[-1].headers["Retry-After"]) >= 1
        assert (await client.get("/_sandbox/clock")).status_code == 200
        calls = (await client.get("/_sandbox/requests")).json()["calls"]
        assert [call["status"] for call in calls] == [200, 200, 200, 429, 429]
