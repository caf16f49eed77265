"""Opening a document: its link as JSON, its PDF through the portal, and no more of it than was requested."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import httpx
import pytest

from app.documents import downloads
from tests.security.matrix import ENTRIES, OWNER, CaseContext
from tests.support.clock import eventually
from tests.support.portal import Portal, pass_time, running_portal
from tests.support.proofs import proofs_except
from tests.support.sandbox import Json, Sandbox

ORIGIN = {"Origin": "https://shop.example"}
READINGS = [route for route in ENTRIES if route.startswith("GET ")]


@pytest.fixture
async def narrow(
    own_database_url: str, own_database: asyncpg.Connection, sandbox: Sandbox
) -> AsyncIterator[Portal]:
    """A portal that allows few downloads at a time, and pages of one origin."""
    async with running_portal(
        own_database_url,
        sandbox.url,
        with_worker=False,
        proxied_downloads=3,
        proxied_downloads_per_buyer=2,
        cors_origins=(ORIGIN["Origin"],),
    ) as portal:
        yield portal


async def owned(database: asyncpg.Connection, file_id: str, customer_id: str) -> str:
    """The path of a customer's document with this file."""
    document_id = await database.fetchval(
        """INSERT INTO document (file_id, order_id, customer_id, kind, file_name, created_at)
           VALUES ($1, $2, $3, 'invoice', 'invoice “1”.pdf', now()) RETURNING id""",
        file_id,
        str(uuid4()),
        customer_id,
    )
    return f"/v1/documents/{document_id}/content"


async def pdf(sandbox: Sandbox, size: int = 1000) -> str:
    """The id of a file of this size."""
    content = b"%PDF-1.7\n" + size * b"x"
    form = {"purpose": "customer_invoice", "fileName": "invoice.pdf"}
    answer = await sandbox.client.post("/files", data=form, files={"file": ("invoice.pdf", content)})
    file: Json = answer.raise_for_status().json()
    return str(file["id"])


async def test_a_page_gets_the_link_as_json_by_the_same_rules_as_the_redirect(
    narrow: Portal, own_database: asyncpg.Connection, sandbox: Sandbox, http: httpx.AsyncClient
) -> None:
    path = await owned(own_database, await pdf(sandbox), "ada")
    token = {**await sandbox.token("ada"), **ORIGIN}
    answer = await narrow.get(path, token, disposition="link")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    assert "no-store" in answer.headers["Cache-Control"]
    assert answer.json().keys() == {"url", "expiresAt"}
    assert (await http.get(answer.json()["url"])).content.startswith(b"%PDF")
    assert (await narrow.get(path, token)).headers["Location"] == answer.json()["url"]
    assert await sandbox.count("POST /file-links") == 1
    await pass_time(own_database, sandbox, 7200)
    assert (await narrow.get(path, token, disposition="link")).json()["url"] != answer.json()["url"]
    mallory = await sandbox.token("mallory")
    assert (await narrow.get(path, mallory, disposition="link")).status_code == 404
    support = await sandbox.token("agent-7", scopes=["portal:support"])
    assert (await narrow.get(path, support, disposition="link")).status_code == 200
    assert await own_database.fetchval("SELECT count(*) FROM audit_record") == 1


@pytest.mark.proof
async def test_downloads_of_one_buyer_and_of_all_buyers_are_limited(
    narrow: Portal, own_database: asyncpg.Connection, sandbox: Sandbox
) -> None:
    names = ("ada", "grace", "barbara")
    paths = {name: await owned(own_database, await pdf(sandbox), name) for name in names}
    tokens = {name: await sandbox.token(name) for name in names}
    await sandbox.fault("delay", seconds=3, path="/files/{id}/content")

    def download(name: str) -> asyncio.Task[httpx.Response]:
        return asyncio.create_task(narrow.get(paths[name], tokens[name], disposition="proxy"))

    async def are_under_way(count: int) -> bool:
        assert narrow.app is not None
        return bool(narrow.app.state.resources.downloads.active == count)

    passed = [download("ada"), download("ada")]
    await eventually(lambda: are_under_way(2))
    too_many = await download("ada")
    assert (too_many.status_code, "Retry-After" in too_many.headers) == (429, True)
    assert "detail" in too_many.json()
    passed.append(download("grace"))
    await eventually(lambda: are_under_way(3))
    full = await download("barbara")
    assert (full.status_code, "Retry-After" in full.headers) == (503, True)
    assert [(await one).status_code for one in passed] == [200] * 3
    await sandbox.client.delete("/_sandbox/faults")
    await eventually(lambda: are_under_way(0))
    assert (await download("barbara")).content.startswith(b"%PDF")


@pytest.mark.proof
async def test_a_download_that_is_read_too_slowly_is_closed(
    narrow: Portal,
    own_database: asyncpg.Connection,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(downloads, "DOWNLOAD_SECONDS", 1.0)
    # More than the buffers between take.
    path = await owned(own_database, await pdf(sandbox, 9_000_000), "ada")
    token = await sandbox.token("ada")
    parameters = {"disposition": "proxy"}
    async with narrow.client.stream("GET", path, headers=token, params=parameters) as answer:
        assert answer.status_code == 200

        async def is_over() -> bool:
            assert narrow.app is not None
            return bool(narrow.app.state.resources.downloads.active == 0)

        await eventually(is_over)
        with pytest.raises(httpx.RemoteProtocolError):
            await answer.aread()


@pytest.mark.proof
@pytest.mark.parametrize("query", ["", "?disposition=link", "?disposition=proxy", "?disposition=x"])
async def test_head_of_a_document_is_get_without_the_content(
    query: str, narrow: Portal, own_database: asyncpg.Connection, sandbox: Sandbox
) -> None:
    path = await owned(own_database, await pdf(sandbox, 9_000_000), "ada") + query
    token = {**await sandbox.token("ada"), **ORIGIN, "X-Request-ID": "same"}
    whole = await narrow.client.get(path, headers=token)
    head = await narrow.client.head(path, headers=token)
    assert (head.status_code, head.content) == (whole.status_code, b"")
    assert _lasting(head) == _lasting(whole)
    assert "Content-Disposition" in head.headers["Access-Control-Expose-Headers"]


def _lasting(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in ("date", "ratelimit")}


async def test_head_reads_nothing_of_a_file(
    narrow: Portal, own_database: asyncpg.Connection, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = 0

    async def count(self: object) -> AsyncIterator[bytes]:
        nonlocal read
        read += 1
        yield b""

    monkeypatch.setattr("httpx_aiohttp.transport.AiohttpResponseStream.__aiter__", count)
    path = await owned(own_database, await pdf(sandbox), "ada")
    head = await narrow.client.head(path, headers=await sandbox.token("ada"), params={"disposition": "proxy"})
    assert (head.status_code, int(head.headers["Content-Length"]) > 1000, read) == (200, True, 0)


@pytest.mark.parametrize("route", proofs_except(READINGS[:3], READINGS))
async def test_head_is_answered_by_every_reading_route(route: str, portal: Portal, sandbox: Sandbox) -> None:
    token = await sandbox.token(OWNER)
    values = await ENTRIES[route].prepare(CaseContext(portal, sandbox, token))
    path = route.removeprefix("GET ").format(**values)
    headers = {**token, "X-Request-ID": "same"}
    whole = await portal.client.get(path, headers=headers)
    head = await portal.client.head(path, headers=headers)
    assert (head.status_code, head.content) == (whole.status_code, b"")
    assert _lasting(head) == _lasting(whole)
