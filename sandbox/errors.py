"""Digital River's error responses: `{"type": …, "errors": [{"code", "parameter", "message"}]}`.

ApiError ─ every response that is not 2xx. The functions below construct the documented kinds.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

# Digital River, OpenAPI document, schema Errors.
TYPES: Mapping[int, str] = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    408: "request_timeout",
    409: "conflict",
    429: "too_many_requests",
    500: "internal_server_error",
    502: "bad_gateway",
    503: "service_unavailable",
    504: "gateway_timeout",
}


@dataclass(frozen=True)
class ErrorDetail:
    """One entry of `errors`. A missing code or parameter is left out, as in the samples."""

    message: str
    code: str | None = None
    parameter: str | None = None

    def as_json(self) -> dict[str, str]:
        parts = {"code": self.code, "parameter": self.parameter, "message": self.message}
        return {name: value for name, value in parts.items() if value is not None}


class ApiError(Exception):
    """Ends a request with a documented error body."""

    def __init__(self, status: int, *errors: ErrorDetail, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, *errors)
        self.status = status
        self.errors = errors
        self.headers = dict(headers or {})

    def as_response(self) -> Response:
        body = {
            "type": TYPES.get(self.status, "internal_server_error"),
            "errors": [detail.as_json() for detail in self.errors],
        }
        return JSONResponse(body, self.status, self.headers)


def bad_request(code: str, parameter: str, message: str) -> ApiError:
    return ApiError(400, ErrorDetail(message, code, parameter))


def conflict(code: str, message: str, parameter: str | None = None) -> ApiError:
    return ApiError(409, ErrorDetail(message, code, parameter))


def not_found(resource: str, resource_id: str) -> ApiError:
    return ApiError(404, ErrorDetail(f"{resource} '{resource_id}' not found.", "not_found", "id"))


def unauthorized() -> ApiError:
    """Digital River docs, Files: the 401 has neither code nor parameter."""
    return ApiError(401, ErrorDetail("An authorization error has occurred."))


def too_many_requests(retry_after: int) -> ApiError:
    """Digital River docs print status and header; the message is inferred."""
    detail = ErrorDetail("Too many requests have been made in a short time.", "too_many_requests")
    return ApiError(429, detail, headers={"Retry-After": str(retry_after)})


async def handle_api_error(_request: Request, error: Exception) -> Response:
    """Exception handler for ApiError."""
    if not isinstance(error, ApiError):
        raise error
    return error.as_response()


async def handle_unexpected_error(_request: Request, _error: Exception) -> Response:
    """An error in the sandbox itself. The server logs it."""
    return ApiError(500, ErrorDetail("An unexpected error occurred.", "unknown_error")).as_response()


async def handle_http_exception(_request: Request, error: Exception) -> Response:
    """Unknown paths and methods, answered in Digital River's error format."""
    if not isinstance(error, HTTPException):
        raise error
    code = TYPES.get(error.status_code, "unknown_error")
    detail = ErrorDetail(str(error.detail), code)
    return ApiError(error.status_code, detail, headers=error.headers).as_response()
