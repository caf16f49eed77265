"""Makes a POST with an `Idempotency-Key` safe to repeat: it happens once, however often the client sends it.

A router opts in with `route_class=IdempotentRoute`. Scopes must be dependencies of the router and not of a
route, because only the router's are checked before a stored response is sent again.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from math import inf
from typing import Annotated, Any

import structlog
from fastapi import Depends, Header, Request, Response
from fastapi.exceptions import RequestValidationError

from app.db.engine import AsyncEngine
from app.db.errors import DATABASE_ERRORS
from app.idempotency import store
from app.idempotency.fingerprint import FingerprintedBody
from app.idempotency.store import LEASE_SECONDS, Claim, InProgress, StoredResponse
from app.identity.bearer import CurrentPrincipal
from app.request_resources import ResourcesDep, resources_of
from app.web.error_handlers import problem_response, to_problem
from app.web.problems import Conflict, Internal, Invalid, ServiceUnavailable, responses
from app.web.routing import StrictRoute

KEY_HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotency-Replayed"
SERVE_TIMEOUT_SECONDS = 170.0
# How often a process renews the lease of a request that it serves.
RENEWAL_SECONDS = LEASE_SECONDS / 4
# A request whose lease is not renewed is stopped this long before the end, so that no two processes serve it.
LEASE_MARGIN_SECONDS = 5.0
REPEATED_BODY_SECONDS = 90.0
# A JSON body is complete before its route runs. An upload that was refused half-way is not read to the end.
UNREAD_BODY_SECONDS = 0.5

_STORED_HEADERS = ("content-type", "etag", "location")
# They depend on the time or the token and not on the request, so the next attempt may succeed.
_TRANSIENT_STATUSES = frozenset({401, 403, 408, 429})

_KeyHeader = Annotated[
    str | None,
    Header(
        alias=KEY_HEADER,
        min_length=1,
        max_length=255,
        pattern="^[!-~]+$",
        description="Makes the request safe to repeat. For 24 hours the same key and request get the first "
        f"answer again, with `{REPLAYED_HEADER}: true`. The same key with another body or query gets a 422. "
        "While the first request is still being served, a repeated one gets a 409 with `Retry-After`. Use a "
        "new random key for each new action.",
    ),
]

_Handler = Callable[[Request], Coroutine[Any, Any, Response]]

log = structlog.get_logger()


class IdempotentRoute(StrictRoute):
    """A route whose POST obeys `Idempotency-Key`. Other methods are not affected.

    For 24 hours the same key and request get the first response again, with `Idempotency-Replayed: true`.
    Another query or body gets a 422, a concurrent request a 409 with `Retry-After`. Each caller and path has
    its own keys. A response of 500 or above is not stored, and neither is a refusal of the token or of the
    form of the request: the key is free again. If the process dies, the key is free when the lease ends.

    JSON bodies are compared by value, others byte by byte, except for the boundaries of multipart bodies. If
    an upload is refused before all of it is read, its key is free again.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        if "POST" in (options.get("methods") or ()):
            options["dependencies"] = [*(options.get("dependencies") or ()), Depends(_claim)]
            options["responses"] = {**responses(Conflict, Invalid), **(options.get("responses") or {})}
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> _Handler:
        serve = super().get_route_handler()

        async def serve_once(request: Request) -> Response:
            if request.method != "POST" or KEY_HEADER not in request.headers:
                return await serve(request)
            return await _serve_once(serve, request)

        return serve_once


class _Attempt:
    """One attempt at a request: its body, and the claim once there is one."""

    SCOPE = "portal_idempotency"

    def __init__(self, body: FingerprintedBody, engine: AsyncEngine) -> None:
        self.body = body
        self.claim: Claim | None = None
        # Expires shortly before the lease does. Without a claim it does not expire.
        self.lease = asyncio.timeout(None)
        self._engine = engine
        self._renewal: asyncio.Task[None] | None = None

    def start_renewing(self, claim: Claim, claimed_at: float) -> None:
        """Renew the claim from now on. The attempt ends if the claim cannot be renewed."""
        self.claim = claim
        self._extend_lease(claimed_at)
        self._renewal = asyncio.create_task(self._renew(claim))

    def stop_renewing(self) -> None:
        """Stop before the response is stored or the claim released. A late renewal then changes nothing."""
        if self._renewal is not None:
            self._renewal.cancel()

    async def _renew(self, claim: Claim) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(RENEWAL_SECONDS)
            began = loop.time()
            # The next renewal may succeed.
            with suppress(*DATABASE_ERRORS):
                async with self._engine.begin() as connection:
                    is_ours = await store.renew_claim(connection, claim)
                self._extend_lease(began if is_ours else -inf)

    def _extend_lease(self, renewed_at: float) -> None:
        if not self.lease.expired():
            self.lease.reschedule(renewed_at + LEASE_SECONDS - LEASE_MARGIN_SECONDS)


