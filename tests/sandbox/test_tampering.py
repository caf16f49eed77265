"""Tampering faults change the answers at their target as documented, and no stored data."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from sandbox.faults.json_tampering import TAMPERING_VARIANTS
from tests.sandbox.receiver import Receiver
from tests.support.api_client import ApiClient, Json
from tests.support.clock import eventually

# Tampering is for tests/faults and tests/chaos, most of which are proofs.
pytestmark = pytest.mark.proof

AsyncCall = Callable[..., Awaitable[Any]]


@pytest.fixture
def read(raw: httpx.AsyncClient) -> AsyncCall:
    """Reads with the merchant's key; the official document does not check the answers."""

    async def get(path: str, **params: Any) -> Any:
        headers = {"Authorization": "Bearer sk_test_sandbox"}
        return (await raw.get(path, params=params or None, headers=headers)).raise_for_status().json()

    return get


@pytest.fixture
def arm_fault(raw: httpx.AsyncClient) -> AsyncCall:
    """Sets one fault in place of all before."""

    async def arm(kind: str, path: str | None = None, **more: Any) -> None:
        target = {"target": {"path": path}} if path else {}
        wish = {"faults": [{"kind": kind, **target, **more}]}
        (await raw.put("/_sandbox/faults", json=wish)).raise_for_status()

    return arm


async def file_ids(api: ApiClient) -> tuple[str, str]:
    """An invoice of Ada and one of Grace, each with a link."""
    found = []
    for buyer in ("ada", "grace"):
        order = await api.complete(customerId=buyer)
        found.append(order["invoicePDFs"][0]["id"])
        await api.post("/file-links", {"fileId": found[-1], "expiresTime": "2099-01-01T00:00:00Z"})
    return found[0], found[1]


async def test_the_catalogue_names_every_variant_that_a_fault_may_have(raw: httpx.AsyncClient) -> None:
    kinds = (await raw.get("/_sandbox/lies")).json()["lies"]
    assert set(kinds) == set(TAMPERING_VARIANTS)
    for kind, variants in kinds.items():
        for variant in (None, *variants):
            fault = {"kind": kind, "variant": variant}
            assert (await raw.post("/_sandbox/faults", json=fault)).status_code == 201


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "hostile", "variant": "open"},
        {"kind": "status", "variant": "open"},
        {"kind": "endless", "target": {"eventType": "order.complete"}},
        {"kind": "unfiltered", "target": {"eventType": "order.complete"}},
    ],
)
async def test_an_impossible_fault_is_refused(raw: httpx.AsyncClient, fault: Json) -> None:
    assert (await raw.post("/_sandbox/faults", json=fault)).status_code == 422


async def test_an_unfiltered_list_forgets_what_it_was_asked_for(
    api: ApiClient, read: AsyncCall, arm_fault: AsyncCall
) -> None:
    mine, other = await file_ids(api)
    await arm_fault("unfiltered", "/file-links", times=1)
    links = (await read("/file-links", fileId=mine, expired="false"))["data"]
    assert {link["fileId"] for link in links} == {mine, other}
    assert len((await read("/file-links", fileId=mine))["data"]) == 1


async def test_another_resource_answers_for_the_requested_one(
    api: ApiClient, read: AsyncCall, arm_fault: AsyncCall
) -> None:
    mine, other = await api.complete(customerId="ada"), await api.complete(customerId="grace")
    path = f"/orders/{mine['id']}"
    await arm_fault("stranger", "/orders/{id}", variant="open")
    assert (await read(path))["id"] == other["id"]
    await arm_fault("stranger", "/orders/{id}", variant="renamed")
    renamed = await read(path)
    assert (renamed["id"], renamed["customerId"]) == (mine["id"], "grace")
    await arm_fault("stranger", "/orders/{id}", variant="nested")
    nested = await read(path)
    assert (nested["id"], nested["customerId"]) == (mine["id"], "ada")
    assert nested["invoicePDFs"] == other["invoicePDFs"]
    assert nested["items"] == other["items"]
    await arm_fault("stranger", "/orders/{id}", variant="nested", fields=["invoicePDFs"])
    nested = await read(path)
    assert (nested["invoicePDFs"], nested["items"]) == (other["invoicePDFs"], mine["items"])


