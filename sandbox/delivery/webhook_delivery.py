"""Sends events to webhooks, signed. Retries with a new signature until a 2xx answer or the last retry."""

import asyncio
import contextlib
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass

import httpx

from sandbox.delivery.signatures import active_secrets, signature_header, signature_timestamp
from sandbox.delivery.webhooks import matching_webhooks
from sandbox.faults.definitions import Fault
from sandbox.faults.tampering import tamper_with_event
from sandbox.json_types import Json
from sandbox.runtime.runtime import Runtime
from sandbox.state.clock import iso_time_milliseconds

_REORDER_SECONDS = 0.5


@dataclass(frozen=True)
class OutgoingEvent:
    """An event and the payload to send. Tampering changes only the payload, so that routing stays right."""

    event: Json
    payload: Json


def dispatch(runtime: Runtime, event: Json) -> None:
    """Deliver to every matching webhook in the background. The active faults of the event's type apply."""
    taken = runtime.faults.take_for_event(event["type"], runtime.now())
    faults = {fault.kind: fault for fault in taken}
    if "drop" in faults:
        return
    outgoing = OutgoingEvent(
        event, tamper_with_event([fault for fault in taken if fault.is_tampering], runtime.store, event)
    )
    copies = 1 + (faults["duplicate"].copies if "duplicate" in faults else 0)
    wait_seconds = _seconds_to_wait(faults.values())
    if "reorder" in faults:
        runtime.background_tasks.start(
            _send_after_next(runtime, outgoing, copies, wait_seconds or _REORDER_SECONDS)
        )
    else:
        _send_copies(runtime, outgoing, copies, wait_seconds)


def _seconds_to_wait(faults: Iterable[Fault]) -> float:
    return sum(fault.seconds or 0.0 for fault in faults if fault.kind in {"delay", "reorder"})


def _send_copies(runtime: Runtime, outgoing: OutgoingEvent, copies: int, wait_seconds: float) -> None:
    for webhook in matching_webhooks(runtime, outgoing.event["type"]):
        for _ in range(copies):
            runtime.background_tasks.start(_deliver(runtime, webhook["id"], outgoing, wait_seconds))


async def _send_after_next(runtime: Runtime, outgoing: OutgoingEvent, copies: int, at_most: float) -> None:
    """Send an event after the next delivery attempt, or after `at_most` seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(at_most), runtime.delivery_attempted:
            await runtime.delivery_attempted.wait()
    _send_copies(runtime, outgoing, copies, 0.0)


async def _deliver(runtime: Runtime, webhook_id: str, outgoing: OutgoingEvent, wait_seconds: float) -> None:
    await asyncio.sleep(wait_seconds)
    pause = runtime.settings.retry_delay
    for attempt in range(1, runtime.settings.retries + 2):
        webhook = runtime.store.webhooks.get(webhook_id)
        if webhook is None or not webhook["enabled"]:
            return
        status, error = await _attempt(runtime, webhook, outgoing.payload)
        runtime.deliveries.append(
            {
                "eventId": outgoing.event["id"],
                "type": outgoing.event["type"],
                "webhookId": webhook_id,
                "attempt": attempt,
                "status": status,
                "error": error,
                "at": iso_time_milliseconds(runtime.now()),
            }
        )
        async with runtime.delivery_attempted:
            runtime.delivery_attempted.notify_all()
        # Digital River docs, Creating a webhook: any 2xx; redirects are failures.
        if status is not None and 200 <= status < 300:
            return
        if attempt <= runtime.settings.retries:
            await asyncio.sleep(pause)
            pause *= 2


async def _attempt(runtime: Runtime, webhook: Json, event: Json) -> tuple[int | None, str | None]:
    # A lone surrogate has no UTF-8 encoding. It is sent as an escape, which is valid JSON.
    body = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace")
    timestamp = signature_timestamp(
        runtime.signature_settings.timestamp, time.time() + runtime.signature_settings.skew
    )
    header = signature_header(body, active_secrets(runtime, webhook["id"]), timestamp)
    headers = {"Content-Type": "application/json", "DigitalRiver-Signature": header}
    try:
        # httpx limits each step. The three seconds are for the whole exchange.
        async with runtime.delivery_slots, asyncio.timeout(runtime.settings.delivery_timeout):
            answer = await runtime.http.post(
                webhook["address"], content=body, headers=headers, auth=_authentication(webhook)
            )
    except TimeoutError:
        return None, "timeout"
    except httpx.HTTPError as error:
        return None, type(error).__name__
    return answer.status_code, None


def _authentication(webhook: Json) -> httpx.Auth:
    """Basic authentication, if configured. The docs have `userName`, the OpenAPI document `username`."""
    known = webhook.get("authentication")
    if webhook["transportType"] != "HTTP" or not known:
        return httpx.Auth()
    return httpx.BasicAuth(known.get("userName") or known.get("username") or "", known.get("password") or "")