class _Replay(Exception):
    """Ends an attempt with the stored response of the first one."""

    def __init__(self, stored: StoredResponse) -> None:
        super().__init__()
        self.stored = stored


async def _claim(
    request: Request,
    resources: ResourcesDep,
    principal: CurrentPrincipal,
    key: _KeyHeader = None,
) -> None:
    """Claim the request, replay it or refuse it. Runs after authentication and before the endpoint."""
    if key is None:
        return
    if len(request.headers.getlist(KEY_HEADER)) != 1:
        raise Invalid.at(f"/header/{KEY_HEADER}", "Send one key.")
    attempt: _Attempt = request.scope[_Attempt.SCOPE]
    name = store.request_name(
        issuer=resources.settings.oidc_issuer,
        subject=principal.subject,
        customer_id=principal.customer_id,
        route=f"{request.method} {request.url.path}",
        key=key,
    )
    began = asyncio.get_running_loop().time()
    async with resources.engine.begin() as connection:
        outcome = await store.claim_request(connection, name, principal.customer_id)
    if isinstance(outcome, InProgress):
        hint = f"A request with this {KEY_HEADER} is being served at this moment."
        raise Conflict("This is being done already.", hint=hint, retry_after=outcome.seconds)
    if isinstance(outcome, Claim):
        attempt.start_renewing(outcome, began)
        return
    await attempt.body.read_rest(at_most=outcome.fingerprint.body_size, seconds=REPEATED_BODY_SECONDS)
    if not attempt.body.fingerprint.matches(outcome.fingerprint):
        raise Invalid.at(f"/header/{KEY_HEADER}", "This key was used before, with another query or body.")
    raise _Replay(outcome)


async def _serve_once(serve: _Handler, request: Request) -> Response:
    body = FingerprintedBody(request.receive, request.headers.get("content-type", ""), request.url.query)
    engine = resources_of(request).engine
    attempt = request.scope[_Attempt.SCOPE] = _Attempt(body, engine)
    try:
        response = await _serve_in_time(serve, Request(request.scope, body.receive), attempt)
    except _Replay as replay:
        stored = replay.stored
        return Response(stored.content, stored.status, {**stored.headers, REPLAYED_HEADER: "true"})
    except Exception as error:
        # A refusal before the endpoint ran is not stored. FastAPI's handlers answer it.
        is_early = isinstance(error, RequestValidationError) or attempt.claim is None
        if is_early or not _is_stored(to_problem(error, request).status):
            await _release(engine, attempt)
            raise
        response = await problem_response(request, error)
    await _store(engine, attempt, response)
    return response


async def _serve_in_time(serve: _Handler, request: Request, attempt: _Attempt) -> Response:
    try:
        async with asyncio.timeout(SERVE_TIMEOUT_SECONDS) as deadline, attempt.lease:
            return await serve(request)
    except TimeoutError:
        if not (deadline.expired() or attempt.lease.expired()):
            raise
        raise ServiceUnavailable("This took too long. Please try again.") from None
    finally:
        attempt.stop_renewing()


def _is_stored(status: int) -> bool:
    return status < Internal.status and status not in _TRANSIENT_STATUSES


async def _store(engine: AsyncEngine, attempt: _Attempt, response: Response) -> None:
    """Store the response for repeats of the request. If that fails, this caller still gets the response, and
    the key is free when the lease ends."""
    if attempt.claim is None:
        return
    if not attempt.body.is_complete:
        await _read_rest(attempt.body)
    if not _is_stored(response.status_code) or not attempt.body.is_complete:
        await _release(engine, attempt)
        return
    stored = StoredResponse(
        fingerprint=attempt.body.fingerprint,
        status=response.status_code,
        headers={name: response.headers[name] for name in _STORED_HEADERS if name in response.headers},
        content=bytes(response.body),
    )
    try:
        async with engine.begin() as connection:
            is_stored = await store.store_response(connection, attempt.claim, stored)
        if not is_stored:
            log.warning("idempotency.lease_lost")
    except DATABASE_ERRORS as error:
        log.error("idempotency.answer_not_kept", error=type(error).__name__)


async def _read_rest(body: FingerprintedBody) -> None:
    """Read the end of a body that the route did not read. An upload that is still being sent stays unread."""
    with suppress(TimeoutError):
        async with asyncio.timeout(UNREAD_BODY_SECONDS):
            await body.receive()


async def _release(engine: AsyncEngine, attempt: _Attempt) -> None:
    """Release the claim, so that the request can be repeated. If that fails, the lease ends by itself."""
    if attempt.claim is not None:
        with suppress(*DATABASE_ERRORS):
            async with engine.begin() as connection:
                await store.release_claim(connection, attempt.claim)
