"""Which failure leads to which decision, and for how long an event is retried."""

from datetime import timedelta

import pytest

from app.db.leases import LeaseBusy
from app.digital_river import errors
from app.documents.intake import UnprocessableEvent
from app.documents.links import LinkRefusedRecently
from app.ids import EventId
from app.webhooks.inbox import Claim
from app.worker import retry_policy
from app.worker.retry_policy import MAX_ATTEMPTS, Bury, Postpone, Retry, decide


def held(attempts: int = 1) -> Claim:
    return Claim(EventId("e"), "order.invoice.created", "{}", attempts, attempts, timedelta(0), 0)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.Throttled("429", retry_after=7), Postpone),
        (errors.BreakerOpen(7), Postpone),
        (errors.NoConnectionFree(), Postpone),
        (LeaseBusy("link"), Postpone),
        (errors.Unauthorised(401), Postpone),
        (LinkRefusedRecently("host", retry_after=50), Postpone),
        (errors.Unavailable("503"), Retry),
        (errors.Missing(), Retry),
        (errors.Garbled("not JSON"), Retry),
        (TimeoutError(), Retry),
        (UnprocessableEvent("no order"), Bury),
    ],
)
def test_each_failure_leads_to_its_decision(error: Exception, kind: type) -> None:
    assert isinstance(decide(error, held()), kind)


def test_a_postponement_lasts_as_long_as_digital_river_asks_after_the_last_attempt() -> None:
    what = decide(errors.Throttled("429", retry_after=120), held(MAX_ATTEMPTS))
    assert isinstance(what, Postpone)
    assert what.delay >= timedelta(seconds=120)


def test_the_last_attempt_ends_in_burial_with_the_error() -> None:
    what = decide(errors.Unavailable("503"), held(MAX_ATTEMPTS))
    assert isinstance(what, Bury)
    assert "Unavailable" in what.reason


def test_all_attempts_together_span_about_two_days() -> None:
    total = sum((retry_policy.backoff(attempt) for attempt in range(1, MAX_ATTEMPTS)), timedelta())
    assert timedelta(days=1.3) < total < timedelta(days=2.7)


def test_a_missing_resource_has_more_than_an_hour_to_appear() -> None:
    quickest = [retry_policy.FIRST_DELAY * 2 ** (attempt - 1) * 0.75 for attempt in range(1, MAX_ATTEMPTS)]
    assert sum(quickest, timedelta()) > timedelta(hours=1)


def test_a_description_holds_no_text_of_foreign_exceptions() -> None:
    assert retry_policy.describe(ValueError("ada@example.com")) == "ValueError"