async def test_a_foreign_resource_appears_in_a_list(
    api: ApiClient, read: AsyncCall, arm_fault: AsyncCall
) -> None:
    mine, other = await file_ids(api)
    await arm_fault("stranger", "/file-links", variant="open")
    assert [link["fileId"] for link in (await read("/file-links", fileId=mine))["data"]] == [other, mine]


async def test_a_new_link_may_be_that_of_another_file(
    api: ApiClient, raw: httpx.AsyncClient, arm_fault: AsyncCall
) -> None:
    mine, other = await file_ids(api)
    await arm_fault("stranger", "/file-links", variant="open")
    body = {"fileId": mine, "expiresTime": "2099-01-01T00:00:00Z"}
    answer = await raw.post("/file-links", json=body, headers={"Authorization": "Bearer sk_test_sandbox"})
    assert (answer.status_code, answer.json()["fileId"]) == (201, other)


async def test_the_tracking_of_another_order_can_answer(
    api: ApiClient, read: AsyncCall, arm_fault: AsyncCall
) -> None:
    mine, other = await api.order(customerId="ada"), await api.order(customerId="grace")
    for order in (mine, other):
        await api.post(f"/_sandbox/orders/{order['id']}/shipments")
    await arm_fault("stranger", "/orders/{id}/tracking", variant="open")
    assert (await read(f"/orders/{mine['id']}/tracking"))["orderId"] == other["id"]


async def test_an_id_can_be_that_of_something_else(
    api: ApiClient, read: AsyncCall, arm_fault: AsyncCall
) -> None:
    mine, other = await api.order(customerId="ada"), await api.order(customerId="grace")
    await arm_fault("misnamed", "/orders/{id}", fields=["customerId"])
    assert (await read(f"/orders/{mine['id']}"))["customerId"] == "grace"
    await arm_fault("misnamed", "/orders/{id}", fields=["id"])
    assert (await read(f"/orders/{mine['id']}"))["id"] == other["id"]


async def test_hostile_text_is_in_what_people_read_and_in_ids_when_asked(
    api: ApiClient, read: AsyncCall, arm_fault: AsyncCall
) -> None:
    order = await api.complete(customerId="ada", metadata={"gift": "yes"})
    file_id = order["invoicePDFs"][0]["id"]
    await arm_fault("hostile", variant="nul")
    shown = await read(f"/orders/{order['id']}")
    assert shown["items"][0]["productDetails"]["name"] == "Desk lamp\x00"
    assert (shown["id"], shown["state"], shown["metadata"]) == (
        order["id"],
        "complete",
        {"gift": "yes\x00", "\x00": "\x00"},
    )
    await arm_fault("hostile", variant="surrogate", fields=["id"])
    file = await read(f"/files/{file_id}")
    assert file["id"] == f"{file_id}cut \ud83d"


async def test_numbers_are_texts_and_ids_are_numbers(
    api: ApiClient, read: AsyncCall, arm_fault: AsyncCall
) -> None:
    order = await api.order()
    await arm_fault("odd", variant="textNumbers")
    shown = await read(f"/orders/{order['id']}")
    assert (shown["totalAmount"], shown["liveMode"]) == ("44.0", False)
    await arm_fault("odd", variant="numericIds")
    assert (await read(f"/orders/{order['id']}"))["id"] == int(order["id"])


async def test_the_same_seed_changes_the_same_member(
    api: ApiClient, read: AsyncCall, arm_fault: AsyncCall
) -> None:
    order = await api.order()
    answers = set()
    for seed in (1, 2, 3, 4):
        await arm_fault("odd", variant="list", seed=seed)
        first, again = [await read(f"/orders/{order['id']}") for _ in range(2)]
        assert first == again != order
        answers.add(json.dumps(first))
    assert len(answers) > 1


