"""The table of routes for the tests of ownership: how to create the owner's data for each route under `/v1`.

A new route needs one entry in `ENTRIES`. `prepare` creates the data for the customer `ada` and returns the
values of the path's parameters (and whatever `send` needs); `send` makes the arguments of the request.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import httpx
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from tests.support.portal import Portal
from tests.support.sandbox import Json, Sandbox

OWNER = "ada"
EMAIL = "ada@example.com"
SHIPPING: Json = {
    "name": "Ada Lovelace",
    "phone": "+1 952 111 1111",
    "address": {
        "line1": "10380 Bren Road West",
        "city": "Minnetonka",
        "postalCode": "55343",
        "state": "MN",
        "country": "US",
    },
}
CERTIFICATE = {
    "company": "Analytical Engines, Inc.",
    "authority": "MN",
    "startDate": "2026-01-01",
    "endDate": "2026-12-31",
}

Values = Mapping[str, str]
Prepare = Callable[["CaseContext"], Awaitable[Values]]


@dataclass(frozen=True)
class CaseContext:
    """A running portal and its sandbox, with the owner's token."""

    portal: Portal
    sandbox: Sandbox
    owner: Mapping[str, str]

    async def request(
        self,
        route: str,
        token: Mapping[str, str],
        values: Values,
        *,
        thing: Values | None = None,
        **more: Any,
    ) -> httpx.Response:
        """The request of this route, with `values` in its path, and `thing` in its body if that differs."""
        method, template = route.split()
        arguments = {**ENTRIES[route].send(thing or values), **more}
        # A star, so that no write fails for a missing precondition before its owner is checked.
        headers = {"If-Match": "*", **token} if method != "GET" else dict(token)
        return await self.portal.client.request(
            method, template.format(**values), headers=headers, **arguments
        )


@dataclass(frozen=True)
class Entry:
    """One route: `thing` and `list` belong to an owner; `self` is always about the caller."""

    prepare: Prepare
    kind: Literal["thing", "list", "self"] = "thing"
    send: Callable[[Values], Json] = lambda _: {}
    takes_ids_in_body: bool = False


async def a_customer(context: CaseContext) -> Values:
    body = {"email": EMAIL, "shipping": SHIPPING}
    answer = await context.portal.client.put("/v1/customers/me", headers=dict(context.owner), json=body)
    answer.raise_for_status()
    return {"customerId": OWNER}


async def an_order(context: CaseContext) -> Values:
    await a_customer(context)
    return {"orderId": (await context.sandbox.order(OWNER))["id"]}


async def a_shipped_order(context: CaseContext) -> Values:
    values = await an_order(context)
    shipment = {"trackingNumber": "1Z999", "status": "in_transit"}
    await context.sandbox.post(f"/_sandbox/orders/{values['orderId']}/shipments", shipment)
    return values


async def a_document(context: CaseContext) -> Values:
    order = await context.sandbox.order(OWNER)
    await context.sandbox.invoiced(order)
    (document,) = await context.portal.documents(context.owner, 1)
    return {"orderId": order["id"], "documentId": document["id"]}


async def a_source(context: CaseContext) -> Values:
    """Created by Drop-in and not saved by any buyer yet."""
    values = await a_customer(context)
    return {**values, "sourceId": (await context.sandbox.post("/_sandbox/sources", {"owner": None}))["id"]}


async def a_saved_source(context: CaseContext) -> Values:
    values = await a_source(context)
    await context.sandbox.post(f"/customers/{OWNER}/sources/{values['sourceId']}")
    return values


async def a_tax_identifier(context: CaseContext) -> Values:
    values = await a_customer(context)
    new = {"type": "de", "value": "DE123456789"}
    path = f"/v1/customers/{OWNER}/tax-identifiers"
    answer = await context.portal.client.post(path, headers=dict(context.owner), json=new)
    return {**values, "taxIdentifierId": answer.raise_for_status().json()["id"]}


def _json(**body: Any) -> Callable[[Values], Json]:
    return lambda _: {"json": body}


def _source(values: Values) -> Json:
    return {"json": {"sourceId": values["sourceId"]}}


def _certificate(_: Values) -> Json:
    return {"data": CERTIFICATE, "files": {"file": ("exempt.pdf", b"%PDF-1.7\n%%EOF\n", "application/pdf")}}


_CUSTOMER = "/v1/customers/{customerId}"
ENTRIES: dict[str, Entry] = {
    "PUT /v1/customers/me": Entry(a_customer, "self"),
    f"GET {_CUSTOMER}": Entry(a_customer),
    f"PATCH {_CUSTOMER}": Entry(a_customer, send=_json(locale="fr-FR")),
    f"GET {_CUSTOMER}/shipping-address": Entry(a_customer),
    f"PUT {_CUSTOMER}/shipping-address": Entry(a_customer, send=_json(**SHIPPING)),
    f"DELETE {_CUSTOMER}/shipping-address": Entry(a_customer),
    f"POST {_CUSTOMER}/forget": Entry(a_customer),
    f"GET {_CUSTOMER}/export": Entry(a_customer),
    f"GET {_CUSTOMER}/tax-identifiers": Entry(a_tax_identifier),
    f"POST {_CUSTOMER}/tax-identifiers": Entry(a_customer, send=_json(type="de", value="DE123456789")),
    f"DELETE {_CUSTOMER}/tax-identifiers/{{taxIdentifierId}}": Entry(a_tax_identifier),
    f"GET {_CUSTOMER}/tax-certificates": Entry(a_customer),
    f"POST {_CUSTOMER}/tax-certificates": Entry(a_customer, send=_certificate),
    "GET /v1/drop-in": Entry(a_customer, "self"),
    f"GET {_CUSTOMER}/payment-sources": Entry(a_saved_source),
    f"POST {_CUSTOMER}/payment-sources": Entry(a_source, send=_source),
    f"PUT {_CUSTOMER}/payment-sources/default": Entry(a_saved_source, send=_source, takes_ids_in_body=True),
    f"DELETE {_CUSTOMER}/payment-sources/{{sourceId}}": Entry(a_saved_source),
    "GET /v1/orders": Entry(an_order, "list"),
    "GET /v1/orders/{orderId}": Entry(an_order),
    "GET /v1/orders/{orderId}/tracking": Entry(a_shipped_order),
    "GET /v1/orders/{orderId}/refunds": Entry(an_order),
    "GET /v1/orders/{orderId}/documents": Entry(a_document),
    "GET /v1/documents": Entry(a_document, "list"),
    "GET /v1/documents/{documentId}": Entry(a_document),
    "GET /v1/documents/{documentId}/content": Entry(a_document),
}

# Routes without a token: the webhook endpoint has its signature, the others show no customer's data.
PUBLIC = frozenset(
    {
        "POST /webhooks/digital-river",
        "GET /health/live",
        "GET /health/ready",
        "GET /metrics",
        "GET /openapi.json",
        "GET /docs",
    }
)


def routes_of(app: FastAPI) -> list[str]:
    """Every route of the app, as `GET /v1/orders/{orderId}`."""
    return sorted(
        f"{method} {route.path_format}"
        for route in iter_route_contexts(app.routes)
        for method in (route.methods or ())
        if method not in {"HEAD", "OPTIONS"}
    )
