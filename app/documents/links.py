"""One question: "give me a link that works". Reuse the stored one, adopt a live one, or mint one."""

from collections import Counter as Tally
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
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

RENEWALS = Counter("portal_link_renewals", "Links that were adopted at Digital River or minted.", ["how"])
REFUSALS = Counter("portal_links_refused", "Links of Digital River's that are not handed out.", ["reason"])

log = structlog.get_logger()


class LinkRefused(Garbled):
    """Digital River made a link that must not be handed out, just now or a moment ago."""


async def get_usable_link(resources: Resources, file_id: FileId) -> Link:
    """A public link to the file that lives for another five minutes at least.

    However many callers and processes ask at once, Digital River is asked by one of them.

    Raises:
        DigitalRiverError: a new link is needed and was not to be had; LinkRefused, one that is of no use.
        LeaseBusy: somebody else is renewing it and does not get done.
    """
    stored = await _find_stored_link(resources.engine, policy_of(resources.settings), file_id)
    if stored is not None:
        return stored
    async with (
        hold_usable_link(resources, resources.digital_river, file_id) as link,
        resources.engine.begin() as connection,
    ):
        await link_store.upsert_link(connection, file_id, link)
    return link


@asynccontextmanager
async def hold_usable_link(
    resources: Resources, client: DigitalRiverClient, file_id: FileId
) -> AsyncIterator[Link]:
    """A link that works, for the block in which the caller stores it; nobody else mints one meanwhile.

    Raises:
        DigitalRiverError, LeaseBusy: as `usable`.
    """
    policy = policy_of(resources.settings)
    async with resources.leases.hold(f"link:{file_id}") as now:
        yield (
            await _find_stored_link(resources.engine, policy, file_id)
            or await _fetch_live_link(client, policy, file_id, now)
            or await _create_link(resources, client, file_id, now)
        )


async def _find_stored_link(engine: AsyncEngine, policy: LinkPolicy, file_id: FileId) -> Link | None:
    """The stored link. Soon after a refusal every caller is refused, and Digital River is not asked.

    Raises:
        LinkRefused: there is none, and a new one was of no use a moment ago.
    """
    async with engine.connect() as connection:
        stored = await link_store.find_usable_link(connection, policy, file_id)
        if stored is not None:
            return stored
        reason = await link_store.find_recent_refusal(connection, file_id)
    if reason is not None:
        raise LinkRefused(f"a new link was refused a moment ago: {reason}")
    return None


async def _fetch_live_link(
    client: DigitalRiverClient, policy: LinkPolicy, file_id: FileId, now: datetime
) -> Link | None:
    """The longest-lived link the file has at Digital River: ours from before a crash, say."""
    listed = await files.fetch_live_links(client, file_id)
    read = [policy.read(found, file_id, now) for found in listed]
    # One that ends soon is no fault: it may be the one that is to be renewed.
    _report_refusals(
        file_id, Tally(reason for reason in read if isinstance(reason, str) and reason != "life")
    )
    links = [link for link in read if isinstance(link, Link)]
    if not links:
        return None
    RENEWALS.labels("adopted").inc()
    # Not the link id: the public URL is made of it.
    log.info("link.adopted", file_id=file_id)
    return max(links, key=lambda link: link.expires_at)


async def _create_link(
    resources: Resources, client: DigitalRiverClient, file_id: FileId, now: datetime
) -> Link:
    lifetime = timedelta(seconds=resources.settings.file_link_lifetime)
    try:
        link = policy_of(resources.settings).read(
            await files.create_link(client, file_id, now + lifetime), file_id, now
        )
    except Garbled as error:
        # There may be one all the same.
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
    """In one line, however many there are, and without the links: they may be somebody else's."""
    for reason, count in reasons.items():
        REFUSALS.labels(reason).inc(count)
    if reasons:
        log.error("link.refused", file_id=file_id, reasons=dict(reasons))
