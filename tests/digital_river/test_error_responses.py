"""Every answer that is not 2xx becomes the error that says what to do, whatever its body holds."""

import json

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.digital_river.api import orders
from app.digital_river.client.error_responses import error_for, read_error_response, redact
from app.digital_river.errors import (
    ConflictingState,
    DigitalRiverError,
    Garbled,
    Missing,
    Refused,
    Throttled,
    Unauthorised,
    Unavailable,
)
from app.ids import OrderId
from tests.data.digital_river import errors
from tests.support.clock import run_on_jumping_clock
from tests.support.digital_river import ScriptedDigitalRiver
from tests.support.proofs import proofs_except

REMEDIES: dict[int, type[DigitalRiverError]] = {
    301: Garbled,
    304: Garbled,
    400: Refused,
    401: Unauthorised,
    403: Unauthorised,
    404: Missing,
    405: Refused,
    406: Refused,
    408: Unavailable,
    409: ConflictingState,
    413: Refused,
    415: Refused,
    422: Refused,
    429: Throttled,
    500: Unavailable,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
    599: Unavailable,
}

BODIES = {
    "documented": b'{"type":"conflict","errors":[{"code":"a","parameter":"b","message":"c"}]}',
    "empty": b"",
    "a page of HTML": b"<html><body>Bad gateway</body></html>",
    "null": b"null",
    "a list": b"[]",
    "errors that are no list": b'{"errors":"many"}',
    "errors that are no objects": b'{"errors":[1,null,"x"]}',
    "nulls everywhere": b'{"type":null,"errors":[{"code":null,"parameter":null,"message":null}]}',
    "no text at all": b"\xff\xfe\x00",
}


def error(status: int, body: bytes, **headers: str) -> DigitalRiverError:
    return error_for(
        read_error_response(status, {name.replace("_", "-"): text for name, text in headers.items()}, body)
    )


@pytest.mark.parametrize("body", proofs_except([BODIES["documented"]], BODIES.values()), ids=BODIES.keys())
@pytest.mark.parametrize("status", REMEDIES)
def test_the_status_alone_decides_the_remedy(status: int, body: bytes) -> None:
    made = error(status, body, x_dr_requestid="dr-7")
    assert type(made) is REMEDIES[status]
    assert made.request_id == "dr-7"


@given(st.integers(100, 199) | st.integers(300, 999), st.binary(max_size=200))
def test_no_answer_breaks_the_reader(status: int, body: bytes) -> None:
    assert isinstance(error(status, body), DigitalRiverError)


def test_codes_and_parameters_run_in_parallel_and_missing_ones_are_empty() -> None:
    body = b'{"errors":[{"code":"x"},{"parameter":"y","message":"m"},{"code":"z","parameter":"w"}]}'
    refused = error(400, body)
    assert isinstance(refused, Refused)
    assert (refused.status, refused.codes, refused.parameters) == (400, ("x", "", "z"), ("", "y", "w"))


def test_a_conflict_over_something_missing_stays_a_conflict_with_its_code() -> None:
    conflict = error(409, b'{"errors":[{"code":"not_found","parameter":"id"}]}')
    assert isinstance(conflict, ConflictingState)
    assert conflict.codes == ("not_found",)


def test_the_variant_with_a_description_and_without_a_type_is_read() -> None:
    body = b'{"errors":[{"code":"payment_authorization_failed","parameter":"orderId","description":"No."}]}'
    answer = read_error_response(409, {}, body)
    assert (answer.codes, answer.messages) == (("payment_authorization_failed",), ("No.",))


def test_waiting_times_come_through() -> None:
    throttled, unavailable = error(429, b"", retry_after="120"), error(503, b"", retry_after="9")
    assert isinstance(throttled, Throttled)
    assert throttled.retry_after == 120
    assert isinstance(unavailable, Unavailable)
    assert unavailable.retry_after == 9


def test_all_documented_errors_are_read() -> None:
    found = errors()
    assert found
    for sample in found:
        answer = read_error_response(sample["status"], {}, json.dumps(sample["body"]).encode())
        printed = sample["body"]["errors"]
        assert answer.codes == tuple(one.get("code", "") for one in printed)
        assert answer.parameters == tuple(one.get("parameter", "") for one in printed)
        assert all(answer.messages)
        assert isinstance(error_for(answer), REMEDIES[answer.status])


@pytest.mark.parametrize(
    ("message", "logged"),
    [
        ("'YEM' is not a valid currency.", "'…' is not a valid currency."),
        ("Tax identifier 'IT12345678901' invalid.", "Tax identifier '…' invalid."),
        ("Order 204440790336 not found", "Order … not found"),
        (
            "You cannot replace a tax identifier's customer id.",
            "You cannot replace a tax identifier's customer id.",
        ),
        ("The buyer's name 'Conan O'Brien' is odd", "The buyer's name '…' is odd"),
        ("jane@example.com is taken, see https://x.test/links/1", "… is taken, see …"),
        ('"Jane Doe" is no name', "'…' is no name"),
        ("Card 4444222233331111", "Card …"),
    ],
)
def test_a_message_loses_what_it_quotes_before_it_is_logged(message: str, logged: str) -> None:
    assert redact(message) == logged


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html>",
        "null",
        "[]",
        "{}",
        '"text"',
        '{"id": {"a": 1}}',
        '{"id": "1", "totalAmount": []}',
        '{"id": "1"',
    ],
)
def test_a_2xx_that_is_not_what_was_promised_is_garbled_and_quotes_nothing(body: str) -> None:
    async def scenario() -> Garbled:
        response = httpx.Response(200, text=body, headers={"x-dr-requestid": "dr-8"})
        async with ScriptedDigitalRiver([response]).opened() as digital_river:
            with pytest.raises(Garbled) as caught:
                await orders.fetch_any_order(digital_river, OrderId("1"))
            return caught.value

    garbled = run_on_jumping_clock(scenario())
    assert garbled.request_id == "dr-8"
    assert "html" not in str(garbled)
    assert garbled.__cause__ is None


def test_an_answer_without_end_is_garbled() -> None:
    async def scenario() -> None:
        response = httpx.Response(200, content=b'{"id":"' + b"x" * (8 * 1024 * 1024))
        async with ScriptedDigitalRiver([response]).opened() as digital_river:
            with pytest.raises(Garbled, match="too large"):
                await orders.fetch_any_order(digital_river, OrderId("1"))

    run_on_jumping_clock(scenario())
