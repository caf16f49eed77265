"""Writes that survive impatience: a POST with an `Idempotency-Key` happens once, however often it is sent.

A router opts in with `route_class=IdempotentRoute`. Scopes must be demanded by the router itself, because
what the router demands is checked before a stored answer is given out again.
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
from app.idempotency.fingerprint import WatchedBody
from app.idempotency.store import LEASE_SECONDS, Answer, Busy, Held
from app.identity.bearer import CurrentPrincipal
from app.resources import ResourcesDep, resources_of
from app.web.error_handlers import answer, problem_of
from app.web.problems import Conflict, Internal, Invalid, ServiceUnavailable, responses
from app.web.routing import StrictRoute

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
SERVE_SECONDS = 170.0
# So often who serves a request says that it is alive.
BEAT_SECONDS = LEASE_SECONDS / 4
# Who could not say so in time is stopped before the lease runs out: two never serve the same one knowingly.
LAST_SECONDS = 5.0
REPEAT_SECONDS = 90.0
# Bodies are complete before a JSON route begins; an upload that was refused half-way is not waited for.
REST_SECONDS = 0.5

_KEPT_HEADERS = ("content-type", "etag", "location")
# These say something of the moment or of the token, not of the request: the next attempt may fare better.
_PASSING = frozenset({401, 403, 408, 429})

_Handler = Callable[[Request], Coroutine[Any, Any, Response]]

log = structlog.get_logger()


class IdempotentRoute(StrictRoute):
    """A route whose POST honours `Idempotency-Key`; other methods pass untouched.

    The same key and request get the first answer again for 24 hours, with `Idempotency-Replayed: true`;
    another query or body is 422, a concurrent request 409 with `Retry-After`. Keys are the caller's own, for
    each path. Answers of 500 and above, and refusals before the work began (of the token, of the form of the
    request), are not kept: the key is free again. So it is when the process dies, after the lease.

    Bodies of JSON are compared by what they say, others byte by byte, except for the boundaries of multipart
    bodies. An upload that was refused before all of it was read leaves its key free.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        if "POST" in (options.get("methods") or ()):
            options["dependencies"] = [*(options.get("dependencies") or ()), Depends(_claim)]
            options["responses"] = {**responses(Conflict, Invalid), **(options.get("responses") or {})}
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> _Handler:
        serve = super().get_route_handler()

        async def serve_once(request: Request) -> Response:
            if request.method != "POST" or HEADER not in request.headers:
                return await serve(request)
            return await _serve_once(serve, request)

        return serve_once


class _Attempt:
    """One attempt at a request: its body, and the claim once there is one."""

    SCOPE = "portal_idempotency"

    def __init__(self, body: WatchedBody, engine: AsyncEngine) -> None:
        self.body = body
        self.held: Held | None = None
        # Ends when the lease is about to; does not end before there is one.
        self.lease = asyncio.timeout(None)
        self._engine = engine
        self._beating: asyncio.Task[None] | None = None

    def hold(self, held: Held, claimed_at: float) -> None:
        """Serve it from now on, for as long as the claim can be renewed."""
        self.held = held
        self._last_until(claimed_at)
        self._beating = asyncio.create_task(self._beat(held))

    def stop_beating(self) -> None:
        """Leave the claim to be settled. A beat under way finds it settled, and changes nothing."""
        if self._beating is not None:
            self._beating.cancel()

    async def _beat(self, held: Held) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            began = loop.time()
            # The next beat may succeed.
            with suppress(*DATABASE_ERRORS):
                async with self._engine.begin() as connection:
                    is_ours = await store.prolong(connection, held)
                self._last_until(began if is_ours else -inf)

    def _last_until(self, renewed_at: float) -> None:
        if not self.lease.expired():
            self.lease.reschedule(renewed_at + LEASE_SECONDS - LAST_SECONDS)


class _AnsweredBefore(Exception):
    """Ends an attempt with the answer of the first one."""

    def __init__(self, first: Answer) -> None:
        super().__init__()
        self.first = first


