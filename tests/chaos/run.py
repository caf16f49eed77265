"""One chaos run: a deployment under failures, its recovery, and the comparison of all records."""

import random
import time
from pathlib import Path

import httpx

from tests.chaos.comparison import Comparison, compare
from tests.chaos.deployment import APIS, WORKERS, Deployment, running_deployment
from tests.chaos.records import LOG_ENTRIES, read_records
from tests.chaos.scenario import BUYERS, SUBSCRIBED, Ledger, Scenario
from tests.support.clock import eventually
from tests.support.processes import Running
from tests.support.sandbox import Json, Sandbox, running_sandbox

DAY_SECONDS = 86_400
HEALING_SECONDS = 180.0


async def run(
    seconds: float, longest_pause: float, seed: int, folder: Path, *, median_within: float = 1.0
) -> Comparison:
    """Cause failures for `seconds`, with up to `longest_pause` seconds between two of them. The database
    and all logs are in `folder`. Half of the documents must be there `median_within` seconds after their
    events."""
    # A Digital River that delivers again and again, as the real one does, and remembers all of it.
    settings = {
        "SANDBOX_RETRIES": "6",
        "SANDBOX_RETRY_DELAY": "0.2",
        "SANDBOX_LOG_ENTRIES": str(LOG_ENTRIES),
    }
    async with (
        running_sandbox(**settings) as sandbox,
        httpx.AsyncClient(timeout=30) as http,
        running_deployment(sandbox, folder) as deployment,
    ):
        # The deployment takes most of the machine.
        sandbox.client.timeout = httpx.Timeout(60)
        address = f"{deployment.url}/webhooks/digital-river"
        webhook = await sandbox.post("/webhooks", {"types": list(SUBSCRIBED), "address": address})
        deployment.secrets = (await sandbox.get(f"/_sandbox/webhooks/{webhook['id']}/secrets"))["secrets"]
        for name in (*APIS, *WORKERS):
            deployment.start(name)
        await deployment.until_ready(http)
        tokens = {name: await sandbox.token(name, expiresIn=DAY_SECONDS) for name in BUYERS}
        ledger = Ledger(tokens, secrets=set(deployment.secrets))
        ends = time.monotonic() + seconds
        scenario = Scenario(
            deployment, sandbox, http, ledger, webhook["id"], ends, longest_pause, random.Random(seed)
        )
        await scenario.run_all()
        healed_after = await _heal(deployment, sandbox, ledger, http)
        records = await read_records(deployment, sandbox, ledger, http)
        return compare(
            records,
            ledger,
            median_within=median_within,
            healed_after=healed_after,
            died_at=deployment.died_at,
        )


async def _heal(deployment: Deployment, sandbox: Sandbox, ledger: Ledger, http: httpx.AsyncClient) -> float:
    """What an operator does when it is over: sweep, and let nothing wait. Returns after how many seconds
    all that was ever announced is done."""
    began = time.monotonic()
    (await sandbox.client.delete("/_sandbox/faults")).raise_for_status()
    await deployment.until_ready(http)
    ops = ledger.tokens["operator"] = await sandbox.token("operator", scopes=["portal:ops"])
    answer = await http.post(f"{deployment.url}/ops/sweep?days=1", headers=ops)
    asked: Json = answer.raise_for_status().json()
    next_revival = 0.0

    async def has_settled() -> bool:
        nonlocal next_revival
        deployment.restart_dead()
        if time.monotonic() > next_revival:
            next_revival = time.monotonic() + 3
            await Running.start(["events", "revive", "--all"], deployment.environment).wait()
        answer = await http.get(f"{deployment.url}/ops/status", headers=ops)
        status: Json = answer.json() if answer.is_success else {"lastSweep": None}
        last = status["lastSweep"]
        is_swept = bool(last and last["id"] >= asked["id"] and last["finishedAt"])
        return is_swept and status["open"] == status["buried"] == 0

    await eventually(has_settled, within=HEALING_SECONDS)
    return time.monotonic() - began
