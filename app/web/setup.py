"""Puts the web room's parts on an app, in the one order in which they keep their promises."""

import re

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from app.settings import Settings
from app.web import docs, error_handlers, openapi
from app.web.middleware import ErrorBoundary, HeadAsGet, JsonBodyLimit, RequestContext
from app.web.rate_limits import AddressLimit

JSON_BODY_LIMIT = 1024 * 1024
JSON_BODY_SECONDS = 15.0

# The webhook endpoint verifies raw bytes under its own limit; certificates are streamed and may have 10 MB.
_READS_ITSELF = re.compile(r"/webhooks/.*|/v1/customers/[^/]+/tax-certificates")

_READ_HEADERS = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "X-Request-ID",
    # W3C Trace Context: what measures a page adds them to all of its requests.
    "traceparent",
    "tracestate",
)
_SHOWN_HEADERS = (
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


def install(app: FastAPI, settings: Settings, *, is_limited: bool = False) -> None:
    """Failures, OpenAPI, and the middlewares: outside in HeadAsGet, Envelope, CORS (if any), LastResort,
    AddressLimit (where requests are limited), JsonBodies.

    Every refusal is answered inside of the first three, so it too carries a request id and their headers.
    """
    error_handlers.install(app)
    openapi.install(app)
    docs.install(app)
    # A redirect would repeat the caller's Host header in its Location; unknown paths are 404.
    app.router.redirect_slashes = False
    app.add_middleware(
        JsonBodyLimit,
        limit=JSON_BODY_LIMIT,
        seconds=JSON_BODY_SECONDS,
        reads_itself=lambda path: _READS_ITSELF.fullmatch(path) is not None,
    )
    if is_limited:
        app.add_middleware(AddressLimit)
    app.add_middleware(ErrorBoundary)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
            allow_headers=(*_READ_HEADERS, *settings.cors_headers),
            expose_headers=_SHOWN_HEADERS,
        )
    app.add_middleware(
        RequestContext,
        docs_paths=frozenset({docs.PAGE}),
        https_only=settings.environment == "production",
    )
    app.add_middleware(HeadAsGet)
