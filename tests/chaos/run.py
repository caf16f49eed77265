"""One storm from its first wind to the reckoning."""

import random
import time
from pathlib import Path

import httpx

from tests.chaos.house import APIS, WORKERS, running_house
from tests.chaos.reckoning import Reckoning, heal, reckon
from tests.chaos.storm import BUYERS, SUBSCRIBED, Ledger, Storm
from tests.house import running_sandbox

DAY_SECONDS = 86_400


async def run(seconds: float, calm: float, seed: int, folder: Path) -> Reckoning:
    """Let a storm blow for so long, with up to `calm` seconds between two moves; the database and all logs
    are in `folder`."""
    # A Digital River that delivers again and again, as the real one does.
    async with (
        running_sandbox(SANDBOX_RETRIES="6", SANDBOX_RETRY_DELAY="0.2") as sandbox,
        httpx.AsyncClient(timeout=30) as http,
        running_house(sandbox, folder) as house,
    ):
        # The storm takes most of the machine.
        sandbox.client.timeout = httpx.Timeout(60)
        address = f"{house.url}/webhooks/digital-river"
        webhook = await sandbox.post("/webhooks", {"types": list(SUBSCRIBED), "address": address})
        house.secrets = (await sandbox.get(f"/_sandbox/webhooks/{webhook['id']}/secrets"))["secrets"]
        for name in (*APIS, *WORKERS):
            house.start(name)
        await house.until_ready(http)
        ledger = Ledger({name: await sandbox.token(name, expiresIn=DAY_SECONDS) for name in BUYERS})
        ends = time.monotonic() + seconds
        storm = Storm(house, sandbox, http, ledger, webhook["id"], ends, calm, random.Random(seed))
        await storm.blow()
        healed_after = await heal(house, sandbox, http)
        return await reckon(house, sandbox, ledger, http, healed_after)
