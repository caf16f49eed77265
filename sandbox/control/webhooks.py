"""The doors behind the callbacks: signing secrets, what was delivered, events made by hand."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from sandbox.delivery.events import record
from sandbox.delivery.signatures import active_secrets
from sandbox.delivery.webhook_delivery import dispatch
from sandbox.delivery.webhooks import get_stored_webhook, rotate_secret
from sandbox.errors import not_found
from sandbox.json_types import JsonModel
from sandbox.runtime.runtime import World, world_of
from sandbox.settings import SignatureTimestamp

router = APIRouter(tags=["Webhooks"])
# Digital River docs mention that an old secret lives 12 hours beside the new one.
_OLD_SECRET_SECONDS = 12 * 3600.0


class Secrets(JsonModel):
    """Newest first."""

    secrets: list[str]


class Rotation(JsonModel):
    keep_old: bool = True
    keep_old_seconds: float = Field(default=_OLD_SECRET_SECONDS, ge=0)


class Manner(JsonModel):
    """How deliveries are stamped; `skewSeconds` imitates a far-side clock that is ahead or behind."""

    timestamp: SignatureTimestamp = "milliseconds"
    skew_seconds: float = 0.0


class Happening(JsonModel):
    """An event made by hand. With `deliver` false it is only listed."""

    type: str
    object: dict[str, Any]
    previous_attributes: dict[str, Any] | None = None
    id: str | None = None
    live_mode: bool | None = None
    deliver: bool = True


def _secrets(world: World, webhook_id: str) -> Secrets:
    get_stored_webhook(world, webhook_id)
    return Secrets(secrets=active_secrets(world, webhook_id))


@router.get("/webhooks/{webhook_id}/secrets", operation_id="revealSecrets")
async def reveal_secrets(webhook_id: str, request: Request) -> Secrets:
    """What Digital River's Dashboard reveals."""
    return _secrets(world_of(request), webhook_id)


@router.post("/webhooks/{webhook_id}/secrets/rotate", operation_id="rotateSecret")
async def rotate_webhook_secret(
    webhook_id: str, request: Request, rotation: Rotation | None = None
) -> Secrets:
    """A new secret; the old one signs beside it for `keepOldSeconds`, or ends now with `keepOld` false."""
    wish = rotation or Rotation()
    seconds = wish.keep_old_seconds if wish.keep_old else 0.0
    rotate_secret(world_of(request), webhook_id, keep_old_seconds=seconds)
    return _secrets(world_of(request), webhook_id)


@router.put("/signature", operation_id="setSignatureManner")
async def set_signature_manner(manner: Manner, request: Request) -> Manner:
    signing = world_of(request).signing
    signing.timestamp, signing.skew = manner.timestamp, manner.skew_seconds
    return manner


@router.get("/deliveries", operation_id="listDeliveries")
async def list_deliveries(request: Request) -> list[dict[str, Any]]:
    """Every attempt that has been answered or given up, oldest first."""
    return list(world_of(request).deliveries)


@router.delete("/deliveries", status_code=204, operation_id="clearDeliveries")
async def clear_deliveries(request: Request) -> Response:
    world_of(request).deliveries.clear()
    return Response(status_code=204)


@router.post("/events", status_code=201, operation_id="makeEvent")
async def make_event(happening: Happening, request: Request) -> dict[str, Any]:
    world = world_of(request)
    event = record(
        world,
        happening.type,
        happening.object,
        happening.previous_attributes,
        event_id=happening.id,
        live_mode=happening.live_mode,
    )
    if happening.deliver:
        dispatch(world, event)
    return event


@router.post("/events/{event_id}/deliver", status_code=202, operation_id="deliverEvent")
async def deliver_event(event_id: str, request: Request) -> dict[str, Any]:
    """Deliver a recorded event once more, as duplicates happen."""
    world = world_of(request)
    event = world.ledger.events.get(event_id)
    if event is None:
        raise not_found("Event", event_id)
    dispatch(world, event)
    return event
