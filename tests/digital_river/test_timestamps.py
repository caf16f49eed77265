"""Time bounds as Digital River reads them: whole seconds, and never narrower than the caller asked."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import TypeAdapter

from app.digital_river.models.files import File
from app.digital_river.models.timestamps import format_ceiling, format_floor
from app.digital_river.models.tolerant_model import read
from app.web.api_model import Instant
from app.webhooks.event import read_event


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
    assert (format_floor(instant), format_ceiling(instant)) == (lower, upper)


ENDS_OF_TIME = ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"]


@pytest.mark.parametrize("text", ENDS_OF_TIME)
def test_a_time_beyond_the_calendar_is_missing_and_reported(text: str) -> None:
    file, misfits = read(File, {"id": "one", "fileName": "one.pdf", "createdTime": text})
    assert (file.created_time, file.file_name) == (None, "one.pdf")
    assert [one.field for one in misfits] == ["File.createdTime"]
    event = {"id": "one", "type": "order.invoice.created", "createdTime": text}
    assert read_event(json.dumps(event).encode(), ()).happened_at is None


@pytest.mark.parametrize("infinity", [datetime.min, datetime.max])  # noqa: DTZ901  # as asyncpg has them
def test_an_infinity_that_is_stored_already_is_shown(infinity: datetime) -> None:
    assert TypeAdapter(Instant).validate_python(infinity) == infinity.replace(tzinfo=UTC)
