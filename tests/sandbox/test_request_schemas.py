"""Requests as the official document describes them: every member is accepted, and no value causes a 500."""

import base64
import copy
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, NamedTuple
from uuid import uuid4

import pytest

from sandbox.api.routes import ROUTES
from tests.sandbox.official import OfficialDocument
from tests.support.api_client import ApiClient, Json

ADDRESS = {
    "line1": "10380 Bren Rd W",
    "line2": "Suite 1",
    "city": "Minnetonka",
    "postalCode": "55343",
    "state": "MN",
    "country": "US",
}
ADDITIONAL = {"neighborhood": "Centro", "division": "Sales", "phoneticName": "ada"}
TRACKING = {"trackingCompany": "Fedex", "trackingNumber": "Z1", "trackingUrl": "https://carrier.invalid/Z1"}
PDF = base64.b64encode(b"%PDF-1.7 certificate").decode()
LATER = "2099-01-01T00:00:00Z"
# So much of everything that no try uses up what the next one needs.
PLENTY = [{"name": "Desk lamp", "price": 100, "quantity": 1_000_000, "taxRate": 0.1}]
# In the place of each member, one after the other.
ODD = (None, "", "x" * 5000, "\x00", 7, -1, 2.5, 1e300, True, [None], {"a": None})


class ExampleRequest(NamedTuple):
    """A path to call with a body, and what the document calls it."""

    path: str
    body: Json


ExampleFactory = Callable[[ApiClient], Awaitable[ExampleRequest]]


async def new_fulfillment(api: ApiClient) -> ExampleRequest:
    order = await api.order(items=PLENTY)
    item = {
        **{
            "itemId": order["items"][0]["id"],
            "skuId": order["items"][0]["skuId"],
            "shipmentItemId": "321765",
        },
        **{"quantity": 1, "cancelQuantity": 1, "subfulfillerId": "hjueo9g"},
        **{"distributorCost": 10.0, "shippingCost": 1.0},
        **TRACKING,
    }
    body = {"orderId": order["id"], "shipmentId": "321765", "currency": "USD", "partnerId": "partner123"}
    return ExampleRequest("/fulfillments", {**body, "items": [item], "metadata": {"a": "b"}, **TRACKING})


async def changed_fulfillment(api: ApiClient) -> ExampleRequest:
    order = await api.order()
    made = await api.fulfil(order, {"itemId": order["items"][0]["id"], "quantity": 1})
    item = {"itemId": order["items"][0]["id"], **TRACKING}
    return ExampleRequest(
        f"/fulfillments/{made['id']}", {"items": [item], "metadata": {"a": "b"}, **TRACKING}
    )


async def changed_order(api: ApiClient) -> ExampleRequest:
    order = await api.order()
    items = [{"id": order["items"][0]["id"], "metadata": {"a": "b"}}]
    body = {"requestToBeForgotten": False, "upstreamId": "u", "items": items, "metadata": {"a": "b"}}
    return ExampleRequest(f"/orders/{order['id']}", body)


async def refreshed_order(api: ApiClient) -> ExampleRequest:
    return ExampleRequest(f"/orders/{(await api.order())['id']}/refresh", {})


async def new_refund(api: ApiClient) -> ExampleRequest:
    order = await api.complete(items=PLENTY)
    body = {"orderId": order["id"], "currency": "USD", "amount": 1.0, "reason": "damaged"}
    return ExampleRequest("/refunds", {**body, "type": "tax", "metadata": {"a": "b"}})


async def new_refund_of_items(api: ApiClient) -> ExampleRequest:
    order = await api.complete(items=PLENTY)
    item = {"itemId": order["items"][0]["id"], "skuId": order["items"][0]["skuId"], "quantity": 1}
    body = {"orderId": order["id"], "invoiceId": order["invoicePDFs"][0]["id"], "currency": "USD"}
    return ExampleRequest("/refunds", {**body, "items": [{**item, "amount": 1.0}]})


async def changed_refund(api: ApiClient) -> ExampleRequest:
    refund = await api.refund(await api.complete(), amount=1)
    return ExampleRequest(f"/refunds/{refund['id']}", {"metadata": {"a": "b"}})


