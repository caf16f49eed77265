"""Compares the records of a chaos run: events, documents, links, and what owners can open."""

import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import accumulate
from statistics import median
from typing import Any

from tests.chaos.records import LOG_ENTRIES, Records
from tests.chaos.scenario import Ledger

# Of the events that were delivered at all; every delivery of the others met an outage.
ACCEPTED_SHARE = 0.95
# Without these in the logs, finding nothing private there would prove nothing.
EXPECTED_IN_LOGS = ("request_id", "event.done", "link.minted", "digital_river.call", "sweep.started")


@dataclass(frozen=True)
class Comparison:
    """The records side by side. `wrong` names every difference."""

    rows: Mapping[str, str]
    wrong: list[str]

    def table(self) -> str:
        width = max(map(len, self.rows))
        return "\n".join(f"{name:<{width}}  {value}" for name, value in self.rows.items())


def compare(
    records: Records,
    ledger: Ledger,
    *,
    median_within: float,
    healed_after: float = 0.0,
    died_at: Counter[str] | None = None,
) -> Comparison:
    """Compare all records. Half of the delivered events must be a document within so many
    seconds."""
    checks = {
        **_of_webhooks(records, ledger),
        **_of_speed(records, median_within),
        **_of_documents(records, ledger),
        **_of_answers(records, ledger),
    }
    rows = _rows(records, ledger) | {
        "time to heal": f"{healed_after:.1f} s",
        "processes killed": _counted(died_at or Counter()),
    }
    wrong = [name for name, is_fine in checks.items() if not is_fine]
    return Comparison(rows, wrong + _mistakes(records.logs))


def _of_webhooks(records: Records, ledger: Ledger) -> dict[str, bool]:
    """The sweep brings everything too, only later: it must not hide that webhooks do not work."""
    delivered = records.sent_ids - records.dropped
    # 503 while PostgreSQL is away, nothing while no API is up. A signed delivery is never refused.
    refused = {one["status"] for one in records.deliveries if 400 <= (one["status"] or 0) < 500}
    forged = records.kept.keys() & ledger.forged
    return {
        "no event was sent": bool(records.sent_ids),
        "the sandbox may have forgotten deliveries": len(records.deliveries) < LOG_ENTRIES,
        "more events were never delivered than the run has dropped": len(records.dropped) <= ledger.drops,
        "webhooks were not accepted": (
            len(delivered & records.accepted.keys()) >= ACCEPTED_SHARE * len(delivered) > 0
        ),
        f"signed deliveries were refused: {sorted(refused)}": not refused,
        f"forged deliveries were not refused: {_counted(ledger.forgeries)}": set(ledger.forgeries) == {401},
        "a forged event was kept": not forged,
        "something was acknowledged and not stored": records.accepted.keys() <= records.kept.keys(),
    }


def _of_speed(records: Records, median_within: float) -> dict[str, bool]:
    delays = _delays(records, records.sent_ids - records.dropped)
    return {"half of the documents came late": bool(delays) and median(delays) < median_within}


def _of_documents(records: Records, ledger: Ledger) -> dict[str, bool]:
    announced = {
        event["data"]["object"]["fileId"]: event["data"]["object"]["orderId"] for event in records.sent
    }
    stored = {row["file_id"]: row["order_id"] for row in records.documents}
    return {
        "an event is missing, or not done": _done(records) == records.sent_ids,
        "other documents were announced than issued": announced == records.issued,
        "other documents are stored than issued": stored == records.issued,
        "a document is there twice": len(stored) == len(records.documents),
        "a file has not exactly one live link": records.links == Counter({1: len(records.issued)}),
        "an owner could not open a document": records.opened == len(records.issued),
        "a buyer saw another's document": records.stolen + ledger.leaks == 0,
    }


def _of_answers(records: Records, ledger: Ledger) -> dict[str, bool]:
    return {
        "a link did not work": not ledger.dead_links,
        "a buyer got a 500": not ledger.answers[500],
        "nothing was opened during the run": ledger.answers[303] > 0,
        "no buyer tried another's document": ledger.thefts > 0,
        f"private things are in the logs: {records.private}": not records.private,
        "the logs tell nothing": all(entry in records.logs for entry in EXPECTED_IN_LOGS),
    }


def _rows(records: Records, ledger: Ledger) -> dict[str, str]:
    doubled = sum(count > 1 for event_id, count in records.accepted.items() if event_id in records.sent_ids)
    return {
        "events sent": f"{len(records.sent_ids)}",
        "  delivered more than once, or never": f"{doubled}, {len(records.dropped)}",
        "  overtaken by a later one": f"{_overtaken(records)}",
        "accepted": f"{len(records.accepted.keys() & records.sent_ids)}",
        "  answers to deliveries": _counted(
            Counter(one["status"] or one["error"] for one in records.deliveries)
        ),
        "  answers to forged ones": _counted(ledger.forgeries),
        "stored": f"{len(_done(records) & records.sent_ids)}",
        "  beside these, types without a handler": f"{len(records.kept.keys() - records.sent_ids)}",
        "documents": f"{len(records.documents)} of {len(records.issued)} issued",
        "live links per file": ", ".join(
            f"{n} ({files} files)" for n, files in sorted(records.links.items())
        ),
        "opened by their owner": f"{records.opened}",
        "seen by anybody else": f"{records.stolen + ledger.leaks}, of {ledger.thefts} attempts in the run",
        "links that did not work": f"{ledger.dead_links}",
        "event to document, delivered": _spread(_delays(records, records.sent_ids - records.dropped)),
        "event to document, dropped": _spread(_delays(records, records.dropped)),
        "answers to buyers": _counted(ledger.answers),
        "moves": _counted(ledger.moves),
        "tampering": _counted(ledger.tampered),
    }


def _done(records: Records) -> set[str]:
    return {event_id for event_id, row in records.kept.items() if row["state"] == "done"}


def _overtaken(records: Records) -> int:
    """How many events came in after one that happened later."""
    kept = records.sent_ids & records.kept.keys()
    came = [
        records.happened_at[one] for one in sorted(kept, key=lambda one: records.kept[one]["received_at"])
    ]
    return sum(happened < last for happened, last in zip(came, accumulate(came, max), strict=True))


def _delays(records: Records, event_ids: Collection[str]) -> list[float]:
    finished = {one: records.kept[one]["finished_at"] for one in event_ids if one in records.kept}
    return sorted(
        (moment - records.happened_at[one]).total_seconds() for one, moment in finished.items() if moment
    )


def _spread(found: list[float]) -> str:
    if not found:
        return "none"
    return (
        f"median {median(found):.2f} s, p95 {found[int(len(found) * 0.95)]:.2f} s, longest {found[-1]:.1f} s"
    )


def _counted(counts: Counter[Any]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common()) or "none"


def _mistakes(logs: str) -> list[str]:
    """The failures in the logs that belong to no plan: each has a stack. (asyncpg forgets a future now and
    then when a connection ends while it begins; that has none.)"""
    # Not `splitlines`, which knows more ends of lines than a log does.
    lines = [json.loads(line) for line in logs.split("\n") if line.startswith("{") and line.endswith("}")]
    found = {
        f"{line['event']}: {line['error']} at {line['stack'][-6:]}" for line in lines if line.get("stack")
    }
    return [*sorted(found), *(["a bare traceback"] if "Traceback (most" in logs else [])]
