"""An interrupted replacement of a tax identifier is completed, and no buyer sees that neither is there."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
import httpx
import pytest

from app.resources import open_resources
from app.tax.identifiers import finish_replacements
from tests.support.buyers import AccountBuyer
from tests.support.clock import eventually
from tests.support.portal import pass_time, settings_for
from tests.support.processes import running, running_api
from tests.support.sandbox import Json, Sandbox

PATH = "/tax-identifiers"
OLD = {"type": "de", "value": "DE123456789"}
NEW = {"type": "de", "value": "DE999999999"}
ATTACH = {"method": "POST", "path": "/customers/ada/tax-identifiers/*"}
DELETE = {"method": "DELETE", "path": "/tax-identifiers/*"}
MINUTE = 60.0


async def values(buyer: AccountBuyer) -> list[str]:
    answer = await buyer.get(PATH)
    assert answer.status_code == 200, answer.text
    return [one["value"] for one in answer.json()["data"]]


async def at_digital_river(sandbox: Sandbox, customer_id: str = "ada") -> list[str]:
    """The customer's identifiers at Digital River."""
    found: list[Json] = (await sandbox.get("/tax-identifiers", customerId=customer_id))["data"]
    return [one["value"] for one in found]


async def everything(sandbox: Sandbox) -> list[Json]:
    """All identifiers, attached or not."""
    found: list[Json] = (await sandbox.get("/tax-identifiers"))["data"]
    return found


async def id_of(wanted: Json, sandbox: Sandbox) -> str:
    (found,) = [one["id"] for one in await everything(sandbox) if one["value"] == wanted["value"]]
    return str(found)


async def on_record(database: asyncpg.Connection) -> list[str]:
    """The customers with a stored old value."""
    rows = await database.fetch("SELECT customer_id FROM tax_identifier_replacement ORDER BY customer_id")
    return [row["customer_id"] for row in rows]


async def put_on_record(database: asyncpg.Connection, new_id: str, customer_id: str) -> None:
    await database.execute(
        """INSERT INTO tax_identifier_replacement (new_id, customer_id, type, old_value)
           VALUES ($1, $2, $3, $4)""",
        *(new_id, customer_id, OLD["type"], OLD["value"]),
    )


async def leave_unfinished(database: asyncpg.Connection, sandbox: Sandbox, customer_id: str) -> None:
    """What a process leaves that dies just after the replacement has come on record: old one still there."""
    new = await sandbox.post("/tax-identifiers", NEW)
    await put_on_record(database, new["id"], customer_id)


async def give(sandbox: Sandbox, customer_id: str) -> None:
    """Attach the old identifier to the customer."""
    await sandbox.post("/customers", {"id": customer_id, "email": f"{customer_id}@example.com"})
    old = await sandbox.post("/tax-identifiers", OLD)
    await sandbox.post(f"/customers/{customer_id}/tax-identifiers/{old['id']}")


@asynccontextmanager
async def deleting(ada: AccountBuyer, sandbox: Sandbox) -> AsyncIterator["asyncio.Task[httpx.Response]"]:
    """A replacement, while the deletion of the old one takes its time; awaited after the block."""
    await ada.send("POST", PATH, OLD)
    await sandbox.fault("delay", seconds=0.5, times=1, **DELETE)
    replacing = asyncio.create_task(ada.send("POST", PATH, NEW))

    async def is_deleting() -> bool:
        return await sandbox.count("DELETE /tax-identifiers/{id}") >= 1

    await eventually(is_deleting)
    yield replacing
    await replacing


@asynccontextmanager
async def killed_after_the_deletion(
    database_url: str, database: asyncpg.Connection, sandbox: Sandbox
) -> AsyncIterator[None]:
    """The API has died between deleting and attaching, long ago."""
    async with running_api(settings_for(database_url, sandbox.url), stop_with=signal.SIGKILL) as api:
        ada = AccountBuyer(api, await sandbox.token("ada"))
        await ada.send("POST", PATH, OLD)
        await sandbox.fault("delay", seconds=5, times=1, afterwards=True, **DELETE)
        replacing = asyncio.create_task(ada.send("POST", PATH, NEW))

        async def is_deleted() -> bool:
            deleted = await sandbox.count("DELETE /tax-identifiers/{id}")
            return deleted == 1 and await at_digital_river(sandbox) == []

        await eventually(is_deleted)
        api.stop()
        with pytest.raises(httpx.TransportError):
            await replacing
    assert await at_digital_river(sandbox) == []
    assert await on_record(database) == ["ada"]
    await pass_time(database, sandbox, MINUTE)
    yield


