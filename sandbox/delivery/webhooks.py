"""Webhooks: the endpoints that hear of events, and the secrets that sign for them."""

from datetime import UTC, datetime, timedelta

from sandbox.errors import not_found
from sandbox.json_types import Json
from sandbox.runtime.runtime import World
from sandbox.state.clock import stamp_milliseconds
from sandbox.state.store import Secret, new_id, new_secret

DOCUMENT_TYPES = ("order.invoice.created", "order.credit_memo.created")


def get_stored_webhook(world: World, identity: str) -> Json:
    hook = world.ledger.webhooks.get(identity)
    if hook is None:
        raise not_found("Webhook", identity)
    return hook


def rotate_secret(world: World, identity: str, *, keep_old_seconds: float) -> None:
    """A new secret signs from now on; the others sign beside it until they run out (docs: 12 hours)."""
    get_stored_webhook(world, identity)
    expires = datetime.now(UTC) + timedelta(seconds=keep_old_seconds)
    old = [
        Secret(secret.value, min(secret.expires or expires, expires))
        for secret in world.ledger.signing_secrets[identity]
    ]
    world.ledger.signing_secrets[identity] = [Secret(new_secret()), *old]


def keep_configured(world: World) -> None:
    """The webhook that the settings name, if they name one: whoever starts the portal knows its secret."""
    settings = world.settings
    if settings.webhook_address:
        wish = {"types": list(DOCUMENT_TYPES), "address": settings.webhook_address}
        keep_webhook(world, wish, settings.webhook_secret or new_secret())


def keep_webhook(world: World, wish: Json, secret: str) -> Json:
    now = stamp_milliseconds(world.now())
    hook: Json = {
        "id": new_id(),
        "enabled": True,
        "apiVersion": "default",
        "transportType": "HTTP",
        **wish,
        "liveMode": world.settings.live_mode,
        "createdTime": now,
        "updatedTime": now,
    }
    world.ledger.webhooks[hook["id"]] = hook
    world.ledger.signing_secrets[hook["id"]] = [Secret(secret)]
    return hook


def webhooks_for(world: World, event_type: str) -> list[Json]:
    return [
        hook for hook in world.ledger.webhooks.values() if hook["enabled"] and event_type in hook["types"]
    ]
