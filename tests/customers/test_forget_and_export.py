"""Being forgotten, and taking everything along."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from app.audit.export import SupportRead
from app.customers.neighbours import Section
from app.ids import CustomerId
from app.main import EXPORT_SECTIONS
from app.ops.pruning import prune_if_free
from app.resources import Resources
from app.web.contract import Contract
from tests.support.buyers import SHIPPING, AccountBuyer
from tests.support.events import invoice_event
from tests.support.portal import Portal, pass_time
from tests.support.sandbox import Json, Sandbox

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


async def nothing(_: Resources, __: CustomerId) -> Sequence[Contract]:
    return []


def only(**sections: Section) -> dict[str, Section]:
    """All sections as the export is published with, empty but for these."""
    return {**dict.fromkeys(EXPORT_SECTIONS, nothing), **sections}


@pytest.fixture
async def state(portal: Portal) -> AsyncIterator[Any]:
    """Where the front door introduces the rooms; as it was before, after the test."""
    assert portal.app is not None
    kept = portal.app.state.export_sections, portal.app.state.erasers
    yield portal.app.state
    portal.app.state.export_sections, portal.app.state.erasers = kept


async def test_being_forgotten_is_recorded_and_says_what_happens_next(
    ada: AccountBuyer, sandbox: Sandbox
) -> None:
    await ada.send("PUT", body={"email": "ada@example.com"})
    answer = await ada.send("POST", "/forget")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["status"] == "recorded"
    assert told["kept"]
    assert told["next"]
    assert (await sandbox.get("/customers/ada"))["requestToBeForgotten"] is True
    assert (await ada.get()).json()["forgetRequested"] is True


async def test_being_forgotten_twice_is_the_same_as_once(ada: AccountBuyer, sandbox: Sandbox) -> None:
    first = await ada.send("POST", "/forget")
    again = await ada.send("POST", "/forget")
    assert again.json() == first.json()
    assert await sandbox.count("POST /customers/{id}") == 1


async def test_what_is_held_here_is_erased_after_the_request_is_recorded(
    ada: AccountBuyer, sandbox: Sandbox, state: Any
) -> None:
    erased: list[str] = []

    async def erase(_: Resources, customer_id: CustomerId) -> None:
        erased.append(customer_id)

    state.erasers = {"Your notes.": erase}
    await ada.get()
    await sandbox.fault("status", status=503, method="POST", path="/customers/{id}", times=1)
    assert (await ada.send("POST", "/forget")).status_code == 503
    assert erased == []
    assert (await ada.send("POST", "/forget")).json()["erased"] == ["Your notes."]
    assert erased == ["ada"]


async def test_what_came_of_the_request_is_on_record_for_ever(
    ada: AccountBuyer, portal: Portal, sandbox: Sandbox, state: Any, database: asyncpg.Connection
) -> None:
    await ada.get()
    await sandbox.fault("status", status=503, method="POST", path="/customers/{id}", times=1)
    assert (await ada.send("POST", "/forget")).status_code == 503
    answer = await ada.send("POST", "/forget", headers={"X-Request-ID": "forget-1"})
    assert answer.status_code == 200
    state.erasers = {"Your notes.": _fails}
    assert (await ada.send("POST", "/forget")).status_code == 503
    # Everything that may be pruned is.
    await pass_time(database, sandbox, 400 * 86_400)
    assert portal.app is not None
    await prune_if_free(portal.app.state.resources)
    requests = (await ada.get("/export")).json()["forgetRequests"]
    assert [one["answer"] for one in requests] == ["recorded before", "recorded", "Unavailable"]
    assert {one["requestedBy"] for one in requests} == {"ada"}
    assert [one["erasedAt"] is not None for one in requests] == [False, True, False]
    assert all(one["requestedAt"] <= one["answeredAt"] for one in requests)
    operator = await sandbox.token("operator", scopes=["portal:ops"])
    listed = (await portal.get("/ops/forget-requests", operator, limit=2)).json()
    assert [one["customerId"] for one in listed["data"]] == ["ada", "ada"]
    assert listed["data"][1]["requestId"] == "forget-1"
    rest = await portal.get("/ops/forget-requests", operator, customerId="ada", cursor=listed["nextCursor"])
    assert [one["answer"] for one in rest.json()["data"]] == ["Unavailable"]
    assert (await portal.get("/ops/forget-requests", operator, customerId="eve")).json()["data"] == []
    assert (await portal.get("/ops/forget-requests", ada.token)).status_code == 403


async def _fails(_: Resources, __: CustomerId) -> None:
    raise OSError("the database is gone")


@pytest.mark.proof
async def test_no_request_that_cannot_be_recorded_here_goes_to_digital_river(
    ada: AccountBuyer, sandbox: Sandbox, database: asyncpg.Connection
) -> None:
    await ada.get()
    await database.execute("ALTER TABLE forget_request RENAME TO elsewhere")
    try:
        assert (await ada.send("POST", "/forget")).status_code >= 500
    finally:
        await database.execute("ALTER TABLE elsewhere RENAME TO forget_request")
    assert (await sandbox.get("/customers/ada"))["requestToBeForgotten"] is False


async def test_the_export_shows_what_is_held_of_events(
    ada: AccountBuyer, eve: AccountBuyer, portal: Portal, sandbox: Sandbox, database: asyncpg.Connection
) -> None:
    order = await sandbox.order("ada")
    file_id = await sandbox.invoiced(order)
    await portal.documents(ada.token, 1)
    hostile: Json = {
        "orderId": None,
        "fileId": {},
        "customerId": "ada",
        "note": "cut \ud83d\0",
        "deep": [{"aURL": "x"}],
    }
    # Of ada's order, but it names somebody else; and one that merely mentions her.
    others: list[Json] = [
        {"orderId": order["id"], "customerId": "eve", "fileId": {}},
        {"orderId": None, "customerId": "ada-2", "note": "ada", "fileId": {}},
    ]
    for changes in (hostile, *others):
        assert (await portal.deliver(invoice_event(**changes))).status_code == 202
    await portal.settle(database)
    buried, done = (await ada.get("/export")).json()["events"]
    assert (buried["state"], buried["content"]) == (
        "buried",
        {
            "customerId": "ada",
            "note": "cut \ufffd\ufffd",
            "deep": [{}],
            "purpose": "customer_invoice",
        },
    )
    assert (done["state"], done["orderId"], done["content"]["customerId"]) == ("done", order["id"], "ada")
    assert file_id not in str(done)
    of_eve = (await eve.get("/export")).json()["events"]
    assert [one["content"]["customerId"] for one in of_eve] == ["eve"]


async def test_a_failed_erasure_is_an_error_and_can_be_repeated(ada: AccountBuyer, state: Any) -> None:
    failures = [OSError("the database is gone")]

    async def erase(_: Resources, __: CustomerId) -> None:
        if failures:
            raise failures.pop()

    state.erasers = {"Your notes.": erase}
    assert (await ada.send("POST", "/forget")).status_code == 503
    assert (await ada.send("POST", "/forget")).status_code == 200


async def test_documents_still_open_after_being_forgotten(
    ada: AccountBuyer, portal: Portal, sandbox: Sandbox
) -> None:
    await sandbox.invoiced(await sandbox.order("ada"))
    (document,) = await portal.documents(ada.token, 1)
    assert (await ada.send("POST", "/forget")).status_code == 200
    opened = await portal.get(f"/v1/documents/{document['id']}/content", ada.token)
    assert opened.status_code == 303


async def test_the_export_holds_everything_about_the_customer(
    ada: AccountBuyer, eve: AccountBuyer, support: AccountBuyer, state: Any
) -> None:
    await ada.send("PUT", body={"email": "ada@example.com", "shipping": SHIPPING})
    identifier = (await ada.send("POST", "/tax-identifiers", {"type": "de", "value": "DE123456789"})).json()
    certificate = (await ada.upload(b"%PDF-1.7 and more")).json()

    async def reads(_: Resources, customer_id: CustomerId) -> Sequence[Contract]:
        return [SupportRead(at=NOON, operation=f"GET /{customer_id}")]

    state.export_sections = only(supportReads=reads)
    answer = await ada.get("/export")
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "customerId": "ada",
        "profile": (await ada.get()).json(),
        "taxIdentifiers": [identifier],
        "taxCertificates": [certificate],
        "paymentSources": [],
        "orders": [],
        "documents": [],
        "supportReads": [{"at": "2026-01-31T12:00:00Z", "operation": "GET /ada"}],
        "events": [],
        "forgetRequests": [],
    }
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert (await ada.get("/export", **{"If-None-Match": answer.headers["ETag"]})).status_code == 304
    assert (await support.get("/export", of="ada")).json() == answer.json()
    assert (await eve.get("/export", of="ada")).status_code == 404


async def test_the_export_holds_what_the_other_rooms_know(
    ada: AccountBuyer, eve: AccountBuyer, support: AccountBuyer, portal: Portal, sandbox: Sandbox
) -> None:
    await ada.send("PUT")
    await eve.send("PUT")
    source = await sandbox.post("/_sandbox/sources", {"type": "creditCard", "customerId": "ada"})
    orders = [await sandbox.order("ada") for _ in range(3)]
    await sandbox.order("eve")
    file_id = await sandbox.invoiced(orders[0])
    (document,) = await portal.documents(ada.token, 1)
    await support.get(of="ada")
    answer = await ada.get("/export")
    assert answer.status_code == 200, answer.text
    export = answer.json()
    assert [one["id"] for one in export["paymentSources"]] == [source["id"]]
    assert sorted(one["id"] for one in export["orders"]) == sorted(order["id"] for order in orders)
    assert {item["name"] for order in export["orders"] for item in order["items"]} == {"Desk lamp"}
    assert [one["id"] for one in export["documents"]] == [document["id"]]
    assert [one["operation"] for one in export["supportReads"]] == ["GET /v1/customers/{customerId}"]
    for secret in (document["link"]["url"], file_id, "clientSecret"):
        assert secret not in answer.text


async def test_an_export_reads_lists_to_their_end(ada: AccountBuyer, database: asyncpg.Connection) -> None:
    await database.execute(
        """INSERT INTO document (file_id, order_id, customer_id, kind, file_name, created_at)
           SELECT 'f' || i, 'o', 'ada', 'invoice', i || '.pdf', timestamptz '2026-01-01' + i * interval '1 s'
           FROM generate_series(1, 1001) i"""
    )
    documents = (await ada.get("/export")).json()["documents"]
    assert len({one["id"] for one in documents}) == 1001
    assert documents[0]["fileName"] == "1001.pdf"


async def test_stored_answers_are_erased_with_the_rest(
    ada: AccountBuyer, eve: AccountBuyer, database: asyncpg.Connection
) -> None:
    for buyer, value in ((ada, "DE123456789"), (eve, "DE999999999")):
        body = {"type": "de", "value": value}
        await buyer.send("POST", "/tax-identifiers", body, headers={"Idempotency-Key": "k"})
    assert (await ada.send("POST", "/forget")).json()["erased"]
    rows = await database.fetch("SELECT customer_id FROM idempotent_request WHERE content IS NOT NULL")
    assert [row["customer_id"] for row in rows] == ["eve"]


async def test_an_export_of_somebody_digital_river_does_not_know_is_empty(
    ada: AccountBuyer, sandbox: Sandbox, state: Any
) -> None:
    state.export_sections = only()
    assert (await ada.get("/export")).json() == {
        "customerId": "ada",
        "profile": None,
        "taxIdentifiers": [],
        "taxCertificates": [],
        **{name: [] for name in EXPORT_SECTIONS},
    }
    assert (await sandbox.get("/customers"))["data"] == []


async def test_half_an_export_is_none(ada: AccountBuyer, sandbox: Sandbox) -> None:
    await sandbox.fault("status", status=503, path="/tax-identifiers*")
    answer = await ada.get("/export")
    assert answer.status_code == 503
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_the_parts_of_an_export_are_read_at_the_same_time(ada: AccountBuyer, state: Any) -> None:
    meeting = asyncio.Barrier(2)

    async def wait_for_the_other(_: Resources, __: CustomerId) -> Sequence[Contract]:
        await meeting.wait()
        return []

    state.export_sections = only(orders=wait_for_the_other, documents=wait_for_the_other)
    async with asyncio.timeout(5):
        assert (await ada.get("/export")).status_code == 200


@pytest.mark.parametrize("who", ["eve", "support", "nobody"])
async def test_only_the_owner_can_ask_to_be_forgotten(
    who: str, ada: AccountBuyer, eve: AccountBuyer, support: AccountBuyer, sandbox: Sandbox
) -> None:
    await ada.send("PUT")
    caller, status = {
        "eve": (eve, 404),
        "support": (support, 404),
        "nobody": (AccountBuyer(ada.portal, {}), 401),
    }[who]
    assert (await caller.send("POST", "/forget", of="ada")).status_code == status
    assert (await sandbox.get("/customers/ada"))["requestToBeForgotten"] is False
