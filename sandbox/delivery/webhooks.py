"""Stored webhooks and their signing secrets."""

from datetime import UTC, datetime, timedelta

from sandbox.errors import not_found
from sandbox.json_types import Json
from sandbox.runtime.runtime import Runtime
from sandbox.state.clock import iso_time_milliseconds
from sandbox.state.store import Secret, new_id, new_secret

DOCUMENT_EVENT_TYPES = ("order.invoice.created", "order.credit_memo.created")


def get_stored_webhook(runtime: Runtime, resource_id: str) -> Json:
    webhook = runtime.store.webhooks.get(resource_id)
    if webhook is None:
        raise not_found("Webhook", resource_id)
    return webhook


def rotate_secret(runtime: Runtime, resource_id: str, *, keep_old_seconds: float) -> None:
    """Add a new secret. The old ones keep signing until they expire (docs: 12 hours)."""
    get_stored_webhook(runtime, resource_id)
    expires = datetime.now(UTC) + timedelta(seconds=keep_old_seconds)
    old = [
        Secret(secret.value, min(secret.expires or expires, expires))
        for secret in runtime.store.signing_secrets[resource_id]
    ]
    runtime.store.signing_secrets[resource_id] = [Secret(new_secret()), *old]


def store_configured_webhook(runtime: Runtime) -> None:
    """Store the webhook of the settings, if there is one. The portal is started with the same secret."""
    settings = runtime.settings
    if settings.webhook_address:
        requested = {"types": list(DOCUMENT_EVENT_TYPES), "address": settings.webhook_address}
        store_webhook(runtime, requested, settings.webhook_secret or new_secret())


def store_webhook(runtime: Runtime, requested: Json, secret: str) -> Json:
    now = iso_time_milliseconds(runtime.now())
    webhook: Json = {
        "id": new_id(),
        "enabled": True,
        "apiVersion": "default",
        "transportType": "HTTP",
        **requested,
        "liveMode": runtime.settings.live_mode,
        "createdTime": now,
        "updatedTime": now,
    }
    runtime.store.webhooks[webhook["id"]] = webhook
    runtime.store.signing_secrets[webhook["id"]] = [Secret(secret)]
    return webhook


def matching_webhooks(runtime: Runtime, event_type: str) -> list[Json]:
    return [
        webhook
        for webhook in runtime.store.webhooks.values()
        if webhook["enabled"] and event_type in webhook["types"]
    ]
