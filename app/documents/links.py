"""Finds a usable link to a file: the stored one, else a live one at Digital River, else a new one."""

import collections
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from prometheus_client import Counter

from app.db.engine import AsyncEngine
from app.digital_river.api import files
from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.errors import Garbled
from app.documents import link_store
from app.documents.link_policy import Link, LinkPolicy, RefusalReason, policy_of
from app.ids import FileId
from app.resources import Resources

RENEWALS = Counter(
    "portal_link_renewals", "Links that were found at Digital River (adopted) or created (minted).", ["how"]
)
REFUSALS = Counter("portal_links_refused", "Links of Digital River's that are not handed out.", ["reason"])

log = structlog.get_logger()


class LinkRefused(Garbled):
    """Digital River made a link that must not be handed out."""


class LinkRefusedRecently(LinkRefused):
    """Not sent: a new link was refused within REFUSAL_PERIOD, which ends in `retry_after` seconds."""

    def __init__(self, reason: str, *, retry_after: float) -> None:
        super().__init__(f"a new link was refused a moment ago: {reason}")
        self.retry_after = retry_after


async def get_usable_link(resources: Resources, file_id: FileId) -> Link:
    """A public link to the file that lives for another five minutes at least.

    If several callers in any process need a new link at once, one of them calls Digital River.

    Raises:
        DigitalRiverError: a new link is needed, and the call failed. LinkRefused: the link is unusable.
        LeaseBusy: another caller is renewing the link, and takes too long.
    """
    stored = await _find_stored_link(resources, file_id)
    if stored is not None:
        return stored
    async with hold_renewal(resources, resources.digital_river, file_id) as renewal:
        link = await renewal.find() or await renewal.create()
        async with resources.engine.begin() as connection:
            await link_store.upsert_links(connection, {file_id: link})
    return link


@dataclass(frozen=True, slots=True)
class Renewal:
    """The right to create a link to the file, as long as its lease is held."""

    resources: Resources
    client: DigitalRiverClient
    file_id: FileId
    # The database's time.
    began_at: datetime

    async def find(self) -> Link | None:
        """The stored link, else the live one at Digital River that lives longest; None if there is none.

        Raises:
            DigitalRiverError: Digital River's links could not be fetched.
            LinkRefusedRecently: there is no stored one, and a new link was refused a moment ago.
        """
        stored = await _find_stored_link(self.resources, self.file_id, shared=True)
        return stored or await _find_live_link(
            self.client, policy_of(self.resources.settings), self.file_id, self.began_at
        )

    async def create(self) -> Link:
        """A new link.

        Raises:
            DigitalRiverError: the call failed. LinkRefused: the new link must not be handed out.
        """
        return await _create_link(self.resources, self.client, self.file_id, self.began_at)


@asynccontextmanager
async def hold_renewal(
    resources: Resources, client: DigitalRiverClient, file_id: FileId
) -> AsyncIterator[Renewal]:
    """Hold the file's lease until the end of the block, so that no other caller creates a link to the file.

    Raises:
        LeaseBusy: another caller is renewing the link, and takes too long.
    """
    async with resources.leases.hold(f"link:{file_id}") as now:
        yield Renewal(resources, client, file_id, now)


async def _find_stored_link(resources: Resources, file_id: FileId, *, shared: bool = False) -> Link | None:
    """The stored link, if it is usable. If `shared`, one statement finds those of several callers.

    Raises:
        LinkRefusedRecently: there is none, and Digital River is not called again so soon.
    """
    stored, refusal = await link_store.find_stored_link(
        resources.hot_pool, policy_of(resources.settings), file_id, shared=shared
    )
    if stored is None and refusal is not None:
        raise LinkRefusedRecently(refusal.reason, retry_after=refusal.seconds_left)
    return stored


async def _find_live_link(
    client: DigitalRiverClient, policy: LinkPolicy, file_id: FileId, now: datetime
) -> Link | None:
    """The link at Digital River that lives longest. A process that crashed may have created it."""
    listed = await files.fetch_live_links(client, file_id)
    results = [policy.check(link, file_id, now) for link in listed]
    # A link that ends soon is normal: it may be the link that this call renews.
    _report_refusals(
        file_id,
        collections.Counter(reason for reason in results if isinstance(reason, str) and reason != "life"),
    )
    links = [result for result in results if isinstance(result, Link)]
    if not links:
        return None
    RENEWALS.labels("adopted").inc()
    # Without the link id, because the public URL contains it.
    log.info("link.adopted", file_id=file_id)
    return max(links, key=lambda link: link.expires_at)


async def _create_link(
    resources: Resources, client: DigitalRiverClient, file_id: FileId, now: datetime
) -> Link:
    lifetime = timedelta(seconds=resources.settings.file_link_lifetime)
    try:
        link = policy_of(resources.settings).check(
            await files.create_link(client, file_id, now + lifetime), file_id, now
        )
    except Garbled as error:
        # Digital River may have created a link all the same.
        await _store_refusal(resources.engine, file_id, "unreadable")
        raise LinkRefused(f"a new link was refused: {error}") from error
    if isinstance(link, str):
        _report_refusals(file_id, {link: 1})
        await _store_refusal(resources.engine, file_id, link)
        raise LinkRefused(f"a new link was refused: {link}")
    RENEWALS.labels("minted").inc()
    log.info("link.minted", file_id=file_id)
    return link


async def _store_refusal(engine: AsyncEngine, file_id: FileId, reason: str) -> None:
    async with engine.begin() as connection:
        await link_store.upsert_refusal(connection, file_id, reason)


def _report_refusals(file_id: FileId, reasons: Mapping[RefusalReason, int]) -> None:
    """Count the refused links and log them in one line, without their URLs: a link may open another
    customer's file."""
    for reason, count in reasons.items():
        REFUSALS.labels(reason).inc(count)
    if reasons:
        log.error("link.refused", file_id=file_id, reasons=dict(reasons))
