"""Which failure gets which remedy, and how long patience lasts."""

from datetime import timedelta

import pytest

from app import remedies
from app.db.leases import LeaseBusy
from app.digital_river import errors
from app.documents.intake import Unreadable
from app.ids import EventId
from app.remedies import MAX_ATTEMPTS, Again, Never, Wait, remedy
from app.webhooks.inbox import Claim


def held(attempts: int = 1) -> Claim:
    return Claim(EventId("e"), "order.invoice.created", "{}", attempts, attempts, timedelta(0))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.Throttled("429", retry_after=7), Wait),
        (errors.BreakerOpen(7), Wait),
        (errors.Crowded(), Wait),
        (LeaseBusy("link"), Wait),
        (errors.Unauthorised(401), Wait),
        (errors.Unavailable("503"), Again),
        (errors.Missing(), Again),
        (errors.Garbled("not JSON"), Again),
        (TimeoutError(), Again),
        (Unreadable("no order"), Never),
    ],
)
def test_each_failure_has_its_remedy(error: Exception, kind: type) -> None:
    assert isinstance(remedy(error, held()), kind)


def test_waiting_lasts_as_long_as_the_far_side_asks_even_after_the_last_attempt() -> None:
    what = remedy(errors.Throttled("429", retry_after=120), held(MAX_ATTEMPTS))
    assert isinstance(what, Wait)
    assert what.delay >= timedelta(seconds=120)


def test_the_last_attempt_ends_in_burial_with_the_error() -> None:
    what = remedy(errors.Unavailable("503"), held(MAX_ATTEMPTS))
    assert isinstance(what, Never)
    assert "Unavailable" in what.reason


def test_all_attempts_together_span_about_two_days() -> None:
    total = sum((remedies.backoff(attempt) for attempt in range(1, MAX_ATTEMPTS)), timedelta())
    assert timedelta(days=1.3) < total < timedelta(days=2.7)


def test_something_just_announced_has_more_than_an_hour_to_appear() -> None:
    quickest = [remedies.FIRST_DELAY * 2 ** (attempt - 1) * 0.75 for attempt in range(1, MAX_ATTEMPTS)]
    assert sum(quickest, timedelta()) > timedelta(hours=1)


def test_a_description_holds_no_text_of_foreign_exceptions() -> None:
    assert remedies.describe(ValueError("ada@example.com")) == "ValueError"
