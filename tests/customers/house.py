"""What the tests of customers share: a buyer with a token, and requests as a frontend sends them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from tests.house import Json, Portal

ADDRESS: Json = {
    "line1": "10380 Bren Road West",
    "city": "Minnetonka",
    "postalCode": "55343",
    "state": "MN",
    "country": "US",
}
SHIPPING: Json = {"name": "Ada Lovelace", "phone": "+1 952 111 1111", "address": ADDRESS}


@dataclass
class Buyer:
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
        """Hand in a certificate; a field that is None is left out."""
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


def pointers(answer: httpx.Response) -> list[str]:
    """Where a 422 points to."""
    assert answer.status_code == 422, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    return sorted(error["pointer"] for error in answer.json().get("errors", []))
