"""A client of the sandbox with the merchant's key, for the sandbox's own tests."""

from collections.abc import Sequence
from typing import Any

import httpx

from tests.support.clock import eventually

Json = dict[str, Any]
EVERYTHING = (
    "fulfillment.created",
    "order.charge.capture.complete",
    "order.fulfilled",
    "order.complete",
    "order.invoice.created",
    "refund.pending",
    "refund.complete",
    "order.charge.refund.complete",
    "order.refunded",
    "order.credit_memo.created",
)


def refusal(response: httpx.Response) -> tuple[int, str | None, str | None]:
    """Status, code and parameter of the first complaint."""
    first = response.json()["errors"][0]
    return response.status_code, first.get("code"), first.get("parameter")


class ApiClient:
    """Digital River's API and, under /_sandbox, the control API."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def get(self, path: str, params: Json | None = None) -> Any:
        return (await self.client.get(path, params=params)).raise_for_status().json()

    async def post(self, path: str, body: Json | None = None) -> Json:
        response = (await self.client.post(path, json=body or {})).raise_for_status()
        answer: Json = response.json() if response.content else {}
        return answer

    async def refused(
        self, path: str, body: Json, method: str = "POST"
    ) -> tuple[int, str | None, str | None]:
        return refusal(await self.client.request(method, path, json=body))

    async def order(self, **fields: Any) -> Json:
        fields.setdefault("items", [{"name": "Desk lamp", "price": 20, "quantity": 2, "taxRate": 0.1}])
        return await self.post("/_sandbox/orders", fields)

    async def fulfil(self, order: Json, *parts: Json) -> Json:
        """Ship everything, or the named parts."""
        whole = [{"itemId": item["id"], "quantity": item["quantity"]} for item in order["items"]]
        return await self.post("/fulfillments", {"orderId": order["id"], "items": list(parts) or whole})

    async def with_documents(self, order: Json, kind: str = "invoicePDFs", count: int = 1) -> Json:
        """The order once it carries so many documents."""

        async def find() -> Json | None:
            found: Json = await self.get(f"/orders/{order['id']}")
            return found if len(found.get(kind, [])) >= count else None

        found = await eventually(find)
        assert found is not None
        return found

    async def complete(self, **fields: Any) -> Json:
        """An order that is shipped, captured and invoiced."""
        order = await self.order(**fields)
        await self.fulfil(order)
        return await self.with_documents(order)

    async def refund(self, order: Json, **fields: Any) -> Json:
        return await self.post("/refunds", {"orderId": order["id"], "currency": order["currency"], **fields})

    async def webhook(self, address: str, types: Sequence[str] = EVERYTHING, **more: Any) -> Json:
        return await self.post("/webhooks", {"address": address, "types": list(types), **more})

    async def secrets(self, webhook: Json) -> list[str]:
        answer: list[str] = (await self.get(f"/_sandbox/webhooks/{webhook['id']}/secrets"))["secrets"]
        return answer

    async def event(self, event_type: str = "order.complete", **more: Any) -> Json:
        return await self.post("/_sandbox/events", {"type": event_type, "object": {"id": "1"}, **more})

    async def deliveries(self, count: int) -> list[Json]:
        """The attempts to deliver, once there are so many."""

        async def find() -> list[Json] | None:
            found: list[Json] = await self.get("/_sandbox/deliveries")
            return found if len(found) >= count else None

        found = await eventually(find)
        assert found is not None
        return found

    async def event_types(self) -> list[str]:
        """Oldest first."""
        events = (await self.get("/events", {"limit": 100}))["data"]
        return [event["type"] for event in reversed(events)]
