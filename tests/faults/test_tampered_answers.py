"""Well-formed but wrong answers of Digital River: no 500, no other buyer's data, no harmful value stored."""

import itertools
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TypeAlias

import asyncpg
import pytest

from sandbox.faults.json_tampering import TAMPERING_VARIANTS, TamperingKind
from tests.support.checked_portal import ADA, BARBARA, CANARY, GETS, GRACE, CheckedPortal, make_buyer
from tests.support.clock import eventually
from tests.support.portal import published_document, running_portal
from tests.support.sandbox import Json, Sandbox

Database: TypeAlias = asyncpg.Connection
INVOICE = "order.invoice.created"
_IDS = ("id", "customerId", "orderId", "fileId", "itemId", "defaultSourceId")
_READ_BY_PROGRAMS = (*_IDS, "fileName", "state", "url")
_BELIEVED = (
    *("id", "fileId", "data", "hasMore", "url", "expiresTime", "createdTime", "fileName", "items", "payment"),
    *("sources", "invoicePDFs", "taxIdentifiers", "taxCertificates", "address", "metadata", "state"),
    *("stateTransitions", "quantity", "totalAmount", "shipments", "charges"),
)
_OF_EVENTS = ("id", "fileId", "orderId", "customerId", "type", "data", "object", "liveMode", "createdTime")
# What says whose it is. Under its own id, another's profile, certificate or file name is as good as the right
# one to every reader but Digital River.
_WITH_OWNER = ("/orders*", "/file-links*", "/refunds*", "/fulfillments*", "/tax-identifiers*", "/sources*")
_PARTS_WITH_OWNER = ("sources", "taxIdentifiers", "links")


def list_faults(kind: TamperingKind, hostile: Sequence[str], odd: Sequence[str]) -> Iterator[Json]:
    """The faults of this kind; kinds that change members also once for each single member."""
    if kind == "stranger":
        yield {"kind": kind, "variant": "open"}
        yield from ({"kind": kind, "variant": "renamed", "target": {"path": path}} for path in _WITH_OWNER)
        yield from ({"kind": kind, "variant": "nested", "fields": [name]} for name in _PARTS_WITH_OWNER)
        return
    for variant in TAMPERING_VARIANTS[kind] or (None,):
        yield {"kind": kind, "variant": variant}
    match kind:
        case "misnamed":
            yield from ({"kind": kind, "fields": [name]} for name in _IDS)
        case "hostile":
            turns = itertools.cycle(TAMPERING_VARIANTS[kind])
            yield from ({"kind": kind, "variant": next(turns), "fields": [name]} for name in hostile)
        case "odd":
            turns = itertools.cycle(("null", "list", "object", "number", "boolean", "huge", "emptyText"))
            yield from ({"kind": kind, "variant": next(turns), "fields": [name]} for name in odd)


@pytest.fixture
async def checked(
    own_database_url: str, own_database: Database, sandbox: Sandbox
) -> AsyncIterator[CheckedPortal]:
    async with running_portal(own_database_url, sandbox.url) as portal:
        portal.trust(await sandbox.register_webhook(portal.url))
        ada = await make_buyer(portal, sandbox, ADA, "Lovelace")
        grace = await make_buyer(portal, sandbox, GRACE, CANARY)
        documents = await portal.documents(ada.token, 2)
        document = next(one for one in documents if one["kind"] == "invoice")
        built = CheckedPortal(portal, sandbox, own_database, ada, {CANARY, *grace.ids}, document["id"], {})
        await built.record_untampered_answers()
        assert await built.check_recovery() == []
        yield built
        await sandbox.client.delete("/_sandbox/faults")
        await portal.settle(own_database)


def test_every_get_of_the_api_is_read() -> None:
    paths = published_document()["paths"]
    assert {path for path in paths if path.startswith("/v1/") and "get" in paths[path]} == set(GETS)


def _named(fault: Json, complaints: list[str]) -> list[str]:
    name = " ".join(str(value) for value in fault.values() if value is not None)
    return [f"[{name}] {complaint}" for complaint in complaints]


async def _announce(checked: CheckedPortal) -> None:
    """A new document of Barbara's, and its webhook, tried at least once."""
    sandbox, order = checked.sandbox, await checked.sandbox.order(BARBARA)
    await sandbox.client.delete("/_sandbox/deliveries")
    await sandbox.fulfil(order)

    async def is_delivered() -> bool:
        tried = (await sandbox.client.get("/_sandbox/deliveries")).json()
        return any(one["type"] == INVOICE for one in tried)

    await eventually(is_delivered)


@pytest.mark.proof
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", TAMPERING_VARIANTS)
async def test_no_tampered_answer_breaks_leaks_or_lasts(checked: CheckedPortal, kind: TamperingKind) -> None:
    found: list[str] = []
    barbara = await checked.sandbox.token(BARBARA)
    if kind == "misnamed":
        # An id of Grace's on something of Ada's gives nothing of Grace's away.
        checked.canaries = {CANARY}
    for count, fault in enumerate(list_faults(kind, _READ_BY_PROGRAMS, _BELIEVED), start=1):
        await checked.tamper(**fault)
        await _announce(checked)
        complaints = await checked.check_reads() + await checked.sweep()
        await checked.stop_tampering()
        complaints += await checked.sweep() + await checked.check_events()
        complaints += await checked.check_rows() + await checked.check_recovery("documents")
        answer = await checked.portal.get("/v1/documents", barbara, limit=100)
        complaints += checked.leaks("Barbara's documents", answer)
        if answer.status_code != 200 or len(answer.json()["data"]) != count:
            complaints.append(f"not {count} documents: {answer.status_code} {answer.text[:300]}")
        found += _named(fault, complaints)
    found += await checked.check_recovery()
    assert not found, "\n".join(["", *found])


# Digital River signs its deliveries, so the portal cannot detect a signed event that names the wrong owner.
_ABOUT_MEMBERS: tuple[TamperingKind, ...] = ("hostile", "odd", "untimely", "misleading")


@pytest.mark.proof
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", _ABOUT_MEMBERS)
async def test_no_tampered_event_is_an_error_or_lasts(checked: CheckedPortal, kind: TamperingKind) -> None:
    found: list[str] = []
    for fault in list_faults(kind, _OF_EVENTS, _OF_EVENTS):
        await checked.tamper(**fault, target={"eventType": INVOICE})
        await _announce(checked)
        tried = (await checked.sandbox.client.get("/_sandbox/deliveries")).json()
        complaints = [
            f"the webhook answered {one['status'] or one['error']}"
            for one in tried
            if one["type"] == INVOICE and one["status"] not in {202, 400}
        ]
        await checked.stop_tampering()
        complaints += await checked.check_events() + await checked.check_rows()
        found += _named(fault, complaints)
    found += await checked.check_recovery() + await checked.sweep()
    assert not found, "\n".join(["", *found])
