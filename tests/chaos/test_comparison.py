"""The comparison of a chaos run detects every kind of damage: each check gets records that it must reject."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.chaos.comparison import EXPECTED_IN_LOGS, compare
from tests.chaos.records import Records
from tests.chaos.scenario import Ledger

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
COUNT = 40
# It tests what only `make check` and `make chaos` use.
pytestmark = pytest.mark.proof

Spoil = Callable[[dict[str, Any], Ledger], object]


def _event(number: int) -> dict[str, Any]:
    subject = {"fileId": f"file-{number}", "orderId": f"order-{number}"}
    return {
        "id": f"event-{number}",
        "createdTime": (NOON + timedelta(seconds=number)).isoformat(),
        "data": {"object": subject},
    }


def _kept(number: int) -> dict[str, Any]:
    happened = NOON + timedelta(seconds=number)
    received = happened + timedelta(seconds=0.1)
    finished = happened + timedelta(seconds=0.3)
    return {"state": "done", "received_at": received, "finished_at": finished}


def _delivery(number: int) -> dict[str, Any]:
    return {"eventId": f"event-{number}", "status": 202, "error": None}


def good_records() -> dict[str, Any]:
    """What a run without any harm leaves: forty invoices; the last one's event was dropped."""
    every = range(COUNT)
    return {
        "sent": [_event(number) for number in every],
        "deliveries": [_delivery(number) for number in every[:-1]],
        "kept": {f"event-{number}": _kept(number) for number in every},
        "documents": [{"file_id": f"file-{number}", "order_id": f"order-{number}"} for number in every],
        "issued": {f"file-{number}": f"order-{number}" for number in every},
        "links": Counter({1: COUNT}),
        "opened": COUNT,
        "stolen": 0,
        "logs": "\n".join(json.dumps({"event": witness}) for witness in EXPECTED_IN_LOGS),
        "private": [],
    }


def good_ledger() -> Ledger:
    ledger = Ledger(tokens={}, secrets=set())
    ledger.answers = Counter({303: 1})
    ledger.forgeries = Counter({401: 1})
    ledger.drops = ledger.thefts = 1
    return ledger


def wrongs(spoil: Spoil) -> list[str]:
    records, ledger = good_records(), good_ledger()
    spoil(records, ledger)
    return compare(Records(**records), ledger, median_within=1.0).wrong


def test_records_that_agree_pass() -> None:
    assert wrongs(lambda records, ledger: None) == []


def _log(records: dict[str, Any], **line: object) -> None:
    records["logs"] += "\n" + json.dumps(line)


def _refuse_from(records: dict[str, Any], first: int) -> None:
    """What was found in a run of 15 minutes: all refused, and the sweep brought the documents."""
    for delivery in records["deliveries"][first:]:
        delivery["status"] = 401


def _finish_later(records: dict[str, Any], seconds: float) -> None:
    for row in records["kept"].values():
        row["finished_at"] += timedelta(seconds=seconds)


SPOILT: dict[str, tuple[str, Spoil]] = {
    "nothing happened": ("no event was sent", lambda b, _: b["sent"].clear()),
    "webhooks refused": ("signed deliveries were refused: [401]", lambda b, _: _refuse_from(b, 38)),
    "webhooks fail": (
        "webhooks were not accepted",
        lambda b, _: [one.update(status=None, error="timeout") for one in b["deliveries"][:3]],
    ),
    "webhooks never tried": (
        "more events were never delivered than the run has dropped",
        lambda b, _: b["deliveries"].clear(),
    ),
    "no webhook at all": ("webhooks were not accepted", lambda b, _: b["deliveries"].clear()),
    "slow": ("half of the documents came late", lambda b, _: _finish_later(b, 1)),
    "nothing finished": (
        "half of the documents came late",
        lambda b, _: [row.update(finished_at=None) for row in b["kept"].values()],
    ),
    "log too short": (
        "the sandbox may have forgotten deliveries",
        lambda b, _: b.update(deliveries=Endless(b["deliveries"])),
    ),
    "forger got in": (
        "forged deliveries were not refused: 401 1, 202 1",
        lambda _, seen: seen.forgeries.update([202]),
    ),
    "no forger": ("forged deliveries were not refused: none", lambda _, seen: seen.forgeries.clear()),
    "forgery kept": ("a forged event was kept", lambda _, seen: seen.forged.add("event-1")),
    "lost": ("something was acknowledged and not stored", lambda b, _: b["kept"].pop("event-0")),
    "missing": ("an event is missing, or not done", lambda b, _: b["kept"].pop("event-39")),
    "not done": (
        "an event is missing, or not done",
        lambda b, _: b["kept"]["event-3"].update(state="buried"),
    ),
    "unannounced": ("other documents were announced than issued", lambda b, _: b["sent"].pop()),
    "announced elsewhere": (
        "other documents were announced than issued",
        lambda b, _: b["sent"][0]["data"]["object"].update(orderId="order-1"),
    ),
    "not stored": ("other documents are stored than issued", lambda b, _: b["documents"].pop()),
    "of another order": (
        "other documents are stored than issued",
        lambda b, _: b["documents"][0].update(order_id="order-1"),
    ),
    "twice": ("a document is there twice", lambda b, _: b["documents"].append(b["documents"][0])),
    "two links": ("a file has not exactly one live link", lambda b, _: b["links"].update({1: -1, 2: 1})),
    "no link": ("a file has not exactly one live link", lambda b, _: b["links"].update({1: -1, 0: 1})),
    "not opened": ("an owner could not open a document", lambda b, _: b.update(opened=COUNT - 1)),
    "stolen afterwards": ("a buyer saw another's document", lambda b, _: b.update(stolen=1)),
    "stolen in the run": ("a buyer saw another's document", lambda _, seen: setattr(seen, "leaks", 1)),
    "no thief": ("no buyer tried another's document", lambda _, seen: setattr(seen, "thefts", 0)),
    "dead link": ("a link did not work", lambda _, seen: setattr(seen, "dead_links", 1)),
    "500": ("a buyer got a 500", lambda _, seen: seen.answers.update([500])),
    "nobody read": ("nothing was opened during the run", lambda _, seen: seen.answers.clear()),
    "private": ("private things are in the logs: ['canary']", lambda b, _: b.update(private=["canary"])),
    "silent logs": ("the logs tell nothing", lambda b, _: b.update(logs="")),
    "stack": (
        "unhandled_error: KeyError at ['f 1']",
        lambda b, _: _log(b, event="unhandled_error", error="KeyError", stack=["f 1"]),
    ),
    "traceback": ("a bare traceback", lambda b, _: b.update(logs=b["logs"] + "\nTraceback (most recent")),
}


class Endless(list[dict[str, Any]]):
    """A log that is as long as the sandbox lets it become."""

    def __len__(self) -> int:
        return 10_000_000


@pytest.mark.parametrize("case", sorted(SPOILT))
def test_a_damaged_record_is_reported(case: str) -> None:
    wrong, spoil = SPOILT[case]
    assert wrong in wrongs(spoil)
