"""From whatever was raised to the one answer a caller sees (far side to near side), and what is logged."""

from urllib.parse import quote

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from app.db.errors import is_outage
from app.db.leases import LeaseBusy
from app.digital_river import errors as upstream
from app.web import problems as near
from app.web.problems import MEDIA_TYPE, Problem
from app.web.routing import find_route
from app.web.validation import refused

log = structlog.get_logger(__name__)

DATABASE_RETRY_SECONDS = 5.0

_BY_STATUS: dict[int, type[Problem]] = {
    kind.status: kind
    for kind in (
        near.Malformed,
        near.Forbidden,
        near.NotFound,
        near.RequestTimeout,
        near.Conflict,
        near.TooLarge,
        near.UnsupportedMedia,
        near.Invalid,
        near.TooManyRequests,
        near.ServiceUnavailable,
    )
}


def install(app: FastAPI) -> None:
    """Make every failure that FastAPI sees a problem; `middleware.Envelope` hands the others to `answer`."""
    for kind in (Problem, RequestValidationError, HTTPException, upstream.DigitalRiverError, LeaseBusy):
        app.add_exception_handler(kind, answer)


async def answer(request: Request, error: Exception) -> Response:
    """The problem document for this error; logs what a caller must not see."""
    problem = problem_of(error, request)
    _log(error, problem)
    document = problem.document(
        # Percent-encoded again, because an instance is a URI reference and a path may hold anything.
        instance=quote(request.scope["path"], errors="replace"),
        request_id=request.scope.get("request_id"),
    )
    body = document.model_dump_json(exclude_none=True)
    return Response(body, status_code=problem.status, headers=problem.headers, media_type=MEDIA_TYPE)


def problem_of(error: Exception, request: Request) -> Problem:
    """What to tell the caller about any error. Of several at once the gravest is told."""
    told: Problem = near.Internal()
    match error:
        case Problem():
            told = error
        case RequestValidationError():
            told = refused(error)
        case HTTPException():
            told = _from_framework(error, request)
        case upstream.DigitalRiverError():
            told = _from_far_side(error)
        case ExceptionGroup():
            parts = [problem_of(one, request) for one in error.exceptions]
            told = max(parts, key=lambda part: (part.status == near.Internal.status, part.status))
        case LeaseBusy():
            told = near.ServiceUnavailable()
        case _ if is_outage(error):
            told = near.ServiceUnavailable(retry_after=DATABASE_RETRY_SECONDS)
    return told


def _from_framework(error: HTTPException, request: Request) -> Problem:
    if error.status_code == near.MethodNotAllowed.status:
        facts = find_route(request.scope)
        allowed = facts.methods if facts else ()
        return near.MethodNotAllowed(headers={"Allow": ", ".join(allowed)} if allowed else error.headers)
    return _BY_STATUS.get(error.status_code, near.Malformed)()


def _from_far_side(error: upstream.DigitalRiverError) -> Problem:
    match error:
        case upstream.Throttled() | upstream.Unavailable():
            return near.ServiceUnavailable(retry_after=error.retry_after)
        case upstream.Missing():
            return near.NotFound()
        case upstream.ConflictingState():
            return near.Conflict()
        case upstream.Refused():
            return near.Invalid.at("", "The shop's payment partner does not accept these values.")
        case _:
            return near.BadGateway()


def _log(error: Exception, problem: Problem) -> None:
    match error:
        case upstream.DigitalRiverError():
            # Unauthorised and Garbled are for us to repair; the others happen to everybody.
            write = log.error if problem.status == near.BadGateway.status else log.warning
            write(
                "far_side_failed",
                error=type(error).__name__,
                why=str(error),
                codes=getattr(error, "codes", ()),
            )
        case Problem() | RequestValidationError() | HTTPException():
            pass
        case LeaseBusy():
            log.warning("lease_busy")
        case ExceptionGroup() if problem.status != near.Internal.status:
            for one in error.exceptions:
                _log(one, problem)
        case _ if problem.status == near.ServiceUnavailable.status:
            log.error("database_unavailable", error=type(error).__name__)
        case _:
            log.error("unhandled_error", exc_info=error)
