"""Maps every exception to the one problem that a caller sees, and logs what the caller must not see."""

from urllib.parse import quote

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from app.db.errors import is_outage
from app.db.leases import LeaseBusy
from app.digital_river import errors as upstream
from app.web import problems
from app.web.problems import MEDIA_TYPE, Problem
from app.web.routing import find_route
from app.web.validation import validation_problem

log = structlog.get_logger(__name__)

DATABASE_RETRY_SECONDS = 5.0

_PROBLEM_BY_STATUS: dict[int, type[Problem]] = {
    problem_class.status: problem_class
    for problem_class in (
        problems.Malformed,
        problems.Forbidden,
        problems.NotFound,
        problems.RequestTimeout,
        problems.Conflict,
        problems.TooLarge,
        problems.UnsupportedMedia,
        problems.Invalid,
        problems.TooManyRequests,
        problems.ServiceUnavailable,
    )
}


def install(app: FastAPI) -> None:
    """Answer the exceptions that FastAPI catches. `middleware.ErrorBoundary` catches the others."""
    for error_class in (
        Problem,
        RequestValidationError,
        HTTPException,
        upstream.DigitalRiverError,
        LeaseBusy,
    ):
        app.add_exception_handler(error_class, problem_response)


async def problem_response(request: Request, error: Exception) -> Response:
    """The answer to a request that raised this error. Logs the error."""
    problem = to_problem(error, request)
    _log(error, problem)
    document = problem.document(
        # Encoded again, because an instance is a URI reference and a decoded path may hold any character.
        instance=quote(request.scope["path"], errors="replace"),
        request_id=request.scope.get("request_id"),
    )
    body = document.model_dump_json(exclude_none=True)
    return Response(body, status_code=problem.status, headers=problem.headers, media_type=MEDIA_TYPE)


def to_problem(error: Exception, request: Request) -> Problem:
    """The problem for this error. For a group of errors it is the most serious one."""
    problem: Problem = problems.Internal()
    match error:
        case Problem():
            problem = error
        case RequestValidationError():
            problem = validation_problem(error)
        case HTTPException():
            problem = _from_framework(error, request)
        case upstream.DigitalRiverError():
            problem = _from_digital_river(error)
        case ExceptionGroup():
            parts = [to_problem(part, request) for part in error.exceptions]
            problem = max(parts, key=lambda part: (part.status == problems.Internal.status, part.status))
        case LeaseBusy():
            problem = problems.ServiceUnavailable()
        case _ if is_outage(error):
            problem = problems.ServiceUnavailable(retry_after=DATABASE_RETRY_SECONDS)
    return problem


def _from_framework(error: HTTPException, request: Request) -> Problem:
    if error.status_code == problems.MethodNotAllowed.status:
        route = find_route(request.scope)
        allowed = route.methods if route else ()
        return problems.MethodNotAllowed(headers={"Allow": ", ".join(allowed)} if allowed else error.headers)
    return _PROBLEM_BY_STATUS.get(error.status_code, problems.Malformed)()


def _from_digital_river(error: upstream.DigitalRiverError) -> Problem:
    match error:
        case upstream.Throttled() | upstream.Unavailable():
            return problems.ServiceUnavailable(retry_after=error.retry_after)
        case upstream.Missing():
            return problems.NotFound()
        case upstream.ConflictingState():
            return problems.Conflict()
        case upstream.Refused():
            return problems.Invalid.at("", "The shop's payment partner does not accept these values.")
        case _:
            return problems.BadGateway()


def _log(error: Exception, problem: Problem) -> None:
    match error:
        case upstream.DigitalRiverError():
            # Unauthorised and Garbled need a repair on our side; the others are outages or refusals.
            write = log.error if problem.status == problems.BadGateway.status else log.warning
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
        case ExceptionGroup() if problem.status != problems.Internal.status:
            for part in error.exceptions:
                _log(part, problem)
        case _ if problem.status == problems.ServiceUnavailable.status:
            log.error("database_unavailable", error=type(error).__name__)
        case _:
            log.error("unhandled_error", exc_info=error)
