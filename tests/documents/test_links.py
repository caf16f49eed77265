"""The link of a file: the stored one, else one that exists at Digital River, else a new one."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from prometheus_client import REGISTRY

from app.digital_river.errors import Garbled
from app.documents import links
from app.ids import FileId
from app.resources import Resources, open_resources
from tests.support.portal import settings_for
from tests.support.sandbox import Sandbox

LIFETIME = timedelta(minutes=20)


@pytest.fixture
async def resources(
    database_url: str, database: asyncpg.Connection, sandbox: Sandbox
) -> AsyncIterator[Resources]:
    settings = settings_for(database_url, sandbox.url, file_link_lifetime=round(LIFETIME.total_seconds()))
    async with open_resources(settings) as resources:
        yield resources


@pytest.fixture
async def file_id(sandbox: Sandbox) -> FileId:
    return FileId(await sandbox.invoiced(await sandbox.order("ada")))


async def live_link(sandbox: Sandbox, file_id: FileId, life: timedelta) -> str:
    """A link that the portal has not stored; returns its URL."""
    expires = (datetime.now(UTC) + life).strftime("%Y-%m-%dT%H:%M:%SZ")
    url: str = (await sandbox.post("/file-links", {"fileId": file_id, "expiresTime": expires}))["url"]
    return url


def renewals(how: str) -> float:
    return REGISTRY.get_sample_value("portal_link_renewals_total", {"how": how}) or 0.0


async def test_the_first_request_creates_a_link_and_the_next_ones_get_the_same(
    resources: Resources, sandbox: Sandbox, file_id: FileId
) -> None:
    before = renewals("minted")
    link = await links.get_usable_link(resources, file_id)
    (minted,) = (await sandbox.get("/file-links", fileId=file_id))["data"]
    assert (link.link_id, link.url) == (minted["id"], minted["url"])
    assert link.expires_at == datetime.fromisoformat(minted["expiresTime"])
    assert abs(link.expires_at - datetime.now(UTC) - LIFETIME) < timedelta(seconds=30)
    calls = (await sandbox.get("/_sandbox/requests"))["counts"]
    assert await links.get_usable_link(resources, file_id) == link
    assert (await sandbox.get("/_sandbox/requests"))["counts"] == calls
    assert renewals("minted") == before + 1


async def test_the_longest_lived_link_at_digital_river_is_adopted(
    resources: Resources, sandbox: Sandbox, file_id: FileId
) -> None:
    before = renewals("adopted")
    longest = await live_link(sandbox, file_id, timedelta(minutes=40))
    others = [await live_link(sandbox, file_id, timedelta(minutes=10))]
    # Neither the newest nor the one with the greatest id.
    while max(others) < longest:
        others.append(await live_link(sandbox, file_id, timedelta(minutes=10)))
    link = await links.get_usable_link(resources, file_id)
    assert link.url == longest
    assert await links.get_usable_link(resources, file_id) == link
    assert await sandbox.count("POST /file-links") == 1 + len(others)
    assert renewals("adopted") == before + 1


async def test_the_link_of_another_file_is_neither_adopted_nor_waited_for(
    resources: Resources, sandbox: Sandbox, file_id: FileId
) -> None:
    other = FileId(await sandbox.invoiced(await sandbox.order("grace")))
    theirs = await live_link(sandbox, other, timedelta(minutes=40))
    async with (
        asyncio.timeout(5),
        links.hold_renewal(resources, resources.digital_river, other) as renewal,
    ):
        found = await renewal.find()
        assert found is not None
        assert found.url == theirs
        assert (await links.get_usable_link(resources, file_id)).url != theirs


async def test_a_stored_link_is_given_out_while_another_request_renews_it(
    resources: Resources, file_id: FileId
) -> None:
    link = await links.get_usable_link(resources, file_id)
    async with asyncio.timeout(5), links.hold_renewal(resources, resources.digital_river, file_id):
        assert await links.get_usable_link(resources, file_id) == link


async def test_a_live_link_that_dies_within_five_minutes_is_not_adopted(
    resources: Resources, sandbox: Sandbox, file_id: FileId
) -> None:
    dying = await live_link(sandbox, file_id, timedelta(minutes=4))
    assert (await links.get_usable_link(resources, file_id)).url != dying


@pytest.mark.parametrize("field", ["url", "expiresTime"])
async def test_an_incomplete_listed_link_is_ignored(
    field: str, resources: Resources, sandbox: Sandbox, file_id: FileId
) -> None:
    useless = await live_link(sandbox, file_id, timedelta(minutes=40))
    await sandbox.fault("hide", fields=[field], method="GET", path="/file-links*")
    assert (await links.get_usable_link(resources, file_id)).url != useless


@pytest.mark.parametrize("field", ["url", "expiresTime"])
async def test_an_incomplete_new_link_is_garbled_and_not_stored(
    field: str, resources: Resources, sandbox: Sandbox, database: asyncpg.Connection, file_id: FileId
) -> None:
    await sandbox.fault("hide", fields=[field], path="/file-links*")
    with pytest.raises(Garbled):
        await links.get_usable_link(resources, file_id)
    assert await database.fetchval("SELECT count(*) FROM file_link") == 0


@pytest.mark.proof
async def test_simultaneous_requests_at_two_processes_share_one_new_link(
    resources: Resources, sandbox: Sandbox, file_id: FileId
) -> None:
    async with open_resources(resources.settings) as other:
        asked = await asyncio.gather(*(links.get_usable_link(one, file_id) for one in [resources, other] * 5))
    assert len(set(asked)) == 1
    calls = [await sandbox.count(f"{method} /file-links") for method in ("GET", "POST")]
    assert calls == [1, 1]
