"""The procedures of docs/operations.md work step by step; each restart is a portal with new settings."""

from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from tests.support.clock import eventually
from tests.support.portal import running_portal
from tests.support.processes import portal_command
from tests.support.sandbox import Json, Sandbox


def secrets_of(rotation: Json) -> tuple[SecretStr, ...]:
    return tuple(SecretStr(secret) for secret in rotation["secrets"])


async def register(sandbox: Sandbox, url: str) -> tuple[str, Json]:
    """A webhook that leads there: its id and its secrets."""
    address = f"{url}/webhooks/digital-river"
    webhook = await sandbox.post("/webhooks", {"types": ["order.invoice.created"], "address": address})
    return webhook["id"], await sandbox.get(f"/_sandbox/webhooks/{webhook['id']}/secrets")


@pytest.mark.proof
async def test_the_sweep_brings_events_that_were_refused_after_a_secret_leaked(
    own_database_url: str, own_database: asyncpg.Connection, sandbox: Sandbox
) -> None:
    async with running_portal(own_database_url, sandbox.url) as portal:
        webhook_id, leaked = await register(sandbox, portal.url)
        portal.trust(leaked["secrets"])
        rotate = f"/_sandbox/webhooks/{webhook_id}/secrets/rotate"
        fresh = await sandbox.post(rotate, {"keepOld": False})
        await sandbox.invoiced(await sandbox.order("ada"))

        async def was_refused() -> bool:
            deliveries = (await sandbox.client.get("/_sandbox/deliveries")).json()
            return any(delivery["status"] == 401 for delivery in deliveries)

        await eventually(was_refused)
    restarted: dict[str, Any] = {"webhook_secrets": secrets_of(fresh)}
    async with running_portal(own_database_url, sandbox.url, **restarted) as portal:
        (event,) = (await sandbox.get("/events", type="order.invoice.created"))["data"]
        forged = await portal.deliver(event, secret=leaked["secrets"][0])
        assert forged.status_code == 401
        swept = await portal_command(portal.settings, "sweep", "--days", "30")
        assert swept.output.startswith("1 events seen, 1 of them were missing")
        await portal.documents(await sandbox.token("ada"), 1)
        assert (await portal.deliver(event, secret=fresh["secrets"][0])).json()["status"] == "duplicate"
        await portal.settle(own_database)


@pytest.mark.proof
async def test_events_wait_for_the_right_key_and_none_is_buried_over_a_wrong_one(
    own_database_url: str, own_database: asyncpg.Connection, sandbox: Sandbox
) -> None:
    await sandbox.invoiced(await sandbox.order("ada"))
    (event,) = (await sandbox.get("/events", type="order.invoice.created"))["data"]
    wrong: dict[str, Any] = {"digital_river_secret_key": SecretStr("sk_test_revoked")}
    async with running_portal(own_database_url, sandbox.url, **wrong) as portal:
        assert (await portal.deliver(event)).status_code == 202
        found = "SELECT state, attempts, reason FROM webhook_event WHERE reason IS NOT NULL"
        row = await eventually(lambda: own_database.fetchrow(found))
        assert (row["state"], row["attempts"]) == ("pending", 0)
        assert row["reason"].startswith("Unauthorised")
    async with running_portal(own_database_url, sandbox.url) as portal:
        revived = await portal_command(portal.settings, "events", "revive", "--all")
        assert revived.output == "1 events revived.\n"
        await portal.documents(await sandbox.token("ada"), 1)
        await portal.settle(own_database)
