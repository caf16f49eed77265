"""What a newcomer finds: a buyer with a history, made through the sandbox's and the portal's real doors.

Prints two JSON lines: first the settings that the portal needs to serve this sandbox, then, when the portal
runs and the documents have arrived there, what to show the newcomer.
"""

import argparse
import json
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx

from sandbox.settings import Settings

PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.1
DAY_SECONDS = 86_400


class Seed:
    """One run of the story against one sandbox and one portal."""

    def __init__(self, sandbox: httpx.Client, portal: httpx.Client, settings: Settings) -> None:
        self._sandbox = sandbox
        self._portal = portal
        self._settings = settings
        self._customer_id = f"buyer-{uuid.uuid4().hex[:8]}"

    def register_webhook(self) -> dict[str, str]:
        """Let the sandbox deliver to the portal; returns the portal's settings for this sandbox."""
        address = str(self._portal.base_url.join("/webhooks/digital-river"))
        webhook = self._post(
            "/webhooks", {"types": ["order.invoice.created", "order.credit_memo.created"], "address": address}
        )
        secrets = self._get(f"/_sandbox/webhooks/{webhook['id']}/secrets")["secrets"]
        return {
            "PORTAL_WEBHOOK_SECRETS": json.dumps(secrets),
            "PORTAL_DIGITAL_RIVER_SECRET_KEY": self._settings.secret_key,
            "PORTAL_DIGITAL_RIVER_PUBLIC_KEY": self._settings.public_key,
            "PORTAL_OIDC_ISSUER": str(self._sandbox.base_url.join("/_sandbox/oidc")),
            "PORTAL_OIDC_AUDIENCE": self._settings.audience,
        }

    def tell(self) -> dict[str, Any]:
        """Let the buyer buy, get and give back, and wait until the portal has the documents."""
        token = self._post("/_sandbox/tokens", {"customerId": self._customer_id, "expiresIn": DAY_SECONDS})[
            "accessToken"
        ]
        self._wait("the portal to be ready", lambda: self._portal.get("/health/ready").is_success)
        self._post("/customers", {"id": self._customer_id, "email": "ada@example.com", "locale": "en_US"})
        order = self._buy([{"name": "Desk lamp", "price": 49.9, "quantity": 2}])
        self._fulfil(order)
        chair = {"name": "Office chair", "price": 219, "quantity": 1}
        other = self._buy([chair], currency="EUR", locale="de_DE")
        self._fulfil(other)
        self._wait("the order to be complete", lambda: self._order(order)["state"] == "complete")
        self._post("/refunds", {"orderId": order["id"], "currency": order["currency"], "percent": 50})
        documents: list[dict[str, Any]] = []

        def have_arrived() -> bool:
            answer = self._portal.get("/v1/documents", headers={"Authorization": f"Bearer {token}"})
            documents[:] = answer.json()["data"] if answer.is_success else []
            return len(documents) == 3

        self._wait("the documents to arrive", have_arrived)
        return {
            "token": token,
            "order": order["id"],
            "document": documents[0]["id"],
            "documents": len(documents),
        }

    def _buy(self, items: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        return self._post("/_sandbox/orders", {"customerId": self._customer_id, "items": items, **more})

    def _fulfil(self, order: dict[str, Any]) -> None:
        items = [{"itemId": item["id"], "quantity": item["quantity"]} for item in order["items"]]
        self._post("/fulfillments", {"orderId": order["id"], "items": items})

    def _order(self, order: dict[str, Any]) -> dict[str, Any]:
        return self._get(f"/orders/{order['id']}")

    def _get(self, path: str) -> dict[str, Any]:
        answer: dict[str, Any] = self._sandbox.get(path).raise_for_status().json()
        return answer

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self._sandbox.post(path, json=body).raise_for_status().json()
        return answer

    def _wait(self, what: str, is_done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                if is_done():
                    return
            except httpx.TransportError:
                pass
            time.sleep(POLL_SECONDS)
        raise SystemExit(f"waited {PATIENCE_SECONDS:.0f} s in vain for {what}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sandbox", required=True, help="the sandbox's address")
    parser.add_argument("--portal", required=True, help="the portal's address")
    arguments = parser.parse_args()
    settings = Settings()
    headers = {"Authorization": f"Bearer {settings.secret_key}"}
    with (
        httpx.Client(base_url=arguments.sandbox, headers=headers) as sandbox,
        httpx.Client(base_url=arguments.portal) as portal,
    ):
        seed = Seed(sandbox, portal, settings)
        for step in (seed.register_webhook, seed.tell):
            sys.stdout.write(json.dumps(step()) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
