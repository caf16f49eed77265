"""What each side has recorded about a chaos run, read to the end, for the comparison."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import asyncpg
import httpx

from app.worker.handlers import HANDLERS
from tests.chaos.deployment import Deployment
from tests.chaos.scenario import BUYERS, CANARY, Ledger
from tests.support.sandbox import Json, Sandbox

# More deliveries than the longest run makes: what the sandbox forgets would be missing here.
LOG_ENTRIES = 10_000_000
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Records:
    """Digital River's side: `sent` events of the types we handle, `deliveries` of all types, the files it
    `issued` with their orders, and how many files have how many live `links`. Ours: `kept` events and
    `documents`, both as rows. The buyers': how many documents their owners `opened` and how many somebody
    else got an answer about. And the `logs`, with the `private` things found there."""

    sent: Sequence[Json]
    deliveries: Sequence[Json]
    kept: Mapping[str, Row]
    documents: Sequence[Row]
    issued: Mapping[str, str]
    links: Counter[int]
    opened: int
    stolen: int
    logs: str
    private: Sequence[str]

    @cached_property
    def sent_ids(self) -> set[str]:
        return {event["id"] for event in self.sent}

    @cached_property
    def happened_at(self) -> dict[str, datetime]:
        """By Digital River's own list; what was delivered may have been tampered with."""
        return {event["id"]: datetime.fromisoformat(event["createdTime"]) for event in self.sent}

    @cached_property
    def accepted(self) -> Counter[str]:
        """How often each event was acknowledged with a 2xx."""
        return Counter(one["eventId"] for one in self.deliveries if one["status"] and one["status"] < 300)

    @cached_property
    def dropped(self) -> set[str]:
        """Events that were never tried to be delivered."""
        return self.sent_ids - {one["eventId"] for one in self.deliveries}


async def read_records(
    deployment: Deployment, sandbox: Sandbox, ledger: Ledger, http: httpx.AsyncClient
) -> Records:
    """Read all ledgers to the end, and let every buyer try every document."""
    database = await asyncpg.connect(deployment.database_url)
    kept = {row["id"]: row for row in await database.fetch("SELECT * FROM webhook_event")}
    documents = await database.fetch("SELECT * FROM document")
    await database.close()
    issued: dict[str, str] = {}
    for order in ledger.orders:
        now = await sandbox.get(f"/orders/{order['id']}")
        pdfs = [*(now.get("invoicePDFs") or ()), *(now.get("creditMemoPDFs") or ())]
        issued |= dict.fromkeys((pdf["id"] for pdf in pdfs), order["id"])
    links = await sandbox.all_of("/file-links")
    live = Counter(link["fileId"] for link in links if not link["expired"])
    opened, stolen = await _try_every_document(deployment, ledger, documents, http)
    deliveries = (await sandbox.client.get("/_sandbox/deliveries")).raise_for_status().json()
    logs = deployment.logs()
    return Records(
        sent=await sandbox.all_of("/events", types=",".join(HANDLERS)),
        deliveries=deliveries,
        kept=kept,
        documents=documents,
        issued=issued,
        links=Counter(live[file_id] for file_id in issued),
        opened=opened,
        stolen=stolen,
        logs=logs,
        private=_private_in(logs, ledger, [link["url"] for link in links]),
    )


async def _try_every_document(
    deployment: Deployment, ledger: Ledger, documents: Sequence[Row], http: httpx.AsyncClient
) -> tuple[int, int]:
    """How many documents their owners could open, and how often anybody else got more than a 404."""
    owners = {order["id"]: order["customerId"] for order in ledger.orders}
    opened = stolen = 0
    for document in documents:
        for buyer in BUYERS:
            answer = await http.get(
                f"{deployment.url}/v1/documents/{document['id']}/content",
                headers=ledger.tokens[buyer],
                follow_redirects=True,
            )
            if owners[document["order_id"]] == buyer:
                opened += answer.is_success and answer.content.startswith(b"%PDF")
            else:
                stolen += answer.status_code != 404
    return opened, stolen


def _private_in(logs: str, ledger: Ledger, urls: Sequence[str]) -> list[str]:
    """Of all that no log may hold, what the logs hold."""
    private = {
        CANARY,
        "example.com",
        "sk_test_sandbox",
        *ledger.secrets,
        *urls,
        *(header["Authorization"].removeprefix("Bearer ") for header in ledger.tokens.values()),
        *BUYERS,
    }
    return sorted(value for value in private if value in logs)
