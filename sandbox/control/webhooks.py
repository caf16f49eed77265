"""Control of webhooks: signing secrets, signature settings, delivery log, manual events."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from sandbox.delivery.events import store_event
from sandbox.delivery.signatures import active_secrets
from sandbox.delivery.webhook_delivery import dispatch
from sandbox.delivery.webhooks import get_stored_webhook, rotate_secret, store_webhook
from sandbox.errors import not_found
from sandbox.json_types import JsonModel
from sandbox.runtime.runtime import Runtime, runtime_of
from sandbox.settings import SignatureTimestamp

router = APIRouter(tags=["Webhooks"])
# Digital River docs mention that an old secret stays valid for 12 hours.
_OLD_SECRET_SECONDS = 12 * 3600.0


class Secrets(JsonModel):
    """Newest first."""

    secrets: list[str]


class SecretRotation(JsonModel):
    keep_old: bool = True
    keep_old_seconds: float = Field(default=_OLD_SECRET_SECONDS, ge=0)


class KnownWebhook(JsonModel):
    """A webhook whose signing secret the receiver has already."""

    address: str
    types: list[str]
    secret: str


class SignatureFormat(JsonModel):
    """The timestamp in signatures. `skewSeconds` imitates a Digital River clock that is ahead or behind."""

    timestamp: SignatureTimestamp = "milliseconds"
    skew_seconds: float = 0.0


class ManualEvent(JsonModel):
    """An event that a test creates. With `deliver` false it is only listed."""

    type: str
    object: dict[str, Any]
    previous_attributes: dict[str, Any] | None = None
    id: str | None = None
    live_mode: bool | None = None
    deliver: bool = True


def _active_secrets(runtime: Runtime, webhook_id: str) -> Secrets:
    get_stored_webhook(runtime, webhook_id)
    return Secrets(secrets=active_secrets(runtime, webhook_id))


@router.post("/webhooks", status_code=201, operation_id="createWebhook")
async def create_webhook(webhook: KnownWebhook, request: Request) -> dict[str, Any]:
    requested = {"types": webhook.types, "address": webhook.address}
    return store_webhook(runtime_of(request), requested, webhook.secret)


@router.get("/webhooks/{webhook_id}/secrets", operation_id="revealSecrets")
async def reveal_secrets(webhook_id: str, request: Request) -> Secrets:
    """The secrets, as Digital River's Dashboard shows them."""
    return _active_secrets(runtime_of(request), webhook_id)


@router.post("/webhooks/{webhook_id}/secrets/rotate", operation_id="rotateSecret")
async def rotate_webhook_secret(
    webhook_id: str, request: Request, rotation: SecretRotation | None = None
) -> Secrets:
    """Add a new secret. The old one also signs for `keepOldSeconds`; with `keepOld` false it ends now."""
    requested = rotation or SecretRotation()
    seconds = requested.keep_old_seconds if requested.keep_old else 0.0
    rotate_secret(runtime_of(request), webhook_id, keep_old_seconds=seconds)
    return _active_secrets(runtime_of(request), webhook_id)


@router.put("/signature", operation_id="setSignatureSettings")
async def set_signature_settings(requested: SignatureFormat, request: Request) -> SignatureFormat:
    signature_settings = runtime_of(request).signature_settings
    signature_settings.timestamp, signature_settings.skew = requested.timestamp, requested.skew_seconds
    return requested


@router.get("/deliveries", operation_id="listDeliveries")
async def list_deliveries(request: Request) -> list[dict[str, Any]]:
    """Every finished delivery attempt, oldest first."""
    return list(runtime_of(request).deliveries)


@router.delete("/deliveries", status_code=204, operation_id="clearDeliveries")
async def clear_deliveries(request: Request) -> Response:
    runtime_of(request).deliveries.clear()
    return Response(status_code=204)


@router.post("/events", status_code=201, operation_id="createEvent")
async def create_event(manual_event: ManualEvent, request: Request) -> dict[str, Any]:
    runtime = runtime_of(request)
    event = store_event(
        runtime,
        manual_event.type,
        manual_event.object,
        manual_event.previous_attributes,
        event_id=manual_event.id,
        live_mode=manual_event.live_mode,
    )
    if manual_event.deliver:
        dispatch(runtime, event)
    return event


@router.post("/events/{event_id}/deliver", status_code=202, operation_id="deliverEvent")
async def deliver_event(event_id: str, request: Request) -> dict[str, Any]:
    """Deliver a stored event again, as a duplicate."""
    runtime = runtime_of(request)
    event = runtime.store.events.get(event_id)
    if event is None:
        raise not_found("Event", event_id)
    dispatch(runtime, event)
    return event
