"""A buyer at the portal's doors, with a browser in which Drop-in makes payment sources."""

from dataclasses import dataclass
from typing import Any

import httpx

from tests.house import Json, Portal, Sandbox


@dataclass
class Buyer:
    """One customer with a valid token."""

    name: str
    portal: Portal
    sandbox: Sandbox
    token: dict[str, str]

    async def enter(self, **method: Any) -> str:
        """Enter a payment method in Drop-in; returns the id of the source it makes."""
        source_id: str = (await self.sandbox.post("/_sandbox/sources", method))["id"]
        return source_id

    async def save(self, source_id: object, **more: Any) -> httpx.Response:
        return await self.send("POST", "", {"sourceId": source_id, **more})

    async def choose(self, source_id: str) -> httpx.Response:
        return await self.send("PUT", "/default", {"sourceId": source_id})

    async def remove(self, source_id: str) -> httpx.Response:
        return await self.send("DELETE", f"/{source_id}")

    async def saved(self) -> list[Json]:
        """All saved methods."""
        answer = (await self.send("GET", "")).raise_for_status().json()
        assert answer["nextCursor"] is None
        methods: list[Json] = answer["data"]
        return methods

    async def default(self) -> str | None:
        """The id of the default, as the list shows it."""
        found = [str(method["id"]) for method in await self.saved() if method["isDefault"]]
        assert len(found) <= 1
        return found[0] if found else None

    async def send(
        self,
        verb: str,
        path: str,
        body: Any = None,
        *,
        customer: str = "me",
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Any request about this customer's payment sources."""
        url = f"/v1/customers/{customer}/payment-sources{path}"
        sent = self.token if headers is None else headers
        return await self.portal.client.request(verb, url, json=body, headers=sent)


def refusal(answer: httpx.Response) -> str:
    """The one complaint of a 422 about `/sourceId`, in words for the buyer."""
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert error["pointer"] == "/sourceId"
    detail: str = error["detail"]
    return detail


def told(answer: httpx.Response) -> tuple[int, Json]:
    """What a caller can tell two answers apart by."""
    body = answer.json()
    return answer.status_code, {name: body[name] for name in body if name not in {"requestId", "instance"}}