async def _claim(
    request: Request,
    resources: ResourcesDep,
    principal: CurrentPrincipal,
    key: Annotated[
        str | None,
        Header(
            alias=HEADER,
            min_length=1,
            max_length=255,
            pattern="^[!-~]+$",
            description="Makes the request safe to repeat: for 24 hours the same key and request get the "
            f"first answer again, with `{REPLAYED}: true`. Another body or query is refused with 422, a "
            "request while the first one is being served with 409 and `Retry-After`. Choose a new random key "
            "for each thing to be done.",
        ),
    ] = None,
) -> None:
    """Take the request, or refuse it; runs when the caller is known and before the work begins."""
    if key is None:
        return
    if len(request.headers.getlist(HEADER)) != 1:
        raise Invalid.at(f"/header/{HEADER}", "Send one key.")
    attempt: _Attempt = request.scope[_Attempt.SCOPE]
    name = store.name_of(
        issuer=resources.settings.oidc_issuer,
        subject=principal.subject,
        customer_id=principal.customer_id,
        route=f"{request.method} {request.url.path}",
        key=key,
    )
    began = asyncio.get_running_loop().time()
    async with resources.engine.begin() as connection:
        claimed = await store.claim_request(connection, name, principal.customer_id)
    if isinstance(claimed, Busy):
        hint = f"A request with this {HEADER} is being served at this moment."
        raise Conflict("This is being done already.", hint=hint, retry_after=claimed.seconds)
    if isinstance(claimed, Held):
        attempt.hold(claimed, began)
        return
    await attempt.body.read_on(at_most=claimed.request.size, seconds=REPEAT_SECONDS)
    if not attempt.body.fingerprint.is_of_same_request(claimed.request):
        raise Invalid.at(f"/header/{HEADER}", "This key was used before, with another query or body.")
    raise _AnsweredBefore(claimed)


async def _serve_once(serve: _Handler, request: Request) -> Response:
    body = WatchedBody(request.receive, request.headers.get("content-type", ""), request.url.query)
    engine = resources_of(request).engine
    attempt = request.scope[_Attempt.SCOPE] = _Attempt(body, engine)
    try:
        response = await _serve_in_time(serve, Request(request.scope, body.receive), attempt)
    except _AnsweredBefore as before:
        first = before.first
        return Response(first.content, first.status, {**first.headers, REPLAYED: "true"})
    except Exception as error:
        # What was refused before the endpoint ran needs no memory, and its answer is the framework's.
        is_early = isinstance(error, RequestValidationError) or attempt.held is None
        if is_early or not _is_kept(problem_of(error, request).status):
            await _free(engine, attempt)
            raise
        response = await answer(request, error)
    await _keep(engine, attempt, response)
    return response


async def _serve_in_time(serve: _Handler, request: Request, attempt: _Attempt) -> Response:
    try:
        async with asyncio.timeout(SERVE_SECONDS) as deadline, attempt.lease:
            return await serve(request)
    except TimeoutError:
        if not (deadline.expired() or attempt.lease.expired()):
            raise
        raise ServiceUnavailable("This took too long. Please try again.") from None
    finally:
        attempt.stop_beating()


def _is_kept(status: int) -> bool:
    return status < Internal.status and status not in _PASSING


async def _keep(engine: AsyncEngine, attempt: _Attempt, response: Response) -> None:
    """Keep the answer for those who repeat the request. What was done cannot be undone when that fails: this
    caller learns of it, and the key is free when the lease has run out."""
    if attempt.held is None:
        return
    if not attempt.body.is_complete:
        await _read_rest(attempt.body)
    if not _is_kept(response.status_code) or not attempt.body.is_complete:
        await _free(engine, attempt)
        return
    kept = Answer(
        request=attempt.body.fingerprint,
        status=response.status_code,
        headers={name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers},
        content=bytes(response.body),
    )
    try:
        async with engine.begin() as connection:
            is_kept = await store.keep_answer(connection, attempt.held, kept)
        if not is_kept:
            log.warning("idempotency.lease_lost")
    except DATABASE_ERRORS as error:
        log.error("idempotency.answer_not_kept", error=type(error).__name__)


async def _read_rest(body: WatchedBody) -> None:
    """See the end of a body that the route had no interest in. What an upload still sends stays unread."""
    with suppress(TimeoutError):
        async with asyncio.timeout(REST_SECONDS):
            await body.receive()


async def _free(engine: AsyncEngine, attempt: _Attempt) -> None:
    """Let the request be made again; should that fail, the lease runs out by itself."""
    if attempt.held is not None:
        with suppress(*DATABASE_ERRORS):
            async with engine.begin() as connection:
                await store.free_request(connection, attempt.held)
