"""One question: "give me a link that works". Reuse the stored one, adopt a live one, or mint one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import structlog
from prometheus_client import Counter

from app.digital_river import file_links
from app.digital_river.errors import Garbled
from app.digital_river.models import FileLink
from app.digital_river.transport import Transport
from app.documents import store
from app.documents.store import MINIMUM_LIFE, Link
from app.ids import FileId
from app.resources import Resources

RENEWALS = Counter("portal_link_renewals", "Links that were adopted at Digital River or minted.", ["how"])

log = structlog.get_logger()


async def usable(resources: Resources, file_id: FileId) -> Link:
    """A public link to the file that lives for another five minutes at least.

    However many callers and processes ask at once, Digital River is asked by one of them.

    Raises:
        DigitalRiverError: a new link is needed and was not to be had.
        LeaseBusy: somebody else is renewing it and does not get done.
    """
    async with resources.engine.connect() as connection:
        stored = await store.find_usable_link(connection, file_id)
    if stored is not None:
        return stored
    async with renewing(resources, resources.far, file_id) as link, resources.engine.begin() as connection:
        await store.keep_link(connection, file_id, link)
    return link


@asynccontextmanager
async def renewing(resources: Resources, far: Transport, file_id: FileId) -> AsyncIterator[Link]:
    """A link that works, for the block in which the caller stores it; nobody else mints one meanwhile.

    Raises:
        DigitalRiverError, LeaseBusy: as `usable`.
    """
    async with resources.leases.hold(f"link:{file_id}") as now:
        async with resources.engine.connect() as connection:
            stored = await store.find_usable_link(connection, file_id)
        lifetime = timedelta(seconds=resources.settings.file_link_lifetime)
        yield stored or await _find_live(far, file_id, now) or await _mint(far, file_id, now + lifetime)


async def _find_live(far: Transport, file_id: FileId, now: datetime) -> Link | None:
    """The longest-lived link the file has at Digital River: ours from before a crash, say."""
    links = [_read(found) for found in await file_links.fetch_live_links(far, file_id)]
    best = max((link for link in links if link), key=lambda link: link.expires_at, default=None)
    if best is None or best.expires_at <= now + MINIMUM_LIFE:
        return None
    RENEWALS.labels("adopted").inc()
    # Not the link id: the public URL is made of it.
    log.info("link.adopted", file_id=file_id)
    return best


async def _mint(far: Transport, file_id: FileId, expires_at: datetime) -> Link:
    link = _read(await file_links.create_link(far, file_id, expires_at))
    if link is None:
        raise Garbled("a new file link without a URL or an expiry")
    RENEWALS.labels("minted").inc()
    log.info("link.minted", file_id=file_id)
    return link


def _read(found: FileLink) -> Link | None:
    if found.url is None or found.expires_time is None:
        return None
    return Link(link_id=found.id, url=found.url, expires_at=found.expires_time)
