"""The portal neither stores nor gives out a link of Digital River that breaks the link policy."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from app.worker.retry_policy import MAX_ATTEMPTS
from tests.support.clock import eventually
from tests.support.portal import Portal, pass_time
from tests.support.rewriting_proxy import (
    Rewrite,
    RewritingProxy,
    portal_behind,
    rewriting,
    running_rewriting_proxy,
    unchanged,
)
from tests.support.sandbox import Json, Sandbox

HOUR = 3600.0

BAD_MEMBERS: dict[str, Json] = {
    "anotherFile": {"fileId": "49ca4603-a718-424b-8a5e-0bfa95f98ae8"},
    "no file": {"fileId": None},
    "no URL": {"url": None},
    "an empty URL": {"url": ""},
    "a script": {"url": "javascript:alert(document.domain)"},
    "data": {"url": "data:text/html,<script>alert(1)</script>"},
    "relative": {"url": "/links/1"},
    "100 kB": {"url": "http://127.0.0.1/" + 100_000 * "x"},
    "a strange host": {"url": "https://evil.example/links/1"},
    "credentials": {"url": "http://ada@127.0.0.1/links/1"},
    "CRLF": {"url": "http://127.0.0.1/links/1\r\nSet-Cookie: a=b"},
    "an emoji": {"url": "http://127.0.0.1/links/\N{GRINNING FACE}"},
    "NUL in the URL": {"url": "http://127.0.0.1/links/\0"},
    "NUL in the id": {"id": "a\0b"},
    "a dying one": {"expiresTime": lambda: datetime.now(UTC) + timedelta(minutes=4)},
    "a dead one": {"expiresTime": lambda: datetime.now(UTC) - timedelta(minutes=1)},
    "year 1": {"expiresTime": "0001-01-01T00:00:00Z"},
    "before all time": {"expiresTime": "0001-01-01T00:00:00+23:59"},
    "year 9999": {"expiresTime": "9999-12-31T23:59:59Z"},
    "after all time": {"expiresTime": "9999-12-31T23:59:59-23:59"},
    "no time": {"expiresTime": "soon"},
}


def bad_members(case: str) -> dict[str, Any]:
    return {
        name: value().isoformat() if callable(value) else value for name, value in BAD_MEMBERS[case].items()
    }


def every_link(**changes: Any) -> Rewrite:
    """Every link, new or listed, has these members instead of its own; None takes one out."""

    def change(answer: Json) -> Json:
        if "data" in answer:
            return {**answer, "data": [change(link) for link in answer["data"]]}
        return {name: value for name, value in {**answer, **changes}.items() if value is not None}

    return rewriting("/file-links", change)


@dataclass
class LinkScenario:
    """A portal behind the proxy, and a buyer with one document whose link has expired."""

    portal: Portal
    proxy: RewritingProxy
    token: dict[str, str]
    document: Json

    @property
    def path(self) -> str:
        return f"/v1/documents/{self.document['id']}"

    async def open(self) -> httpx.Response:
        return await self.portal.get(f"{self.path}/content", self.token)

    async def shown_links(self) -> list[Any]:
        """The document's link in every answer that shows it."""
        views = [
            (await self.portal.get(self.path, self.token)).json(),
            *(await self.portal.get("/v1/documents", self.token)).json()["data"],
            *(await self.portal.get(f"/v1/orders/{self.document['orderId']}/documents", self.token)).json()[
                "data"
            ],
            *(await self.portal.get(f"/v1/orders/{self.document['orderId']}", self.token)).json()[
                "documents"
            ]["data"],
        ]
        return [view["link"] for view in views]


@pytest.fixture
async def proxy(sandbox: Sandbox) -> AsyncIterator[RewritingProxy]:
    async with running_rewriting_proxy(sandbox) as proxy:
        yield proxy


@pytest.fixture
async def portal_behind_proxy(
    own_database_url: str, sandbox: Sandbox, proxy: RewritingProxy
) -> AsyncIterator[Portal]:
    async with portal_behind(proxy, own_database_url) as portal:
        portal.trust(await sandbox.register_webhook(portal.url))
        yield portal


