"""Forgetting a customer, and exporting a customer's data."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import asyncpg
import pytest

from app.ops.retention import prune_if_free
from tests.support.buyers import SHIPPING, AccountBuyer
from tests.support.events import invoice_event
from tests.support.portal import Portal, pass_time
from tests.support.sandbox import Json, Sandbox

LISTS = ("paymentSources", "orders", "documents", "events", "forgetRequests")


async def held(database: asyncpg.Connection) -> list[str]:
    """The tables with rows of ada's that a forget request erases."""
    tables = ("idempotent_request", "tax_identifier_replacement", "certificate_upload")
    count = "SELECT count(*) FROM {} WHERE customer_id = 'ada'"
    return [table for table in tables if await database.fetchval(count.format(table))]


async def hold_everything(ada: AccountBuyer, database: asyncpg.Connection) -> list[str]:
    """Create a row of ada's in each of these tables."""
    body = {"type": "de", "value": "DE123456789"}
    assert (await ada.send("POST", "/tax-identifiers", body, headers={"Idempotency-Key": "k"})).is_success
    await database.execute(
        """INSERT INTO tax_identifier_replacement (new_id, customer_id, type, old_value)
           VALUES ('new', 'ada', 'de', 'DE999999999')"""
    )
    await database.execute("INSERT INTO certificate_upload VALUES ('d', 'ada', 'file')")
    everything = await held(database)
    assert len(everything) == 3
    return everything


@asynccontextmanager
async def full_disk(database: asyncpg.Connection) -> AsyncIterator[None]:
    """Erasing fails half-way, as if PostgreSQL's disk were full."""
    await database.execute(
        """CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = 'disk_full'; END $$;
           CREATE TRIGGER fail BEFORE DELETE ON certificate_upload EXECUTE FUNCTION fail()"""
    )
    try:
        yield
    finally:
        await database.execute("DROP FUNCTION fail() CASCADE")


async def test_being_forgotten_is_recorded_and_says_what_happens_next(
    ada: AccountBuyer, sandbox: Sandbox
) -> None:
    await ada.send("PUT", body={"email": "ada@example.com"})
    answer = await ada.send("POST", "/forget")
    assert answer.status_code == 200, answer.text
    answered = answer.json()
    assert answered["status"] == "recorded"
    assert answered["kept"]
    assert answered["next"]
    assert (await sandbox.get("/customers/ada"))["requestToBeForgotten"] is True
    assert (await ada.get()).json()["forgetRequested"] is True


async def test_being_forgotten_twice_is_the_same_as_once(ada: AccountBuyer, sandbox: Sandbox) -> None:
    first = await ada.send("POST", "/forget")
    again = await ada.send("POST", "/forget")
    assert again.json() == first.json()
    assert await sandbox.count("POST /customers/{id}") == 1


async def test_stored_data_is_erased_after_the_request_is_recorded(
    ada: AccountBuyer, sandbox: Sandbox, database: asyncpg.Connection
) -> None:
    everything = await hold_everything(ada, database)
    await sandbox.fault("status", status=503, method="POST", path="/customers/{id}", times=1)
    assert (await ada.send("POST", "/forget")).status_code == 503
    assert await held(database) == everything
    assert len((await ada.send("POST", "/forget")).json()["erased"]) == 2
    assert await held(database) == []


async def test_the_outcome_of_the_request_is_recorded_for_ever(
    ada: AccountBuyer, portal: Portal, sandbox: Sandbox, database: asyncpg.Connection
) -> None:
    await ada.get()
    await sandbox.fault("status", status=503, method="POST", path="/customers/{id}", times=1)
    assert (await ada.send("POST", "/forget")).status_code == 503
    answer = await ada.send("POST", "/forget", headers={"X-Request-ID": "forget-1"})
    assert answer.status_code == 200
    async with full_disk(database):
        assert (await ada.send("POST", "/forget")).status_code == 503
    # Retention deletes every row that it may delete.
    await pass_time(database, sandbox, 400 * 86_400)
    assert portal.app is not None
    resources = portal.app.state.resources
    await prune_if_free(resources.engine, resources.leases)
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
        {"orderId": order["id"], "customerId": {}, "fileId": {}},
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


async def test_a_failed_erasure_erases_nothing_and_can_be_repeated(
    ada: AccountBuyer, database: asyncpg.Connection
) -> None:
    everything = await hold_everything(ada, database)
    async with full_disk(database):
        assert (await ada.send("POST", "/forget")).status_code == 503
    assert await held(database) == everything
    assert (await ada.send("POST", "/forget")).status_code == 200
    assert await held(database) == []


async def test_documents_still_open_after_being_forgotten(
    ada: AccountBuyer, portal: Portal, sandbox: Sandbox
) -> None:
    await sandbox.invoiced(await sandbox.order("ada"))
    (document,) = await portal.documents(ada.token, 1)
    assert (await ada.send("POST", "/forget")).status_code == 200
    opened = await portal.get(f"/v1/documents/{document['id']}/content", ada.token)
    assert opened.status_code == 303


async def test_the_export_holds_everything_about_the_customer(
    ada: AccountBuyer, eve: AccountBuyer, support: AccountBuyer
) -> None:
    await ada.send("PUT", body={"email": "ada@example.com", "shipping": SHIPPING})
    identifier = (await ada.send("POST", "/tax-identifiers", {"type": "de", "value": "DE123456789"})).json()
    certificate = (await ada.upload(b"%PDF-1.7 and more")).json()
    await support.get(of="ada")
    answer = await ada.get("/export")
    assert answer.status_code == 200, answer.text
    export = answer.json()
    reads = export.pop("supportReads")
    assert [read["operation"] for read in reads] == ["GET /v1/customers/{customerId}"]
    assert export == {
        "customerId": "ada",
        "profile": (await ada.get()).json(),
        "taxIdentifiers": [identifier],
        "taxCertificates": [certificate],
        **{name: [] for name in LISTS},
    }
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert (await ada.get("/export", **{"If-None-Match": answer.headers["ETag"]})).status_code == 304
    seen = (await support.get("/export", of="ada")).json()
    # The first of the looks is this very one.
    assert seen.pop("supportReads")[1:] == reads
    assert seen == export
    assert (await eve.get("/export", of="ada")).status_code == 404


async def test_the_export_holds_the_data_of_every_package(
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


async def test_an_export_of_a_customer_unknown_to_digital_river_is_empty(
    ada: AccountBuyer, sandbox: Sandbox
) -> None:
    assert (await ada.get("/export")).json() == {
        "customerId": "ada",
        "profile": None,
        "taxIdentifiers": [],
        "taxCertificates": [],
        "supportReads": [],
        **{name: [] for name in LISTS},
    }
    assert (await sandbox.get("/customers"))["data"] == []


async def test_an_incomplete_export_is_an_error(ada: AccountBuyer, sandbox: Sandbox) -> None:
    await sandbox.fault("status", status=503, path="/tax-identifiers*")
    answer = await ada.get("/export")
    assert answer.status_code == 503
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.proof
async def test_the_parts_of_an_export_are_read_at_the_same_time(ada: AccountBuyer, sandbox: Sandbox) -> None:
    seconds = 1.5
    for path in ("/orders", "/tax-identifiers"):
        await sandbox.fault("delay", seconds=seconds, path=path)
    assert (await ada.get("/export")).is_success
    calls = (await sandbox.get("/_sandbox/requests"))["calls"]
    begun = {call["path"]: datetime.fromisoformat(call["at"]) for call in calls}
    apart = abs((begun["/orders"] - begun["/tax-identifiers"]).total_seconds())
    assert apart < seconds, "one waited for the other"


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
