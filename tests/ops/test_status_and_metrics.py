"""The status page of operators and the metrics for Prometheus."""

import re
import socket
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from pydantic import SecretStr
from ruamel.yaml import YAML

import app
from app.webhooks.sweep import sweep_now
from app.worker.handlers import HANDLERS
from tests.support.clock import eventually
from tests.support.events import SECRET, invoice_event, signed
from tests.support.portal import Portal, pass_time, running_portal, settings_for
from tests.support.processes import running
from tests.support.sandbox import Sandbox

DOCS = Path(app.__file__).parents[1] / "docs"
Samples = dict[str, float]


def read(text: str) -> Samples:
    """Every sample of a scrape by its name with labels, as printed."""
    lines = [line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


async def scrape(portal: Portal) -> Samples:
    answer = (await portal.client.get("/metrics")).raise_for_status()
    assert answer.headers["Content-Type"].startswith("text/plain")
    return read(answer.text)


def grown(before: Samples, after: Samples, name: str) -> float:
    return after.get(name, 0) - before.get(name, 0)


async def test_the_status_shows_inbox_sweep_and_digital_river(
    portal: Portal, sandbox: Sandbox, database: asyncpg.Connection
) -> None:
    ops = await sandbox.token("operator", scopes=["portal:ops"])
    first = (await portal.get("/ops/status", ops)).raise_for_status().json()
    assert (first["open"], first["buried"], first["oldestOpenSeconds"]) == (0, 0, None)
    assert (first["lastSweep"], first["sweptLastDay"]) == (None, 0)
    assert first["farSide"]["breaker"] == "closed"
    assert first["farSide"]["budgetPerSecond"] == 1000
    await portal.deliver(invoice_event(orderId=None))

    async def buried() -> Any:
        return (await portal.get("/ops/status", ops)).json()["buried"]

    await eventually(buried)


async def test_the_intake_is_counted_by_result_and_by_the_secret_that_signed(
    portal: Portal, sandbox: Sandbox
) -> None:
    portal.trust(["whs_the_old_secret"])
    before = await scrape(portal)
    event = invoice_event(orderId=None)
    await portal.deliver(event)
    await portal.deliver(event)
    await portal.deliver(invoice_event(orderId=None), secret="whs_the_old_secret")
    await portal.deliver({"id": "e1", "type": "order.updated"})
    await portal.deliver({"id": "e2"})
    await portal.client.post(
        "/webhooks/digital-river", content=b"{}", headers={"DigitalRiver-Signature": "x"}
    )
    body = b"{}"
    await portal.client.post(
        "/webhooks/digital-river", content=body, headers=signed(body, secret="whs_wrong")
    )
    after = await scrape(portal)
    counted = {
        ("accepted", "0"): 1,
        ("duplicate", "0"): 1,
        ("accepted", "1"): 1,
        ("ignored", "0"): 1,
        ("not_an_event", "0"): 1,
        ("malformed", "none"): 1,
        ("wrong", "none"): 1,
    }
    for (result, secret), count in counted.items():
        name = f'portal_webhook_deliveries_total{{result="{result}",secret="{secret}"}}'
        assert grown(before, after, name) == count, name


async def test_a_new_document_changes_the_metrics(
    portal: Portal, sandbox: Sandbox, database: asyncpg.Connection
) -> None:
    assert portal.app is not None
    before = await scrape(portal)
    await sandbox.fault("drop", eventType="order.credit_memo.created")
    order = await sandbox.order("ada")
    await sandbox.invoiced(order)
    await sandbox.refund(order)
    await portal.documents(await sandbox.token("ada"), 1)

    async def memo() -> Any:
        return (await sandbox.get("/events", type="order.credit_memo.created"))["data"]

    await eventually(memo)
    await pass_time(database, sandbox, 120)
    await sweep_now(portal.app.state.resources, HANDLERS, None)
    await portal.documents(await sandbox.token("ada"), 2)
    after = await scrape(portal)
    for name, least in {
        'portal_events_handled_total{result="done",type="order.invoice.created"}': 1,
        'portal_event_handling_seconds_count{type="order.invoice.created"}': 1,
        'portal_event_age_seconds_count{type="order.credit_memo.created"}': 1,
        'portal_link_renewals_total{how="minted"}': 2,
        'portal_digital_river_calls_total{method="POST",result="ok",route="/file-links"}': 2,
        'portal_sweep_events_total{result="overdue"}': 1,
        'portal_sweeps_total{result="done"}': 1,
    }.items():
        assert grown(before, after, name) >= least, name
    assert after["portal_sweep_watermark_timestamp_seconds"] > 0
    assert after["portal_database_up"] == 1


async def test_the_inbox_is_counted_by_state_with_the_age_of_the_oldest(
    portal: Portal, sandbox: Sandbox, database: asyncpg.Connection
) -> None:
    await portal.deliver(invoice_event(orderId=None))
    await database.execute(
        """INSERT INTO webhook_event (id, type, state, origin, body, received_at, due_at) VALUES
           ('waits', 't', 'pending', 'webhook', '{}', now() - interval '90 s', now() + interval '1 h')"""
    )

    async def found() -> Any:
        numbers = await scrape(portal)
        # Counted one after the other: one may be buried in between.
        is_settled = numbers['portal_inbox_events{state="pending"}'] == 1
        return numbers if numbers['portal_inbox_events{state="buried"}'] and is_settled else None

    numbers = await eventually(found)
    assert numbers['portal_inbox_events{state="pending"}'] == 1
    assert 90 <= numbers["portal_inbox_oldest_open_seconds"] < 120


async def test_metrics_hold_no_id_no_address_and_no_secret(portal: Portal, sandbox: Sandbox) -> None:
    order = await sandbox.order("ada-the-customer")
    file_id = await sandbox.invoiced(order)
    (document,) = await portal.documents(await sandbox.token("ada-the-customer"), 1)
    text = (await portal.client.get("/metrics")).text
    for private in (
        order["id"],
        file_id,
        document["id"],
        document["link"]["url"],
        "ada-the-customer",
        SECRET,
    ):
        assert private not in text


async def test_metrics_can_require_a_token(own_database_url: str, sandbox: Sandbox) -> None:
    async with running_portal(
        own_database_url, sandbox.url, with_worker=False, metrics_token=SecretStr("for prometheus")
    ) as portal:
        for value, status in (("Bearer for prometheus", 200), ("Bearer wrong", 401), ("", 401)):
            answer = await portal.client.get("/metrics", headers={"Authorization": value})
            assert answer.status_code == status


async def test_metrics_of_the_process_are_served_without_a_database(sandbox: Sandbox) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"postgresql://nobody@127.0.0.1:{probe.getsockname()[1]}/none"
    async with running_portal(url, sandbox.url, with_worker=False) as portal:
        numbers = await scrape(portal)
    assert numbers["portal_database_up"] == 0
    assert numbers["portal_digital_river_budget_per_second"] == 1000


@pytest.mark.proof
async def test_a_worker_serves_its_metrics_on_its_own_port(
    own_database_url: str, sandbox: Sandbox, http: httpx.AsyncClient
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = settings_for(own_database_url, sandbox.url)
    async with running("worker", settings, PORTAL_WORKER_METRICS_PORT=str(port)) as worker:

        async def swept() -> Any:
            try:
                text = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
            except httpx.TransportError:
                return None
            numbers = read(text)
            return numbers if numbers.get('portal_sweeps_total{result="done"}') else None

        assert (await eventually(swept))["portal_database_up"] == 1
        assert await worker.end() == 0


async def test_the_alert_rules_name_metrics_that_exist(portal: Portal) -> None:
    rules = YAML(typ="safe").load(DOCS / "alerts.yml")
    text = (await portal.client.get("/metrics")).text
    families = re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE)
    existing = {name for name, _ in families}
    existing |= {
        f"{name}_{part}" for name, kind in families if kind == "histogram" for part in ("bucket", "count")
    }
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    assert len(alerts) >= 8
    for rule in alerts:
        assert rule["annotations"]["summary"], rule
        used = set(re.findall(r"\bportal_\w+", rule["expr"]))
        assert used, rule
        assert used <= existing, used - existing
