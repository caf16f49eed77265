"""Events: stored as Digital River's event object and sent to the matching webhooks."""

import copy

from sandbox.delivery.webhook_delivery import dispatch
from sandbox.delivery.webhooks import matching_webhooks
from sandbox.json_types import Json
from sandbox.runtime.runtime import Runtime
from sandbox.state.clock import iso_time_microseconds
from sandbox.state.store import new_id

VERSION = "2021-12-13"
# The printed samples of these two carry `versionIds` instead of version and webhooks.
_INVOICE_EVENTS = frozenset({"order.invoice.created", "order.credit_memo.created"})


def emit(runtime: Runtime, event_type: str, resource: Json, previous: Json | None = None) -> Json:
    """Store an event about a resource, and deliver it, signed, in the background."""
    event = store_event(runtime, event_type, resource, previous)
    dispatch(runtime, event)
    return event


def store_event(
    runtime: Runtime,
    event_type: str,
    resource: Json,
    previous: Json | None = None,
    *,
    event_id: str | None = None,
    live_mode: bool | None = None,
) -> Json:
    """Store the event only, as `GET /events` shows it."""
    data: Json = {"object": copy.deepcopy(resource)}
    if previous is not None:
        data["previousAttributes"] = copy.deepcopy(previous)
    event: Json = {
        "id": event_id or new_id(),
        "type": event_type,
        "data": data,
        "liveMode": runtime.settings.live_mode if live_mode is None else live_mode,
        "createdTime": iso_time_microseconds(runtime.now()),
    }
    if event_type in _INVOICE_EVENTS:
        event["versionIds"] = []
    else:
        event["webhookIds"] = [webhook["id"] for webhook in matching_webhooks(runtime, event_type)]
        event["digitalriverVersion"] = VERSION
    runtime.store.events[event["id"]] = event
    return event
