"""Installs error handlers, OpenAPI and middlewares on an app, in the order in which they must run."""

import re

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from app.settings import Settings
from app.web import error_handlers, openapi
from app.web.middleware import ErrorBoundary, HeadAsGet, JsonBodyLimit, RequestContext
from app.web.rate_limits import AddressLimit

JSON_BODY_LIMIT = 1024 * 1024
JSON_BODY_SECONDS = 15.0

# The webhook endpoint verifies raw bytes under its own limit. Certificates are streamed, up to 10 MB.
_STREAMED_PATHS = re.compile(r"/webhooks/.*|/v1/customers/[^/]+/tax-certificates")

_REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "X-Request-ID",
    # W3C Trace Context: monitoring scripts of a page add these to all of its requests.
    "traceparent",
    "tracestate",
)
_EXPOSED_HEADERS = (
    "Content-Disposition",
    "ETag",
    "Idempotency-Replayed",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "WWW-Authenticate",
    "X-Request-ID",
)


def install(app: FastAPI, settings: Settings, *, rate_limited: bool = False) -> None:
    """Install error handlers, OpenAPI and the middlewares. From the outside in these are HeadAsGet,
    RequestContext, CORS (if configured), ErrorBoundary, AddressLimit (if `rate_limited`) and JsonBodyLimit.

    Refusals are answered inside the first three, so they too carry a request id and the common headers.
    """
    error_handlers.install(app)
    openapi.install(app)
    # A redirect would copy the caller's Host header into Location. Unknown paths are 404.
    app.router.redirect_slashes = False
    app.add_middleware(
        JsonBodyLimit,
        limit=JSON_BODY_LIMIT,
        seconds=JSON_BODY_SECONDS,
        is_exempt=lambda path: _STREAMED_PATHS.fullmatch(path) is not None,
    )
    if rate_limited:
        app.add_middleware(AddressLimit)
    app.add_middleware(ErrorBoundary)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
            allow_headers=(*_REQUEST_HEADERS, *settings.cors_headers),
            expose_headers=_EXPOSED_HEADERS,
        )
    app.add_middleware(
        RequestContext,
        docs_paths=frozenset({openapi.DOCS_PATH}),
        https_only=settings.environment == "production",
    )
    app.add_middleware(HeadAsGet)