@pytest.mark.proof
async def test_the_next_read_in_another_process_finishes_what_a_killed_process_left(
    own_database_url: str, own_database: asyncpg.Connection, sandbox: Sandbox
) -> None:
    settings = settings_for(own_database_url, sandbox.url)
    async with (
        killed_after_the_deletion(own_database_url, own_database, sandbox),
        running_api(settings) as other,
    ):
        ada = AccountBuyer(other, await sandbox.token("ada"))
        assert await values(ada) == [NEW["value"]]
        assert await on_record(own_database) == []
        again = await ada.send("POST", PATH, NEW)
        assert again.status_code == 200, "the buyer who repeats the request has it already"
    assert len(await everything(sandbox)) == 1


@pytest.mark.proof
async def test_the_worker_finishes_what_a_killed_process_left(
    own_database_url: str, own_database: asyncpg.Connection, sandbox: Sandbox
) -> None:
    settings = settings_for(own_database_url, sandbox.url)
    async with (
        killed_after_the_deletion(own_database_url, own_database, sandbox),
        running("worker", settings),
    ):

        async def is_finished() -> bool:
            return not await on_record(own_database)

        await eventually(is_finished)
    assert await at_digital_river(sandbox) == [NEW["value"]]


@pytest.mark.parametrize("step", ["begun", "attached"])
async def test_a_replacement_is_carried_through_whichever_step_was_the_last(
    step: str, ada: AccountBuyer, database: asyncpg.Connection, sandbox: Sandbox
) -> None:
    await give(sandbox, "ada")
    await leave_unfinished(database, sandbox, "ada")
    if step == "attached":
        await sandbox.client.delete(f"/tax-identifiers/{await id_of(OLD, sandbox)}")
        await sandbox.post(f"/customers/ada/tax-identifiers/{await id_of(NEW, sandbox)}")
    assert await values(ada) == [NEW["value"]]
    assert len(await everything(sandbox)) == 1
    assert await on_record(database) == []


async def test_writers_finish_what_was_left_before_they_begin(
    ada: AccountBuyer, database: asyncpg.Connection, sandbox: Sandbox
) -> None:
    await give(sandbox, "ada")
    await leave_unfinished(database, sandbox, "ada")
    assert (await ada.send("POST", PATH, OLD)).status_code == 201
    assert await values(ada) == [OLD["value"]]
    await leave_unfinished(database, sandbox, "ada")
    new = await id_of(NEW, sandbox)
    assert (await ada.send("DELETE", f"{PATH}/{new}")).status_code == 204
    assert await values(ada) == []
    assert await everything(sandbox) == []


async def test_attaching_is_tried_again_once_the_old_one_is_gone(
    ada: AccountBuyer, database: asyncpg.Connection, sandbox: Sandbox
) -> None:
    async with deleting(ada, sandbox) as replacing:
        await sandbox.fault("status", status=503, times=2, **ATTACH)
    assert (await replacing).status_code == 201
    assert await values(ada) == [NEW["value"]]
    assert await on_record(database) == []


@pytest.mark.proof
async def test_no_read_shows_that_neither_is_there_while_attaching_fails(
    ada: AccountBuyer, support: AccountBuyer, database: asyncpg.Connection, sandbox: Sandbox
) -> None:
    async with deleting(ada, sandbox) as replacing:
        await sandbox.fault("status", status=503, times=None, **ATTACH)
    assert (await replacing).status_code == 503
    assert await at_digital_river(sandbox) == []
    assert (await ada.get(PATH)).status_code == 503
    assert (await support.get(PATH, of="ada")).status_code == 503
    assert await on_record(database) == ["ada"]
    await sandbox.client.delete("/_sandbox/faults")
    assert await values(ada) == [NEW["value"]]
    assert await on_record(database) == []