@pytest.fixture
async def scenario(
    portal_behind_proxy: Portal, proxy: RewritingProxy, sandbox: Sandbox, own_database: asyncpg.Connection
) -> LinkScenario:
    await sandbox.invoiced(await sandbox.order("ada"))
    token = await sandbox.token("ada")
    (document,) = await portal_behind_proxy.documents(token, 1)
    await portal_behind_proxy.settle(own_database)
    await pass_time(own_database, sandbox, 2 * HOUR)
    await sandbox.client.delete("/_sandbox/requests")
    return LinkScenario(portal_behind_proxy, proxy, token, document)


@pytest.mark.proof
async def test_a_link_that_breaks_the_policy_is_502_and_nothing_is_kept(
    scenario: LinkScenario,
    own_database: asyncpg.Connection,
    sandbox: Sandbox,
    capsys: pytest.CaptureFixture[str],
    subtests: pytest.Subtests,
) -> None:
    for case in BAD_MEMBERS:
        with subtests.test(case):
            changes = bad_members(case)
            before = await own_database.fetch("SELECT * FROM file_link")
            capsys.readouterr()
            await sandbox.client.delete("/_sandbox/requests")
            scenario.proxy.rewrite = every_link(**changes)
            answer = await scenario.open()
            assert (answer.status_code, answer.json()["type"]) == (502, "urn:portal:problem:bad-gateway")
            assert await own_database.fetch("SELECT * FROM file_link") == before
            assert await scenario.shown_links() == [None] * 4
            assert await sandbox.count("POST /file-links") == 1
            logged = capsys.readouterr().out
            assert "link.refused" in logged or "Garbled" in logged
            assert not changes.get("url") or changes["url"][:40] not in logged
        # A minute later the portal asks again.
        scenario.proxy.rewrite = unchanged
        await pass_time(own_database, sandbox, 61)
        assert (await scenario.open()).status_code == 303
        await pass_time(own_database, sandbox, 2 * HOUR)


async def test_a_document_without_a_good_link_still_opens_through_the_proxy(
    scenario: LinkScenario,
) -> None:
    scenario.proxy.rewrite = every_link(url="javascript:alert(1)")
    assert (await scenario.open()).status_code == 502
    proxied = await scenario.portal.get(f"{scenario.path}/content", scenario.token, disposition="proxy")
    assert proxied.content.startswith(b"%PDF")


@pytest.mark.proof
async def test_only_this_files_links_are_used_if_the_filter_is_ignored(
    scenario: LinkScenario, sandbox: Sandbox, own_database: asyncpg.Connection
) -> None:
    await sandbox.invoiced(await sandbox.order("grace"))
    theirs = (await scenario.portal.documents(await sandbox.token("grace"), 1))[0]["link"]["url"]
    scenario.proxy.without_query_at = "/file-links"
    opened = (await scenario.open()).headers["Location"]
    assert opened != theirs
    (made,) = (await sandbox.get("/file-links", expired="false", limit=1))["data"]
    assert made["url"] == opened
    assert {link["url"] for link in await scenario.shown_links()} == {opened}


@pytest.mark.proof
async def test_fifty_opens_of_a_file_with_bad_links_create_one_link(
    scenario: LinkScenario, sandbox: Sandbox, own_database: asyncpg.Connection, own_database_url: str
) -> None:
    scenario.proxy.rewrite = every_link(url="javascript:alert(1)")
    answers = await asyncio.gather(*(scenario.open() for _ in range(25)))
    async with portal_behind(scenario.proxy, own_database_url, with_worker=False) as other:
        elsewhere = replace(scenario, portal=other)
        answers += [await elsewhere.open() for _ in range(25)]
    assert {answer.status_code for answer in answers} == {502}
    assert await sandbox.count("POST /file-links") == 1
    await pass_time(own_database, sandbox, 61)
    assert [(await scenario.open()).status_code for _ in range(3)] == [502] * 3
    assert await sandbox.count("POST /file-links") == 2


