"""A buyer who looks at orders, and what befalls these orders meanwhile."""

from dataclasses import dataclass
from typing import Any

import httpx

from tests.house import Json, Portal, Sandbox, eventually


@dataclass
class Buyer:
    """One customer with a valid token."""

    name: str
    portal: Portal
    sandbox: Sandbox
    token: dict[str, str]

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


def told(answer: httpx.Response) -> Json:
    """A problem without what differs from request to request."""
    body: Json = answer.json()
    return {name: value for name, value in body.items() if name not in ("instance", "requestId")}
