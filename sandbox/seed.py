"""Creates a demo buyer with orders and documents, through the APIs of the sandbox and the portal.

Prints two lines of JSON. The first has the settings that the portal needs to use this sandbox. The second has
a token and ids of the demo buyer; it follows after the portal runs and has received the documents.
"""

import argparse
import json
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx

from sandbox.delivery.webhooks import DOCUMENT_EVENT_TYPES
from sandbox.settings import Settings

WAIT_SECONDS = 60.0
POLL_SECONDS = 0.2
TOO_MANY_REQUESTS = 429
DAY_SECONDS = 86_400
ADDRESS = {
    "line1": "12 Analytical Way",
    "city": "Minnetonka",
    "state": "MN",
    "postalCode": "55343",
    "country": "US",
}
OWNER = {"firstName": "Ada", "lastName": "Lovelace", "email": "ada@example.com", "address": ADDRESS}


class Seed:
    """Creates one demo buyer in one sandbox and one portal."""

    def __init__(self, sandbox: httpx.Client, portal: httpx.Client, settings: Settings) -> None:
        self._sandbox = sandbox
        self._portal = portal
        self._settings = settings
        self._customer_id = f"buyer-{uuid.uuid4().hex[:8]}"

    def register_webhook(self) -> dict[str, str]:
        """Register the portal's webhook, if it is missing. Returns the portal's settings for it."""
        address = str(self._portal.base_url.join("/webhooks/digital-river"))
        known = [webhook for webhook in self._request("GET", "/webhooks") if webhook["address"] == address]
        webhook = (
            known[0]
            if known
            else self._post("/webhooks", {"types": list(DOCUMENT_EVENT_TYPES), "address": address})
        )
        secrets = self._get(f"/_sandbox/webhooks/{webhook['id']}/secrets")["secrets"]
        return {
            "PORTAL_WEBHOOK_SECRETS": json.dumps(secrets),
            "PORTAL_DIGITAL_RIVER_SECRET_KEY": self._settings.secret_key,
            "PORTAL_DIGITAL_RIVER_PUBLIC_KEY": self._settings.public_key,
            "PORTAL_OIDC_ISSUER": str(self._sandbox.base_url.join("/_sandbox/oidc")),
            "PORTAL_OIDC_AUDIENCE": self._settings.audience,
        }

    def create_history(self) -> dict[str, Any]:
        """Create orders and refunds, wait until the portal has the documents, return a token and ids."""
        token_request = {"customerId": self._customer_id, "expiresIn": DAY_SECONDS}
        token = self._post("/_sandbox/tokens", token_request)["accessToken"]
        self._portal.headers["Authorization"] = f"Bearer {token}"
        self._wait("the portal to be ready", lambda: self._portal.get("/health/ready").is_success)
        self._fill_profile()
        card = self._save_cards()
        lamp = self._buy([_item("Desk lamp", 49.9, 2)], sourceId=card)
        chair = self._buy([_item("Office chair", 219, 1)], currency="EUR", locale="de_DE")
        book = self._buy([_item("Book", 12.5, 1)], sourceId=card)
        camera = self._buy([_item("Camera", 410, 1)], sourceId=card)
        shelf = self._buy([_item("Bookshelf", 80, 1), _item("Bookends", 9.5, 2)], sourceId=card)
        self._buy([_item("Gold watch", 990, 1)], state="in_review")
        for order in (lamp, chair, book, camera):
            self._fulfil(order)
        self._fulfil(shelf, lines=1, trackingCompany="Parcel Post", trackingNumber="PP123456789")
        for order in (lamp, book, camera):
            self._wait_for_completion(order)
        self._refund(lamp, percent=50)
        self._refund(book, percent=100)
        self._post(f"/_sandbox/orders/{camera['id']}/state", {"state": "dispute"})
        # Five invoices and two credit memos.
        documents = self._documents(7)
        return {
            "token": token,
            "order": lamp["id"],
            "document": documents[0]["id"],
            "documents": len(documents),
        }

    def _fill_profile(self) -> None:
        """Fill in the profile, shipping address and tax identifier by the portal's API."""
        self._put("/v1/customers/me", {"email": "ada@example.com", "type": "business", "locale": "en-US"})
        shipping = {"name": "Ada Lovelace", "phone": "952-111-1111", "address": ADDRESS}
        self._put("/v1/customers/me/shipping-address", shipping)
        tax = {"type": "de", "value": "DE123456789"}
        self._portal.post("/v1/customers/me/tax-identifiers", json=tax).raise_for_status()

    def _save_cards(self) -> str:
        """Save two cards as Drop-in creates them, one of them expired. Returns the id of the valid one."""
        saved: list[str] = []
        for brand, digits, year in (("Visa", "1111", 2032), ("MasterCard", "0008", 2020)):
            card = {
                "type": "creditCard",
                "brand": brand,
                "lastFourDigits": digits,
                "expirationMonth": 7,
                "expirationYear": year,
                "owner": OWNER,
            }
            source = self._post("/_sandbox/sources", card)["id"]
            body = {"sourceId": source}
            self._portal.post("/v1/customers/me/payment-sources", json=body).raise_for_status()
            saved.append(source)
        return saved[0]

    def _buy(self, items: list[dict[str, Any]], **members: Any) -> dict[str, Any]:
        return self._post("/_sandbox/orders", {"customerId": self._customer_id, "items": items, **members})

    def _fulfil(self, order: dict[str, Any], lines: int | None = None, **parcel: str) -> None:
        """Ship the first `lines` items of the order, or all items."""
        items = [{"itemId": item["id"], "quantity": item["quantity"]} for item in order["items"][:lines]]
        self._post("/fulfillments", {"orderId": order["id"], "items": items, **parcel})

    def _wait_for_completion(self, order: dict[str, Any]) -> None:
        self._wait("an order to be complete", lambda: self._order(order)["state"] == "complete")

    def _refund(self, order: dict[str, Any], percent: int) -> None:
        self._post("/refunds", {"orderId": order["id"], "currency": order["currency"], "percent": percent})

    def _documents(self, count: int) -> list[dict[str, Any]]:
        """The buyer's documents in the portal, after all of them have arrived."""
        found: list[dict[str, Any]] = []

        def have_arrived() -> bool:
            answer = self._portal.get("/v1/documents")
            found[:] = answer.json()["data"] if answer.is_success else []
            return len(found) >= count

        self._wait("the documents to arrive", have_arrived)
        return found

    def _order(self, order: dict[str, Any]) -> dict[str, Any]:
        return self._get(f"/orders/{order['id']}")

    def _get(self, path: str) -> dict[str, Any]:
        answer: dict[str, Any] = self._request("GET", path)
        return answer

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self._request("POST", path, json=body)
        return answer

    def _request(self, method: str, path: str, **options: Any) -> Any:
        """The sandbox's answer. Waits after a 429, because portal and seed share one key and its limit."""
        while (response := self._sandbox.request(method, path, **options)).status_code == TOO_MANY_REQUESTS:
            time.sleep(float(response.headers["Retry-After"]))
        return response.raise_for_status().json()

    def _put(self, path: str, body: dict[str, Any]) -> None:
        self._portal.put(path, json=body).raise_for_status()

    def _wait(self, what: str, is_done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            try:
                if is_done():
                    return
            except httpx.TransportError:
                pass
            time.sleep(POLL_SECONDS)
        raise SystemExit(f"waited {WAIT_SECONDS:.0f} s for {what}, without success")


def _item(name: str, price: float, quantity: int) -> dict[str, Any]:
    return {"name": name, "price": price, "quantity": quantity}


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
        for step in (seed.register_webhook, seed.create_history):
            sys.stdout.write(json.dumps(step()) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
