"""Each kind of fault happens at its target, and as often as it was set to."""

import json
import time

import httpx
import pytest

from tests.sandbox.receiver import Receiver
from tests.support.api_client import ApiClient
from tests.support.clock import eventually

SECRET = {"Authorization": "Bearer sk_test_sandbox"}


async def arm(raw: httpx.AsyncClient, kind: str, **fault: object) -> None:
    (await raw.post("/_sandbox/faults", json={"kind": kind, **fault})).raise_for_status()


async def test_a_status_fault_hits_its_route_as_often_as_asked(raw: httpx.AsyncClient) -> None:
    target = {"method": "GET", "path": "/orders"}
    await arm(raw, "status", target=target, status=502, times=2)
    statuses = [(await raw.get("/orders", headers=SECRET)).status_code for _ in range(3)]
    assert statuses == [502, 502, 200]


@pytest.mark.parametrize("path", ["/files/abc", "/files/{id}", "/files/*", "/fi*"])
async def test_a_path_is_meant_exactly_by_template_or_by_prefix(raw: httpx.AsyncClient, path: str) -> None:
    await arm(raw, "status", target={"path": path})
    assert (await raw.get("/files/abc", headers=SECRET)).status_code == 503
    assert (await raw.get("/orders", headers=SECRET)).status_code == 200


async def test_of_several_faults_each_has_its_turn(raw: httpx.AsyncClient) -> None:
    await arm(raw, "status", status=500, times=1)
    await arm(raw, "garbage", times=1)
    statuses = [(await raw.get("/orders/1", headers=SECRET)).status_code for _ in range(3)]
    assert statuses == [500, 200, 404]


async def test_an_answer_can_be_lost_although_the_work_was_done(raw: httpx.AsyncClient) -> None:
    await arm(raw, "reset", afterwards=True, times=1)
    with pytest.raises(httpx.TransportError):
        await raw.post("/customers", json={"id": "ada"}, headers=SECRET)
    assert (await raw.get("/customers/ada", headers=SECRET)).status_code == 200


async def test_throttling_says_when_to_come_back(raw: httpx.AsyncClient) -> None:
    await arm(raw, "throttle", retryAfter=7)
    response = await raw.get("/orders", headers=SECRET)
    assert (response.status_code, response.headers["Retry-After"]) == (429, "7")


async def test_a_reset_breaks_the_connection(raw: httpx.AsyncClient) -> None:
    await arm(raw, "reset", times=1)
    with pytest.raises(httpx.ReadError) as caught:
        await raw.get("/orders", headers=SECRET)
    error: BaseException | None = caught.value
    while error is not None and not isinstance(error, ConnectionResetError):
        error = error.__cause__ or error.__context__
    assert isinstance(error, ConnectionResetError)
    assert (await raw.get("/orders", headers=SECRET)).status_code == 200


async def test_garbage_and_empty_answers_have_status_200(raw: httpx.AsyncClient) -> None:
    await arm(raw, "garbage", times=1)
    garbage = await raw.get("/orders", headers=SECRET)
    with pytest.raises(json.JSONDecodeError):
        garbage.json()
    await arm(raw, "empty", times=1)
    empty = await raw.get("/orders", headers=SECRET)
    assert (garbage.status_code, empty.status_code, empty.content) == (200, 200, b"")


async def test_a_delay_makes_the_call_wait(raw: httpx.AsyncClient) -> None:
    await arm(raw, "delay", seconds=0.2, times=1)
    before = time.monotonic()
    assert (await raw.get("/orders", headers=SECRET)).status_code == 200
    assert time.monotonic() - before >= 0.2


async def test_a_hidden_resource_appears_when_its_time_has_come(api: ApiClient) -> None:
    order = await api.order()
    path = f"/orders/{order['id']}"
    await api.post("/_sandbox/faults", {"kind": "hide", "target": {"path": path}, "seconds": 60})
    assert (await api.client.get(path)).status_code == 404
    await api.post("/_sandbox/clock", {"advanceSeconds": 61})
    assert (await api.client.get(path)).status_code == 200