@pytest.mark.parametrize("status", [400, 404, 409])
async def test_the_old_one_comes_back_when_the_new_one_is_refused_for_good(
    status: int, ada: AccountBuyer, database: asyncpg.Connection, sandbox: Sandbox
) -> None:
    async with deleting(ada, sandbox) as replacing:
        path = f"/customers/ada/tax-identifiers/{await id_of(NEW, sandbox)}"
        await sandbox.fault("status", status=status, method="POST", path=path)
    answer = await replacing
    assert answer.status_code == 503
    assert "could not be replaced" in answer.json()["detail"]
    assert await values(ada) == [OLD["value"]]
    assert len(await everything(sandbox)) == 1, "what nobody can use is not left behind"
    assert await on_record(database) == []


@pytest.mark.proof
async def test_the_old_one_comes_back_though_that_was_broken_off_too(
    ada: AccountBuyer, database: asyncpg.Connection, sandbox: Sandbox
) -> None:
    async with deleting(ada, sandbox) as replacing:
        path = f"/customers/ada/tax-identifiers/{await id_of(NEW, sandbox)}"
        await sandbox.fault("status", status=400, method="POST", path=path)
        await sandbox.fault("status", status=503, method="POST", path="/tax-identifiers", times=1)
    assert (await replacing).status_code == 503
    assert await on_record(database) == ["ada"]
    assert await values(ada) == [OLD["value"]]
    assert await on_record(database) == []


async def test_a_lost_value_is_reported_without_naming_it(
    ada: AccountBuyer, database: asyncpg.Connection, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    async with deleting(ada, sandbox) as replacing:
        await sandbox.fault("status", status=400, times=None, **ATTACH)
    assert (await replacing).status_code == 503
    output = "".join(capsys.readouterr())
    assert "tax_identifier.lost" in output
    for value in (OLD["value"], NEW["value"]):
        assert value not in output
    assert await on_record(database) == []
    assert await everything(sandbox) == []
    await sandbox.client.delete("/_sandbox/faults")
    assert (await ada.send("POST", PATH, NEW)).status_code == 201


@pytest.mark.proof
async def test_a_failing_replacement_does_not_keep_the_worker_from_the_others(
    own_database_url: str, own_database: asyncpg.Connection, sandbox: Sandbox
) -> None:
    for customer_id in ("ada", "eve"):
        await give(sandbox, customer_id)
        await leave_unfinished(own_database, sandbox, customer_id)
    await sandbox.fault("status", status=503, times=None, **ATTACH)
    async with open_resources(settings_for(own_database_url, sandbox.url)) as resources:
        await finish_replacements(resources)
        assert await on_record(own_database) == ["ada"]
        assert await at_digital_river(sandbox, "eve") == [NEW["value"]]
        await sandbox.client.delete("/_sandbox/faults")
        await finish_replacements(resources)
    assert await on_record(own_database) == []
    assert await at_digital_river(sandbox) == [NEW["value"]]


async def test_the_worker_skips_a_replacement_in_progress(ada: AccountBuyer, sandbox: Sandbox) -> None:
    async with deleting(ada, sandbox) as replacing, open_resources(ada.portal.settings) as resources:
        await finish_replacements(resources)
        assert not replacing.done()
    assert (await replacing).status_code == 201
    assert await sandbox.count("DELETE /tax-identifiers/{id}") == 1
    assert await values(ada) == [NEW["value"]]


async def test_a_read_meanwhile_waits_for_the_new_one(ada: AccountBuyer, sandbox: Sandbox) -> None:
    async with deleting(ada, sandbox):
        assert await values(ada) == [NEW["value"]]


async def test_being_forgotten_erases_the_old_value(
    ada: AccountBuyer, database: asyncpg.Connection, sandbox: Sandbox
) -> None:
    for customer_id in ("ada", "eve"):
        await put_on_record(database, uuid4().hex, customer_id)
    assert (await ada.send("POST", "/forget")).status_code == 200
    assert await on_record(database) == ["eve"]