async def new_customer(api: ApiClient) -> ExampleRequest:
    file = await new_file(api)
    file_id = (await api.post(file.path, file.body))["id"]
    certificate = {"companyName": "Ada", "taxAuthority": "MN", "startDate": "2020-01-01T00:00:00Z"}
    shipping = {"address": ADDRESS, "name": "Ada", "phone": "1", "email": "ada@example.com"}
    body = {
        **{"id": "ada", "email": "ada@example.com", "locale": "en_US", "type": "business", "enabled": True},
        "shipping": {**shipping, "organization": "Lovelace", "additionalAddressInfo": ADDITIONAL},
        "taxCertificate": {**certificate, "endDate": LATER, "fileId": file_id},
        "metadata": {"a": "b"},
    }
    return ExampleRequest("/customers", body)


async def changed_customer(api: ApiClient) -> ExampleRequest:
    example = await new_customer(api)
    await api.client.post("/customers", json={"id": "ada"})
    minted = await api.post("/_sandbox/sources")
    source = await api.post(f"/customers/ada/sources/{minted['id']}")
    body = {name: value for name, value in example.body.items() if name != "id"}
    more = {"requestToBeForgotten": False, "defaultSourceId": source["id"]}
    return ExampleRequest("/customers/ada", {**body, **more})


async def new_source(_far: ApiClient) -> ExampleRequest:
    owner = {"firstName": "Ada", "lastName": "Lovelace", "email": "ada@example.com", "organization": "L"}
    owner_more = {"upstreamId": "o", "address": ADDRESS, "additionalAddressInfo": ADDITIONAL}
    body = {"type": "customerCredit", "amount": 12.5, "upstreamId": "u", "paymentSessionId": "p"}
    return ExampleRequest("/sources", {**body, "customerCredit": {}, "owner": {**owner, **owner_more}})


async def attached_source(api: ApiClient) -> ExampleRequest:
    await api.client.post("/customers", json={"id": "ada"})
    return ExampleRequest(f"/customers/ada/sources/{(await api.post('/_sandbox/sources'))['id']}", {})


async def new_tax_identifier(_far: ApiClient) -> ExampleRequest:
    return ExampleRequest("/tax-identifiers", {"type": "uk", "value": "GB123456789"})


async def attached_tax_identifier(api: ApiClient) -> ExampleRequest:
    await api.client.post("/customers", json={"id": "ada", "type": "business"})
    example = await new_tax_identifier(api)
    made = await api.post(example.path, example.body)
    return ExampleRequest(f"/customers/ada/tax-identifiers/{made['id']}", {})


async def new_file(_far: ApiClient) -> ExampleRequest:
    body = {"file": PDF, "purpose": "tax_document_customer_upload", "fileName": "c.pdf", "title": "C"}
    return ExampleRequest("/files", {**body, "linkExpiresTime": LATER})


async def new_link(api: ApiClient) -> ExampleRequest:
    file = await new_file(api)
    file_id = (await api.post(file.path, file.body))["id"]
    return ExampleRequest("/file-links", {"fileId": file_id, "expiresTime": LATER})


async def changed_link(api: ApiClient) -> ExampleRequest:
    example = await new_link(api)
    link = await api.post(example.path, example.body)
    return ExampleRequest(f"/file-links/{link['id']}", {"expiresTime": LATER})


async def new_webhook(_far: ApiClient) -> ExampleRequest:
    account = {"userName": "u", "password": "p"}
    oauth = {**account, "tokenEndPoint": "https://shop.invalid/token", "clientID": "c", "clientSecret": "s"}
    body = {
        **{"types": ["order.complete"], "address": "https://shop.invalid/hook", "apiVersion": "default"},
        **{"enabled": False, "transportType": "HTTP", "oauth": {**oauth, "grantType": "password"}},
        "authentication": {"username": "u", "password": "p"},
    }
    return ExampleRequest("/webhooks", body)


async def changed_webhook(api: ApiClient) -> ExampleRequest:
    example = await new_webhook(api)
    return ExampleRequest(f"/webhooks/{(await api.post(example.path, example.body))['id']}", example.body)