async def test_single_members_can_be_hidden_until_a_moment(api: ApiClient) -> None:
    order = await api.complete()
    fault = {"kind": "hide", "fields": ["invoicePDFs"], "until": "2099-01-01T00:00:00Z"}
    await api.client.put("/_sandbox/faults", json={"faults": [fault]})
    assert "invoicePDFs" not in await api.get(f"/orders/{order['id']}")
    assert "invoicePDFs" not in (await api.get("/orders"))["data"][0]
    await api.post("/_sandbox/clock", {"now": "2099-01-02T00:00:00Z"})
    assert "invoicePDFs" in await api.get(f"/orders/{order['id']}")


async def test_faults_are_listed_replaced_and_cleared(api: ApiClient) -> None:
    await api.post("/_sandbox/faults", {"kind": "status", "times": 2})
    await api.client.put("/_sandbox/faults", json={"faults": [{"kind": "empty"}]})
    assert [fault["kind"] for fault in (await api.get("/_sandbox/faults"))["faults"]] == ["empty"]
    await api.client.delete("/_sandbox/faults")
    assert (await api.get("/_sandbox/faults"))["faults"] == []


async def test_a_fault_that_cannot_happen_to_its_target_is_refused(raw: httpx.AsyncClient) -> None:
    fault = {"kind": "garbage", "target": {"eventType": "order.complete"}}
    assert (await raw.post("/_sandbox/faults", json=fault)).status_code == 422


async def delivered(receiver: Receiver, count: int) -> list[str]:
    async def find() -> list[str] | None:
        found = [json.loads(request.body)["id"] for request in receiver.requests]
        return found if len(found) >= count else None

    found = await eventually(find)
    assert found is not None
    return found


async def test_a_duplicated_event_arrives_more_than_once(api: ApiClient, receiver: Receiver) -> None:
    await api.webhook(receiver.url)
    target = {"eventType": "order.complete"}
    await api.post("/_sandbox/faults", {"kind": "duplicate", "copies": 2, "target": target, "times": 1})
    first = (await api.event())["id"]
    assert await delivered(receiver, 3) == [first] * 3
    second = (await api.event())["id"]
    assert await delivered(receiver, 4) == [first] * 3 + [second]


async def test_a_reordered_event_arrives_after_the_next(api: ApiClient, receiver: Receiver) -> None:
    await api.webhook(receiver.url)
    target = {"eventType": "order.*"}
    fault = {"kind": "reorder", "target": target, "seconds": 5, "times": 1}
    await api.post("/_sandbox/faults", fault)
    first, second = (await api.event())["id"], (await api.event())["id"]
    assert await delivered(receiver, 2) == [second, first]


async def test_a_reordered_event_arrives_although_nothing_follows(api: ApiClient, receiver: Receiver) -> None:
    await api.webhook(receiver.url)
    fault = {"kind": "reorder", "target": {"eventType": "*"}, "seconds": 0.1}
    await api.post("/_sandbox/faults", fault)
    event = await api.event()
    assert await delivered(receiver, 1) == [event["id"]]


async def test_a_dropped_event_is_listed_and_never_delivered(api: ApiClient, receiver: Receiver) -> None:
    await api.webhook(receiver.url)
    target = {"eventType": "order.complete"}
    await api.post("/_sandbox/faults", {"kind": "drop", "target": target, "times": 1})
    await api.event("order.accepted")
    lost, kept = await api.event(), await api.event()
    assert await delivered(receiver, 1) == [kept["id"]]
    assert (await api.get(f"/events/{lost['id']}"))["id"] == lost["id"]


async def test_a_delayed_event_arrives_later(api: ApiClient, receiver: Receiver) -> None:
    await api.webhook(receiver.url)
    fault = {"kind": "delay", "seconds": 0.2, "target": {"eventType": "order.complete"}}
    await api.post("/_sandbox/faults", fault)
    before = time.monotonic()
    await api.event()
    await delivered(receiver, 1)
    assert receiver.requests[0].at - before >= 0.2