async def test_a_bad_link_in_the_list_does_not_hide_a_good_one(
    scenario: LinkScenario, sandbox: Sandbox
) -> None:
    expires = await sandbox.get("/_sandbox/clock")
    later = datetime.fromisoformat(expires["now"]) + timedelta(minutes=40)
    (listed,) = (await sandbox.get("/file-links", limit=1))["data"]
    good = await sandbox.post(
        "/file-links", {"fileId": listed["fileId"], "expiresTime": later.strftime("%Y-%m-%dT%H:%M:%SZ")}
    )

    def add_a_bad_one(answer: Json) -> Json:
        bad = {**good, "id": "bad", "url": "javascript:alert(1)", "expiresTime": "2099-01-01T00:00:00Z"}
        return {**answer, "data": [bad, *answer["data"]]}

    scenario.proxy.rewrite = rewriting("/file-links", add_a_bad_one)
    assert (await scenario.open()).headers["Location"] == good["url"]


STORED = (
    ("javascript:alert(1)", "now() + interval '1 hour'"),
    ("https://evil.example/links/1", "now() + interval '30 days'"),
    ("http://127.0.0.1/a\r\nSet-Cookie: a=b", "now() + interval '1 hour'"),
    ("http://127.0.0.1/\N{GRINNING FACE}", "now() + interval '1 hour'"),
    ("", "now() + interval '1 hour'"),
    ("http://127.0.0.1/links/1", "now() + interval '7000 years'"),
    ("http://127.0.0.1/links/1", "'infinity'"),
)


@pytest.mark.proof
async def test_a_stored_bad_link_is_not_used_and_is_replaced(
    scenario: LinkScenario, own_database: asyncpg.Connection, subtests: pytest.Subtests
) -> None:
    for url, moment in STORED:
        with subtests.test(f"{url} until {moment}"):
            await own_database.execute(f"UPDATE file_link SET url = $1, expires_at = {moment}", url)
            assert await scenario.shown_links() == [None] * 4
            opened = await scenario.open()
            assert opened.status_code == 303
            assert opened.headers["Location"].startswith("http://127.0.0.1:")
            assert await own_database.fetchval("SELECT url FROM file_link") == opened.headers["Location"]
            assert {link["url"] for link in await scenario.shown_links()} == {opened.headers["Location"]}


@pytest.mark.proof
async def test_a_document_is_listed_without_a_good_link_and_its_event_is_retried(
    portal_behind_proxy: Portal, proxy: RewritingProxy, sandbox: Sandbox, own_database: asyncpg.Connection
) -> None:
    proxy.rewrite = every_link(url="https://evil.example/links/1")
    await sandbox.invoiced(await sandbox.order("ada"))
    token = await sandbox.token("ada")
    (document,) = await portal_behind_proxy.documents(token, 1)
    assert document["link"] is None

    async def tried() -> Any:
        return await own_database.fetchrow("SELECT * FROM webhook_event WHERE reason IS NOT NULL")

    event = await eventually(tried)
    assert (event["state"], event["reason"]) == ("pending", "LinkRefused: a new link was refused: host")
    assert "evil" not in json.dumps([str(value) for value in event.values() if value != event["body"]])

    # The backoff ends before the refusal does. Making the event due early, as `events revive` does, must not
    # bury it.
    await own_database.execute("UPDATE webhook_event SET due_at = now(), attempts = $1", MAX_ATTEMPTS - 1)
    await own_database.execute("NOTIFY portal_inbox")

    async def postponed() -> Any:
        return await own_database.fetchrow(
            "SELECT state, attempts, extract(epoch FROM due_at - now())::int AS seconds FROM webhook_event"
            " WHERE reason LIKE '%a moment ago: host'"
        )

    event = await eventually(postponed)
    assert (event["state"], event["attempts"]) == ("pending", MAX_ATTEMPTS - 1)
    assert 30 < event["seconds"] <= 63
    proxy.rewrite = unchanged
    await pass_time(own_database, sandbox, 70)
    await own_database.execute("NOTIFY portal_inbox")

    async def linked() -> Any:
        (now,) = (await portal_behind_proxy.get("/v1/documents", token)).json()["data"]
        return now["link"]

    assert (await eventually(linked))["url"].startswith(sandbox.url)
    await portal_behind_proxy.settle(own_database)
    assert await own_database.fetchval("SELECT state FROM webhook_event") == "done"
    assert await own_database.fetchval("SELECT count(*) FROM document") == 1
