"""Callbacks: signed, given three seconds, tried again with a fresh signature until 2xx or out of tries."""

import asyncio
import contextlib
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass

import httpx

from sandbox.delivery.signatures import active_secrets, signature_header, signature_timestamp
from sandbox.delivery.webhooks import webhooks_for
from sandbox.faults.definitions import Fault
from sandbox.faults.tampering import lie_about_event
from sandbox.json_types import Json
from sandbox.runtime.runtime import World
from sandbox.state.clock import stamp_milliseconds

_REORDER_SECONDS = 0.5


@dataclass(frozen=True)
class Letter:
    """An event on its way, and what is told in its place: a lie about its type misdirects nothing."""

    event: Json
    told: Json


def dispatch(world: World, event: Json) -> None:
    """Deliver to every matching webhook in the background, as the armed faults of its type demand."""
    taken = world.faults.take_for_event(event["type"], world.now())
    faults = {fault.kind: fault for fault in taken}
    if "drop" in faults:
        return
    letter = Letter(event, lie_about_event([fault for fault in taken if fault.is_lie], world.ledger, event))
    copies = 1 + (faults["duplicate"].copies if "duplicate" in faults else 0)
    waiting = _seconds_to_wait(faults.values())
    if "reorder" in faults:
        world.errands.start(_after_the_next(world, letter, copies, waiting or _REORDER_SECONDS))
    else:
        _send_copies(world, letter, copies, waiting)


def _seconds_to_wait(faults: Iterable[Fault]) -> float:
    return sum(fault.seconds or 0.0 for fault in faults if fault.kind in {"delay", "reorder"})


def _send_copies(world: World, letter: Letter, copies: int, waiting: float) -> None:
    for hook in webhooks_for(world, letter.event["type"]):
        for _ in range(copies):
            world.errands.start(_deliver(world, hook["id"], letter, waiting))


async def _after_the_next(world: World, letter: Letter, copies: int, at_most: float) -> None:
    """Hold an event back until a later one has been tried, or until nobody came."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(at_most), world.tried:
            await world.tried.wait()
    _send_copies(world, letter, copies, 0.0)


async def _deliver(world: World, webhook_id: str, letter: Letter, waiting: float) -> None:
    await asyncio.sleep(waiting)
    pause = world.settings.retry_delay
    for attempt in range(1, world.settings.retries + 2):
        hook = world.ledger.webhooks.get(webhook_id)
        if hook is None or not hook["enabled"]:
            return
        status, error = await _attempt(world, hook, letter.told)
        world.deliveries.append(
            {
                "eventId": letter.event["id"],
                "type": letter.event["type"],
                "webhookId": webhook_id,
                "attempt": attempt,
                "status": status,
                "error": error,
                "at": stamp_milliseconds(world.now()),
            }
        )
        async with world.tried:
            world.tried.notify_all()
        # Digital River docs, Creating a webhook: any 2xx; redirects are failures.
        if status is not None and 200 <= status < 300:
            return
        if attempt <= world.settings.retries:
            await asyncio.sleep(pause)
            pause *= 2


async def _attempt(world: World, hook: Json, event: Json) -> tuple[int | None, str | None]:
    # Half a surrogate has no bytes of its own: it leaves as an escape, which is legal JSON.
    body = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace")
    stamp = signature_timestamp(world.signing.timestamp, time.time() + world.signing.skew)
    header = signature_header(body, active_secrets(world, hook["id"]), stamp)
    headers = {"Content-Type": "application/json", "DigitalRiver-Signature": header}
    try:
        # httpx limits each step; the three seconds are for the whole exchange.
        async with world.turns, asyncio.timeout(world.settings.delivery_timeout):
            answer = await world.http.post(
                hook["address"], content=body, headers=headers, auth=_authentication(hook)
            )
    except TimeoutError:
        return None, "timeout"
    except httpx.HTTPError as error:
        return None, type(error).__name__
    return answer.status_code, None


def _authentication(hook: Json) -> httpx.Auth:
    """Basic when configured. The docs' sample spells `userName`, the OpenAPI document `username`."""
    known = hook.get("authentication")
    if hook["transportType"] != "HTTP" or not known:
        return httpx.Auth()
    return httpx.BasicAuth(known.get("userName") or known.get("username") or "", known.get("password") or "")