async def test_a_list_may_never_end(api: ApiClient, read: AsyncCall, arm_fault: AsyncCall) -> None:
    orders = [(await api.order())["id"] for _ in range(3)][::-1]

    async def page(after: str | None = None) -> tuple[list[str], bool]:
        answer = await read("/orders", limit=2, **({"startingAfter": after} if after else {}))
        return [order["id"] for order in answer["data"]], answer["hasMore"]

    await arm_fault("endless", variant="same")
    assert await page() == await page(orders[1]) == (orders[:2], True)
    await arm_fault("endless", variant="empty")
    assert await page() == ([], True)
    await arm_fault("endless", variant="cycle")
    assert [await page(orders[1]), await page(orders[2])] == [(orders[2:], True), (orders[:2], True)]


async def test_every_timestamp_can_be_changed(api: ApiClient, read: AsyncCall, arm_fault: AsyncCall) -> None:
    order = await api.order()
    await arm_fault("untimely", variant="yearOne")
    shown = await read(f"/orders/{order['id']}")
    assert {shown["createdTime"], shown["stateTransitions"]["accepted"]} == {"0001-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("variant", "expected"),
    [("javascript", "javascript:"), ("foreign", "https://evil."), ("relative", "/links/"), ("empty", "")],
)
async def test_a_link_can_lead_anywhere(
    api: ApiClient, read: AsyncCall, arm_fault: AsyncCall, variant: str, expected: str
) -> None:
    mine, _ = await file_ids(api)
    await arm_fault("misleading", variant=variant)
    (link,) = (await read("/file-links", fileId=mine))["data"]
    assert link["url"].startswith(expected)
    assert bool(link["url"]) == bool(expected)


async def test_a_link_can_be_dead_on_arrival(
    api: ApiClient, raw: httpx.AsyncClient, read: AsyncCall, arm_fault: AsyncCall
) -> None:
    mine, _ = await file_ids(api)
    now = (await raw.get("/_sandbox/clock")).json()["now"]
    await arm_fault("misleading", variant="expired")
    (link,) = (await read("/file-links", fileId=mine))["data"]
    assert (link["expired"], link["expiresTime"] < now) == (False, True)
    await arm_fault("misleading", variant="gone")
    (link,) = (await read("/file-links", fileId=mine))["data"]
    assert (await raw.get(link["url"])).status_code == 404


async def delivered(receiver: Receiver) -> Json:
    async def find() -> list[Json]:
        return [json.loads(request.body) for request in receiver.requests]

    found: Json = (await eventually(find))[-1]
    return found


async def test_a_delivered_event_is_changed_and_the_listed_one_is_not(
    api: ApiClient, receiver: Receiver
) -> None:
    await api.webhook(receiver.url)
    target = {"eventType": "order.complete"}
    await api.post("/_sandbox/faults", {"kind": "hostile", "variant": "surrogate", "target": target})
    event = await api.event(object={"id": "1", "name": "Ada"})
    assert (await delivered(receiver))["data"]["object"]["name"] == "Adacut \ud83d"
    assert (await api.get(f"/events/{event['id']}"))["data"]["object"] == {"id": "1", "name": "Ada"}


async def test_an_event_can_name_another_buyers_document(api: ApiClient, receiver: Receiver) -> None:
    await api.complete(customerId="grace")
    await api.webhook(receiver.url)
    target = {"eventType": "order.invoice.created"}
    await api.post("/_sandbox/faults", {"kind": "misnamed", "fields": ["customerId"], "target": target})
    await api.complete(customerId="ada")

    async def find() -> list[Json]:
        requests = [json.loads(request.body) for request in receiver.requests]
        return [request for request in requests if request["type"] == "order.invoice.created"]

    (answers,) = await eventually(find)
    assert answers["data"]["object"]["customerId"] == "grace"
