"""Buyers with a token, and requests as a frontend sends them: account, orders and payment sources."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from tests.support.clock import eventually
from tests.support.portal import Portal
from tests.support.sandbox import Json, Sandbox

ADDRESS: Json = {
    "line1": "10380 Bren Road West",
    "city": "Minnetonka",
    "postalCode": "55343",
    "state": "MN",
    "country": "US",
}
SHIPPING: Json = {"name": "Ada Lovelace", "phone": "+1 952 111 1111", "address": ADDRESS}


@dataclass
class AccountBuyer:
    """A client of the portal with one token; paths are below the buyer's own customer."""

    portal: Portal
    token: Mapping[str, str]

    async def get(self, below: str = "", *, of: str = "me", **headers: str) -> httpx.Response:
        return await self.send("GET", below, of=of, headers=headers)

    async def send(
        self,
        method: str,
        below: str = "",
        body: Any = None,
        *,
        of: str = "me",
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """One request; `below` begins with a slash, unless it is the customer itself that is meant."""
        sent = {**self.token, **(headers or {})}
        path = f"/v1/customers/{of}{below}"
        return await self.portal.client.request(method, path, json=body, headers=sent)

    async def change(self, method: str, below: str = "", body: Any = None) -> httpx.Response:
        """The same, with the present ETag as If-Match."""
        tag = (await self.get(below)).headers["ETag"]
        return await self.send(method, below, body, headers={"If-Match": tag})

    async def upload(
        self, content: bytes, *, file_name: str = "exempt.pdf", **changes: Any
    ) -> httpx.Response:
        """Upload a certificate; a field that is None is left out."""
        fields = {
            "company": "Analytical Engines, Inc.",
            "authority": "MN",
            "startDate": "2026-01-01",
            "endDate": "2026-12-31",
        } | changes
        return await self.portal.client.post(
            "/v1/customers/me/tax-certificates",
            headers=dict(self.token),
            data={name: value for name, value in fields.items() if value is not None},
            files={"file": (file_name, content, "application/octet-stream")},
        )


@dataclass
class _Buyer:
    """One customer with a valid token."""

    name: str
    portal: Portal
    sandbox: Sandbox
    token: dict[str, str]


class OrderBuyer(_Buyer):
    """A buyer who looks at orders, and what happens to these orders meanwhile."""

    async def get(self, path: str, **params: Any) -> httpx.Response:
        return await self.portal.get(path, self.token, **params)

    async def page(self, order: Json) -> Json:
        """The page about the order."""
        answer: Json = (await self.get(f"/v1/orders/{order['id']}")).raise_for_status().json()
        return answer

    async def listed(self, **params: Any) -> list[Json]:
        """The orders on the first page of the list."""
        found: list[Json] = (await self.get("/v1/orders", **params)).raise_for_status().json()["data"]
        return found

    async def order(self, **more: Any) -> Json:
        return await self.sandbox.order(self.name, **more)

    async def walk(self, order: Json, *states: str) -> None:
        """Let the order go through these states."""
        for state in states:
            await self.sandbox.post(f"/_sandbox/orders/{order['id']}/state", {"state": state})

    async def completed(self, **more: Any) -> Json:
        """An order that was delivered, captured and invoiced, with the portal knowing it."""
        order = await self.order(**more)
        await self.sandbox.invoiced(order)

        async def is_known() -> bool:
            answer = await self.get("/v1/documents", orderId=order["id"])
            return len(answer.raise_for_status().json()["data"]) == 1

        await eventually(is_known)
        return order

    async def refunded(self, order: Json, outcome: str = "succeeded", **more: Any) -> Json:
        """A refund of the order, once it got this far."""
        await self.sandbox.client.put("/_sandbox/rules", json={"refundOutcome": outcome})
        about = {"orderId": order["id"], "currency": order["currency"], **(more or {"percent": 100})}
        refund = await self.sandbox.post("/refunds", about)

        async def is_there() -> Json | None:
            found = await self.sandbox.get(f"/refunds/{refund['id']}")
            return found if found["state"] == outcome else None

        found = await eventually(is_there)
        assert found is not None
        return found


class PaymentBuyer(_Buyer):
    """A buyer with a browser in which Drop-in makes payment sources."""

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


def pointers(answer: httpx.Response) -> list[str]:
    """Where a 422 points to."""
    assert answer.status_code == 422, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    return sorted(error["pointer"] for error in answer.json().get("errors", []))


def source_error(answer: httpx.Response) -> str:
    """The detail of the one error of a 422, which is about `/sourceId`."""
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert error["pointer"] == "/sourceId"
    detail: str = error["detail"]
    return detail


def comparable(answer: httpx.Response) -> tuple[int, Json]:
    """Status and body of a problem, without what differs from request to request."""
    body: Json = answer.json()
    return answer.status_code, {name: body[name] for name in body if name not in ("instance", "requestId")}
