"""When a sweep is due, and how far back it reads: a pure function, so every case is a line."""

from datetime import UTC, datetime, timedelta

import pytest

from app.webhooks.sweep import find_due
from app.webhooks.sweep_log import Sweep, SweepKind, SweepResult, SweepState

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
INTERVAL = timedelta(minutes=10)
OVERLAP = timedelta(minutes=15)
MONTH = timedelta(days=30)


def ago(**distance: float) -> datetime:
    return NOW - timedelta(**distance)


def state_after(
    *,
    watermark: datetime | None = None,
    day: datetime | None = None,
    day_tried: datetime | None = None,
    full: datetime | None = None,
    full_tried: datetime | None = None,
    failed: datetime | None = None,
    waiting: Sweep | None = None,
) -> SweepState:
    """Without other arguments the daily sweep has just run."""
    tried: dict[SweepKind, datetime | None] = {
        "recent": watermark,
        "day": day_tried or day or watermark,
        "full": full_tried or full,
    }
    done: dict[SweepKind, datetime | None] = {"recent": watermark, "day": day or watermark, "full": full}
    return SweepState(NOW, tried, done, failed, waiting)


def requested_sweep(back_to: datetime | None) -> Sweep:
    return Sweep(7, NOW, back_to, None, None, None, SweepResult(), None)


HOURS_AGO = ago(hours=3)
HALF_PAST = ago(minutes=30)

CASES: dict[str, tuple[SweepState, datetime | None]] = {
    "a fresh database looks back as far as it can": (state_after(), NOW - MONTH),
    "soon after a sweep nothing is due": (state_after(watermark=ago(minutes=9), full=HOURS_AGO), None),
    "after the interval, with the overlap": (
        state_after(watermark=ago(minutes=10), full=HOURS_AGO),
        ago(minutes=10) - OVERLAP,
    ),
    "after a longer stop, at least a day of it": (
        state_after(watermark=ago(hours=20), full=ago(hours=23)),
        ago(days=1),
    ),
    "after a stop of days, all of it": (
        state_after(watermark=ago(days=2), full=HOURS_AGO),
        ago(days=2) - OVERLAP,
    ),
    "once an hour a day": (
        state_after(watermark=ago(minutes=1), day=ago(hours=1), full=HOURS_AGO),
        ago(days=1),
    ),
    "a full one spares the next one over a day": (
        state_after(watermark=ago(minutes=1), day=ago(minutes=59), full=ago(minutes=59)),
        None,
    ),
    "one over a day that fails lets the short ones pass": (
        state_after(watermark=ago(minutes=10), day=ago(hours=2), day_tried=ago(minutes=9), full=HOURS_AGO),
        ago(minutes=10) - OVERLAP,
    ),
    "one over a day that failed is tried again within minutes": (
        state_after(watermark=ago(minutes=1), day=ago(hours=2), day_tried=ago(minutes=10), full=HOURS_AGO),
        ago(days=1),
    ),
    "after a stop of months, as far as the list goes": (
        state_after(watermark=ago(days=90), full=HOURS_AGO),
        NOW - MONTH,
    ),
    "once a day everything": (state_after(watermark=ago(minutes=1), full=ago(days=1)), NOW - MONTH),
    "not at once after a failure": (
        state_after(watermark=ago(hours=1), full=HOURS_AGO, failed=ago(seconds=59)),
        None,
    ),
    "again a minute after a failure": (
        state_after(watermark=ago(hours=1), day=HALF_PAST, full=HOURS_AGO, failed=ago(seconds=60)),
        ago(hours=1) - OVERLAP,
    ),
    "a full one that fails lets the short ones pass": (
        state_after(
            watermark=ago(hours=1),
            day_tried=ago(minutes=5),
            full=ago(days=2),
            full_tried=ago(minutes=5),
            failed=ago(minutes=4),
        ),
        ago(hours=1) - OVERLAP,
    ),
    "a full one that failed is tried again within hours": (
        state_after(watermark=ago(minutes=1), full=ago(days=2), full_tried=ago(hours=1)),
        NOW - MONTH,
    ),
    "an operator's at once, even after a failure": (
        state_after(
            watermark=ago(minutes=1), full=HOURS_AGO, failed=NOW, waiting=requested_sweep(ago(days=3))
        ),
        ago(days=3),
    ),
    "an operator's without a wish: since the last one": (
        state_after(watermark=ago(minutes=1), full=HOURS_AGO, waiting=requested_sweep(None)),
        ago(minutes=1) - OVERLAP,
    ),
    "an operator's never leaves a gap": (
        state_after(watermark=ago(days=9), full=HOURS_AGO, waiting=requested_sweep(ago(days=1))),
        ago(days=9) - OVERLAP,
    ),
    "an operator's on a fresh database looks back as far as it can": (
        state_after(waiting=requested_sweep(ago(days=1))),
        NOW - MONTH,
    ),
}


@pytest.mark.parametrize("case", sorted(CASES))
def test_a_sweep_is_due(case: str) -> None:
    state, back_to = CASES[case]
    due = find_due(state, INTERVAL)
    assert (due.since if due else None) == back_to
    assert (due.request if due else None) == state.request


@pytest.mark.parametrize(
    ("back_to", "kind"),
    [(ago(hours=23), "recent"), (ago(days=1), "day"), (ago(days=29), "day"), (ago(days=30), "full")],
)
def test_a_sweep_is_of_the_widest_kind_that_it_covers(back_to: datetime, kind: SweepKind) -> None:
    due = find_due(state_after(watermark=NOW, full=NOW, waiting=requested_sweep(back_to)), INTERVAL)
    assert due is not None
    assert due.kind == kind
