"""Every failure becomes one problem that helps the caller and reveals nothing internal."""

import logging
from typing import Any

import asyncpg
import httpx
import pytest
from sqlalchemy import exc as sql
from structlog.testing import capture_logs

from app.db.leases import LeaseBusy
from app.digital_river import errors as upstream
from app.web import problems as near
from tests.web.small_app import RouteState

PRIVATE = "ada@example.test 4111-1111"


def problem(response: httpx.Response) -> dict[str, Any]:
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["status"] == response.status_code
    assert document["type"].startswith("urn:portal:problem:")
    assert document["requestId"] == response.headers["x-request-id"]
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "private, no-store"
    assert PRIVATE not in response.text
    return document


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (upstream.Unavailable(PRIVATE), 503),
        (upstream.BreakerOpen(7.2), 503),
        (upstream.Throttled(PRIVATE, retry_after=7.2), 503),
        (upstream.Garbled(PRIVATE), 502),
        (upstream.Unauthorised(401), 502),
        (upstream.DigitalRiverError(PRIVATE), 502),
        (upstream.Missing((PRIVATE,)), 404),
        (upstream.ConflictingState((PRIVATE,)), 409),
        (upstream.Refused(400, (PRIVATE,), (PRIVATE,)), 422),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_a_failure_of_digital_river_becomes_a_problem_without_its_text(
    http: httpx.AsyncClient, route_state: RouteState, error: Exception, status: int
) -> None:
    route_state.error = error
    response = await http.get("/v1/raise")
    assert response.status_code == status
    problem(response)
    assert ("retry-after" in response.headers) == (status == 503)


async def test_the_retry_after_of_digital_river_is_passed_on_rounded_up(
    http: httpx.AsyncClient, route_state: RouteState
) -> None:
    route_state.error = upstream.Throttled("slow down", retry_after=7.2)
    assert (await http.get("/v1/raise")).headers["retry-after"] == "8"


def invalidated() -> sql.DBAPIError:
    return sql.DBAPIError(PRIVATE, {}, Exception(PRIVATE), connection_invalidated=True)


def wrapped(cause: Exception) -> sql.DBAPIError:
    """As SQLAlchemy's asyncpg dialect does: the driver's error is the cause of the translated one."""
    translated = Exception("translated")
    translated.__cause__ = cause
    return sql.DBAPIError(PRIVATE, {}, translated)


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.ConnectionDoesNotExistError(PRIVATE),
        asyncpg.CannotConnectNowError(PRIVATE),
        asyncpg.AdminShutdownError(PRIVATE),
        asyncpg.TooManyConnectionsError(PRIVATE),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.InternalClientError("cannot switch to state 12"),
        sql.OperationalError(PRIVATE, {}, Exception(PRIVATE)),
        sql.InterfaceError(PRIVATE, {}, Exception(PRIVATE)),
        sql.TimeoutError(PRIVATE),
        invalidated(),
        wrapped(asyncpg.AdminShutdownError(PRIVATE)),
        ConnectionRefusedError(111, "refused"),
        LeaseBusy("link:file"),
        OSError("Multiple exceptions: [Errno 111] …"),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_database_that_is_down_is_unavailable_and_not_our_bug(
    http: httpx.AsyncClient, route_state: RouteState, error: Exception
) -> None:
    route_state.error = error
    response = await http.get("/v1/raise")
    assert response.status_code == 503
    assert problem(response)["type"] == "urn:portal:problem:unavailable"
    assert int(response.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(PRIVATE),
        FileNotFoundError(2, "no such file", PRIVATE),
        asyncpg.UniqueViolationError(PRIVATE),
        asyncpg.InterfaceError("cannot perform operation: another operation is in progress"),
        sql.IntegrityError(PRIVATE, {}, Exception(PRIVATE)),
        wrapped(asyncpg.UniqueViolationError(PRIVATE)),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_bug_is_a_500_that_says_nothing_and_is_logged_once(
    http: httpx.AsyncClient, route_state: RouteState, error: Exception
) -> None:
    route_state.error = error
    with capture_logs() as lines:
        response = await http.get("/v1/raise")
    assert response.status_code == 500
    assert problem(response)["detail"] == near.Internal.default_detail
    assert "hint" not in problem(response)
    assert [line["exc_info"] for line in lines if line["log_level"] == "error"] == [error]


async def test_the_gravest_of_several_failures_is_answered(
    http: httpx.AsyncClient, route_state: RouteState
) -> None:
    route_state.error = ExceptionGroup("reads", [upstream.Missing(), upstream.Unavailable("down")])
    assert (await http.get("/v1/raise")).status_code == 503
    route_state.error = ExceptionGroup(
        "reads", [upstream.Unavailable("down"), ExceptionGroup("inner", [KeyError("x")])]
    )
    assert (await http.get("/v1/raise")).status_code == 500


async def test_an_answer_that_has_begun_is_broken_off_and_not_patched(http: httpx.AsyncClient) -> None:
    with pytest.raises(RuntimeError, match="after the answer began"):
        await http.get("/v1/break")


async def test_an_unknown_path_is_a_problem_naming_itself_as_a_uri(http: httpx.AsyncClient) -> None:
    response = await http.get("/v1/nothing%20here/%00ü")
    assert response.status_code == 404
    assert problem(response)["instance"] == "/v1/nothing%20here/%00%C3%BC"


async def test_a_trailing_slash_is_not_redirected_to_the_host_that_the_caller_named(
    http: httpx.AsyncClient,
) -> None:
    response = await http.get("/v1/orders/", headers={"host": "evil.test"})
    assert (response.status_code, response.headers.get("location")) == (404, None)


async def test_a_wrong_method_is_answered_with_the_allowed_ones(http: httpx.AsyncClient) -> None:
    for method in ("DELETE", "OPTIONS", "PURGE"):
        response = await http.request(method, "/v1/profile")
        assert response.status_code == 405
        problem(response)
        assert response.headers["allow"] == "GET, HEAD, PATCH, POST"
    assert (await http.options("/v1/invoices")).headers["allow"] == "POST"


async def test_a_missing_token_is_challenged(http: httpx.AsyncClient, route_state: RouteState) -> None:
    route_state.error = near.Unauthenticated()
    response = await http.get("/v1/raise")
    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
    problem(response)


async def test_nothing_is_written_to_the_standard_loggers_while_answering(
    http: httpx.AsyncClient, route_state: RouteState, caplog: pytest.LogCaptureFixture
) -> None:
    route_state.error = RuntimeError(PRIVATE)
    with caplog.at_level(logging.WARNING):
        await http.get("/v1/raise")
    assert caplog.records == []


def test_every_kind_of_problem_has_its_own_type() -> None:
    kinds: list[type[near.Problem]] = []
    open_kinds: list[type[near.Problem]] = [near.Problem]
    while open_kinds:
        subclasses = open_kinds.pop().__subclasses__()
        open_kinds += subclasses
        kinds += [kind for kind in subclasses if not kind.__name__.startswith("_")]
    assert len(kinds) >= 16
    assert len({kind.type_uri() for kind in kinds}) == len(kinds)
