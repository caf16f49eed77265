"""A log line is JSON that a machine can read, and it holds no secret."""

import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from app.logging import MASK, configure, log_info

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    kept, configuration = (root.handlers[:], root.level), structlog.get_config()
    written = io.StringIO()
    configure(with_messages=False, stream=written)
    yield written
    structlog.configure(**configuration)
    root.handlers, root.level = kept


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_has_its_event_keys_level_and_time(stream: io.StringIO) -> None:
    structlog.get_logger("x").info("stored", event_id="e1", ms=1.5, more=("a", 1))
    (line,) = lines(stream)
    assert line.pop("at").endswith("Z")
    assert line == {"event": "stored", "level": "info", "event_id": "e1", "ms": 1.5, "more": ["a", 1]}


@pytest.mark.parametrize(
    "fields",
    [
        {"request_id": "r", "method": "POST", "route": None, "status": 202, "ms": 1.5, "is_new": True},
        {"event_id": "é\x7f \ud83d", "order": object(), "more": ["a@b.c", 1, {"token": "x"}]},
        {"secret": "x", "reason": f"see {TOKEN}", "link": 7, "why": "https://files.test/x", "_own": "x"},
        {"long": "x" * 3000, "ids": {"a"}},
    ],
)
def test_the_short_way_writes_the_bytes_of_structlog(stream: io.StringIO, fields: dict[str, Any]) -> None:
    with structlog.contextvars.bound_contextvars(event_id="e1", route="/bound", secret="x"):
        structlog.get_logger("x").info("request", **fields)
        log_info("request", **fields)
    at = re.compile(r'"at":\s?"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z"')
    usual, short = (at.sub("AT", line) for line in stream.getvalue().splitlines())
    assert "AT" in short
    assert short == usual


def test_a_test_that_captures_logs_gets_those_of_the_short_way_too(stream: io.StringIO) -> None:
    with structlog.testing.capture_logs() as captured:
        log_info("request", status=202)
    assert captured == [{"event": "request", "status": 202, "log_level": "info"}]
    assert stream.getvalue() == ""


@pytest.mark.parametrize("text", ["é", "\x9b2J", "\u202efdp", "\u2028", "\x7f", "cut \ud83d"])
def test_a_line_is_ascii_whatever_a_text_holds(stream: io.StringIO, text: str) -> None:
    structlog.get_logger("x").info("something", text=text)
    line = stream.getvalue()
    assert line.isascii()
    assert line.removesuffix("\n").isprintable()
    assert json.loads(line)["text"] == text


def test_private_keys_are_masked_and_ids_are_not(stream: io.StringIO) -> None:
    private = {
        "url": "x",
        "link_url": "x",
        "access_token": "x",
        "Authorization": "x",
        "email": "x",
        "secret": "x",
    }
    structlog.get_logger("x").info("stored", **private, token_id="kept", nested={"password": "x", "a": 1})
    (line,) = lines(stream)
    assert {line[key] for key in private} == {MASK}
    assert (line["token_id"], line["nested"]) == ("kept", {"password": MASK, "a": 1})


@pytest.mark.parametrize(
    "text",
    [
        "https://files.test/links/abc?x=1",
        "ada@example.test",
        TOKEN,
        "sk_live_abc123",
        "whs_abc123",
        "Bearer abc",
        "postgresql://portal:geheim@db.test/portal",
    ],
)
def test_private_texts_are_masked_under_any_key_also_in_the_logs_of_libraries(
    stream: io.StringIO, text: str
) -> None:
    structlog.get_logger("x").info(f"saw {text}", reason=f"({text})", several=[text])
    logging.getLogger("library").warning("saw %s", text)
    assert len(lines(stream)) == 2
    assert text not in stream.getvalue()
    assert stream.getvalue().count(MASK) == 4


def test_an_object_leaves_only_its_type(stream: io.StringIO) -> None:
    structlog.get_logger("x").info("stored", order=object())
    assert lines(stream)[0]["order"] == "<object>"


def fail() -> None:
    try:
        raise KeyError("4111-1111")
    except KeyError as error:
        raise ExceptionGroup("both 4111-1111", [ValueError("4111-1111")]) from error


@pytest.mark.parametrize("through", ["structlog", "logging"])
def test_an_exception_is_shown_by_class_and_place_but_not_by_its_words(
    stream: io.StringIO, through: str
) -> None:
    try:
        fail()
    except ExceptionGroup as error:
        if through == "structlog":
            structlog.get_logger("x").error("failed", exc_info=error)
        else:
            logging.getLogger("library").exception("failed")
    (line,) = lines(stream)
    assert line["error"] == ["builtins.ExceptionGroup", "builtins.ValueError", "builtins.KeyError"]
    assert any(place.endswith(" fail") for place in line["stack"])
    assert "4111" not in stream.getvalue()


def test_development_shows_the_words_too(stream: io.StringIO) -> None:
    configure(with_messages=True, stream=stream)
    structlog.get_logger("x").error("failed", exc_info=ValueError("the reason"))
    assert lines(stream)[0]["messages"] == ["the reason"]


def test_uvicorns_own_access_log_is_silent_and_its_errors_are_not(stream: io.StringIO) -> None:
    logging.getLogger("uvicorn.access").info('"GET /v1/orders?orderId=1 HTTP/1.1" 200')
    logging.getLogger("uvicorn.error").info("Application startup complete.")
    assert [line["event"] for line in lines(stream)] == ["Application startup complete."]


def test_verbose_libraries_log_from_warning_on(stream: io.StringIO) -> None:
    logging.getLogger("httpx").info("HTTP Request: GET http://x.test")
    assert lines(stream) == []
