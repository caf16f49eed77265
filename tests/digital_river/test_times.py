"""Bounds of time as Digital River reads them: whole seconds, and never narrower than what was meant."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from app.digital_river.times import from_instant, to_instant


@pytest.mark.parametrize(
    ("instant", "lower", "upper"),
    [
        (datetime(2026, 1, 31, 9, 30, tzinfo=UTC), "2026-01-31T09:30:00Z", "2026-01-31T09:30:00Z"),
        (datetime(2026, 1, 31, 9, 30, 0, 1, UTC), "2026-01-31T09:30:00Z", "2026-01-31T09:30:01Z"),
        (
            datetime(2026, 1, 31, 9, 30, tzinfo=timezone(timedelta(hours=1))),
            "2026-01-31T08:30:00Z",
            "2026-01-31T08:30:00Z",
        ),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        (datetime.max.replace(tzinfo=UTC), "9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
    ],
)
def test_a_bound_is_the_whole_second_around_it(instant: datetime, lower: str, upper: str) -> None:
    assert (from_instant(instant), to_instant(instant)) == (lower, upper)
