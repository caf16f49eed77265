"""Which calls the client repeats after a failure, and which it must not repeat."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from io import BytesIO

import httpx
import pytest

from app.digital_river.api import customers, files, orders, tax_identifiers
from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.client.request import DEFAULT_DEADLINES, Upload
from app.digital_river.errors import DigitalRiverError, Missing, Unavailable
from app.digital_river.models import CustomerChanges
from app.ids import CustomerId, FileId, OrderId, SourceId, TaxIdentifierId
from tests.support.clock import now, run_on_jumping_clock
from tests.support.digital_river import Line, ScriptedDigitalRiver, answer, found

Calling = Callable[[DigitalRiverClient], Awaitable[object]]


def get_order(digital_river: DigitalRiverClient) -> Awaitable[object]:
    return orders.fetch_any_order(digital_river, OrderId("1"))


def change_customer(digital_river: DigitalRiverClient) -> Awaitable[object]:
    return customers.update_customer(digital_river, CustomerId("c"), CustomerChanges(email="a@b.test"))


def detach(digital_river: DigitalRiverClient) -> Awaitable[object]:
    return customers.detach_source(digital_river, CustomerId("c"), SourceId("s"))


def attempts(scripted: ScriptedDigitalRiver, calling: Calling) -> tuple[int, DigitalRiverError | None]:
    """The number of requests, and the outcome."""

    async def scenario() -> DigitalRiverError | None:
        async with scripted.opened() as digital_river:
            try:
                await calling(digital_river)
            except DigitalRiverError as error:
                return error
            return None

    error = run_on_jumping_clock(scenario())
    return len(scripted.requests), error


LOST_ON_THE_WAY: list[Line] = [
    answer(500),
    answer(502),
    answer(503),
    answer(504),
    answer(408),
    httpx.ReadError("reset"),
    httpx.ReadTimeout("silence"),
    httpx.RemoteProtocolError("half an answer"),
]
NEVER_CONNECTED: list[Line] = [
    httpx.ConnectError("refused"),
    httpx.PoolTimeout("no connection free"),
    httpx.ConnectTimeout("nobody there"),
]
SAID_NO: list[Line] = [answer(status) for status in (400, 401, 403, 404, 405, 406, 409, 422, 301)]


@pytest.mark.parametrize("failure", [*LOST_ON_THE_WAY, *NEVER_CONNECTED])
@pytest.mark.parametrize("calling", [get_order, detach])
def test_reads_and_deletions_are_repeated_until_they_succeed(calling: Calling, failure: Line) -> None:
    assert attempts(ScriptedDigitalRiver([failure, failure, found()]), calling) == (3, None)


@pytest.mark.parametrize("calling", [get_order, detach])
def test_two_repeats_are_the_most(calling: Calling) -> None:
    count, error = attempts(ScriptedDigitalRiver([answer(503)]), calling)
    assert count == 3
    assert isinstance(error, Unavailable)


@pytest.mark.parametrize("failure", LOST_ON_THE_WAY)
def test_a_write_that_may_have_arrived_is_not_repeated(failure: Line) -> None:
    count, error = attempts(ScriptedDigitalRiver([failure, found()]), change_customer)
    assert count == 1
    assert isinstance(error, Unavailable)
    assert error.sent


@pytest.mark.parametrize("failure", NEVER_CONNECTED)
def test_a_write_that_cannot_have_arrived_is_repeated(failure: Line) -> None:
    assert attempts(ScriptedDigitalRiver([failure, found()]), change_customer) == (2, None)


@pytest.mark.parametrize("calling", [get_order, change_customer, detach])
@pytest.mark.parametrize("refusal", SAID_NO)
def test_a_refusal_is_never_repeated(calling: Calling, refusal: Line) -> None:
    count, error = attempts(ScriptedDigitalRiver([refusal, found()]), calling)
    assert count == 1
    assert error is not None


@pytest.mark.parametrize("calling", [get_order, change_customer])
def test_garbage_is_never_repeated(calling: Calling) -> None:
    count, error = attempts(ScriptedDigitalRiver([httpx.Response(200, text="<html>"), found()]), calling)
    assert count == 1
    assert error is not None


def test_a_deletion_whose_answer_was_lost_counts_as_done_if_the_resource_is_gone() -> None:
    assert attempts(ScriptedDigitalRiver([httpx.ReadTimeout("silence"), answer(404)]), detach) == (2, None)


def test_a_deletion_of_what_was_never_there_is_missing() -> None:
    count, error = attempts(
        ScriptedDigitalRiver([answer(404)]),
        lambda digital_river: tax_identifiers.delete_tax_identifier(digital_river, TaxIdentifierId("t")),
    )
    assert count == 1
    assert isinstance(error, Missing)


def test_repeats_wait_as_long_as_digital_river_asks() -> None:
    scripted = ScriptedDigitalRiver([answer(503, retry_after="4"), found()])
    assert attempts(scripted, get_order) == (2, None)
    assert scripted.times[1] - scripted.times[0] >= 4


def test_a_repeat_that_would_miss_the_deadline_is_not_awaited() -> None:
    async def scenario() -> float:
        began = now()
        async with ScriptedDigitalRiver([answer(503, retry_after="60")]).opened() as digital_river:
            with pytest.raises(Unavailable) as caught:
                await get_order(digital_river)
        assert caught.value.retry_after == 60
        return now() - began

    assert run_on_jumping_clock(scenario()) < 1


def test_all_attempts_together_stay_within_the_total_deadline() -> None:
    scripted = ScriptedDigitalRiver([httpx.ReadTimeout("silence"), 60.0])

    async def scenario() -> float:
        began = now()
        async with scripted.opened() as digital_river:
            with pytest.raises(Unavailable):
                await orders.fetch_any_order(digital_river, OrderId("1"))
        return now() - began

    assert run_on_jumping_clock(scenario()) == pytest.approx(DEFAULT_DEADLINES.total, abs=0.01)
    assert len(scripted.requests) == 2


def test_one_request_keeps_its_id_through_all_repeats() -> None:
    scripted = ScriptedDigitalRiver([answer(500), found()])
    attempts(scripted, get_order)
    first, second = (request.headers["upstream-id"] for request in scripted.requests)
    assert first == second


def test_the_creation_of_a_link_is_never_repeated() -> None:
    count, error = attempts(
        ScriptedDigitalRiver([httpx.ReadTimeout("silence"), found()]),
        lambda digital_river: files.create_link(digital_river, FileId("f"), datetime(2030, 1, 1, tzinfo=UTC)),
    )
    assert count == 1
    assert isinstance(error, Unavailable)


@pytest.mark.parametrize("failure", [*NEVER_CONNECTED, answer(503), answer(429, retry_after="1")])
def test_an_upload_is_never_repeated(failure: Line) -> None:
    upload = Upload("a.pdf", "application/pdf", BytesIO(b"%PDF"))
    count, error = attempts(
        ScriptedDigitalRiver([failure, found()]),
        lambda digital_river: files.upload_file(digital_river, purpose="p", upload=upload),
    )
    assert count == 1
    assert error is not None