OPERATIONS: Mapping[tuple[str, str], tuple[ExampleFactory, ...]] = {
    ("POST", "/orders/{id}"): (changed_order,),
    ("POST", "/orders/{id}/refresh"): (refreshed_order,),
    ("POST", "/fulfillments"): (new_fulfillment,),
    ("POST", "/fulfillments/{id}"): (changed_fulfillment,),
    ("POST", "/refunds"): (new_refund, new_refund_of_items),
    ("POST", "/refunds/{id}"): (changed_refund,),
    ("POST", "/customers"): (new_customer,),
    ("POST", "/customers/{id}"): (changed_customer,),
    ("POST", "/sources"): (new_source,),
    ("POST", "/customers/{id}/sources/{sourceId}"): (attached_source,),
    ("POST", "/tax-identifiers"): (new_tax_identifier,),
    ("POST", "/customers/{id}/tax-identifiers/{taxId}"): (attached_tax_identifier,),
    ("POST", "/files"): (new_file,),
    ("POST", "/file-links"): (new_link,),
    ("POST", "/file-links/{id}"): (changed_link,),
    ("POST", "/webhooks"): (new_webhook,),
    ("PATCH", "/webhooks/{id}"): (changed_webhook,),
}
# Of a source, a refund and a customer each, one member excludes others or is made by somebody else.
ALTERNATIVES: Mapping[tuple[str, str], frozenset[str]] = {
    ("POST", "/refunds"): frozenset({"percent", "items[].percent", "items[].type"}),
    ("POST", "/customers"): frozenset({"defaultSourceId"}),
}
CASES = [
    pytest.param(operation, maker, id=f"{operation[0]} {operation[1]} {maker.__name__}")
    for operation, makers in OPERATIONS.items()
    for maker in makers
]


def documented(official: OfficialDocument, schema: Json, path: str = "") -> Iterator[str]:
    """The members of a request that the document describes, as `items[].itemId`."""
    while "$ref" in schema:
        schema = official.raw["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    for part in schema.get("allOf", []):
        yield from documented(official, part, path)
    for name, member in schema.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        inner = list(documented(official, member, here)) or list(
            documented(official, member.get("items", {}), f"{here}[]")
        )
        yield from inner or [here]


def named(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict) and value and not path.endswith("metadata"):
        for name, inner in value.items():
            yield from named(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        yield from named(value[0], f"{path}[]")
    else:
        yield path


def places(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every member and element of a body, as the keys that lead there."""
    pairs = list(value.items()) if isinstance(value, dict) else []
    pairs += list(enumerate(value)) if isinstance(value, list) else []
    for key, inner in pairs:
        yield (*at, key)
        yield from places(inner, (*at, key))


def changed(body: Json, at: tuple[str | int, ...], value: object) -> Json:
    body = copy.deepcopy(body)
    holder: Any = body
    for key in at[:-1]:
        holder = holder[key]
    holder[at[-1]] = value
    return body


def test_every_operation_that_takes_a_body_is_tried() -> None:
    routes = {
        (method, route.path)
        for route in ROUTES
        for method in (route.methods or set()) & {"POST", "PUT", "PATCH"}
    }
    assert routes == set(OPERATIONS)


@pytest.mark.proof
@pytest.mark.parametrize("operation", OPERATIONS, ids=" ".join)
async def test_every_documented_member_is_taken(
    api: ApiClient, official: OfficialDocument, operation: tuple[str, str]
) -> None:
    method, path = operation
    content = official.raw["paths"][path][method.lower()].get("requestBody", {}).get("content", {})
    described = {
        member for kind in content.values() for member in documented(official, kind.get("schema", {}))
    }
    tried: set[str] = set(ALTERNATIVES.get(operation, ()))
    for make in OPERATIONS[operation]:
        example = await make(api)
        answer = await api.client.request(method, example.path, json=example.body)
        assert answer.is_success, answer.text
        tried |= set(named(example.body)) - {""}
    assert described - {f"{one}" for one in tried} == set()


@pytest.mark.proof
@pytest.mark.parametrize(("operation", "make"), CASES)
async def test_no_value_of_any_member_is_an_error_of_the_sandbox(
    api: ApiClient, operation: tuple[str, str], make: ExampleFactory
) -> None:
    example = await make(api)
    for at in places(example.body):
        for value in ODD:
            body = changed(example.body, at, value)
            if operation == ("POST", "/customers") and at != ("id",):
                body["id"] = uuid4().hex
            answer = await api.client.request(operation[0], example.path, json=body)
            assert answer.status_code < 500, (at, value, answer.text)
