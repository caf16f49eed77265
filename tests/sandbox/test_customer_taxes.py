"""Tax certificates of customers, forgotten customers, and the events about both."""

from typing import Any

import httpx
import pytest

from tests.sandbox.official import OfficialDocument
from tests.support.api_client import ApiClient, Json

PDF = b"%PDF-1.4 certificate"
# Where the official document describes what an event of the family carries.
SHAPES = {
    "customer.source.": "/sources/1",
    "customer.tax_identifier.": "/tax-identifiers/1",
    "customer.": "/customers/1",
    "source.": "/sources/1",
    "tax_identifier.": "/tax-identifiers/1",
    "order.charge.": "/charges/1",
    "order.": "/orders/1",
    "refund.": "/refunds/1",
}


async def certificate(api: ApiClient, **changes: Any) -> Json:
    upload = {"file": ("resale.pdf", PDF, "application/pdf")}
    answer = await api.client.post("/files", files=upload, data={"purpose": "tax_document_customer_upload"})
    return {
        "companyName": "Ada Inc.",
        "taxAuthority": "MN",
        "startDate": "2021-04-07T13:47:13Z",
        "endDate": "2031-04-07T23:59:59.999Z",
        "fileId": answer.raise_for_status().json()["id"],
        **changes,
    }


async def test_certificates_add_up_and_their_dates_become_midnights(api: ApiClient) -> None:
    await api.post("/customers", {"id": "ada", "taxCertificate": await certificate(api)})
    second = await certificate(api, taxAuthority="CA")
    changed = await api.post("/customers/ada", {"taxCertificate": second, "type": "business"})
    assert changed == await api.get("/customers/ada")
    assert "taxCertificate" not in changed
    kept = changed["taxCertificates"]
    assert [one["taxAuthority"] for one in kept] == ["MN", "CA"]
    assert kept[1] == second | {"startDate": "2021-04-07T00:00:00Z", "endDate": "2031-04-07T00:00:00Z"}


@pytest.mark.proof
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"taxAuthority": "XX"}, ("invalid_parameter", "taxCertificate.taxAuthority")),
        ({"taxAuthority": "BC"}, ("invalid_parameter", "taxCertificate.taxAuthority")),
        ({"fileId": "none"}, ("invalid_parameter", "taxCertificate.fileId")),
        ({"startDate": "yesterday"}, ("invalid_parameter", "taxCertificate.startDate")),
        ({"endDate": None}, ("missing_parameter", "taxCertificate.endDate")),
        ({"colour": "red"}, ("unknown_parameter", "taxCertificate.colour")),
    ],
)
async def test_a_certificate_that_breaks_a_rule_is_refused(
    api: ApiClient, changes: Json, expected: tuple[str, str]
) -> None:
    await api.post("/customers", {"id": "ada"})
    body = {"taxCertificate": await certificate(api, **changes)}
    assert await api.refused("/customers/ada", body) == (400, *expected)
    assert "taxCertificates" not in await api.get("/customers/ada")


async def test_only_one_certificate_comes_at_a_time(api: ApiClient) -> None:
    both = [await certificate(api), await certificate(api)]
    assert (await api.refused("/customers", {"taxCertificate": both}))[2] == "taxCertificate"
    assert (await api.refused("/customers", {"taxCertificates": both}))[1] == "unknown_parameter"


async def test_a_request_to_be_forgotten_is_stored_and_confirmed_by_event(api: ApiClient) -> None:
    await api.post("/customers", {"id": "ada"})
    await api.post("/customers", {"id": "bob"})
    assert (await api.post("/customers/ada", {"requestToBeForgotten": True}))["requestToBeForgotten"] is True
    listed = (await api.get("/customers?requestToBeForgotten=true"))["data"]
    assert [customer["id"] for customer in listed] == ["ada"]
    event = (await api.get("/events", {"limit": 1}))["data"][0]
    assert (event["type"], event["data"]["previousAttributes"]) == (
        "customer.updated",
        {"requestToBeForgotten": False},
    )
    assert (await api.refused("/customers", {"requestToBeForgotten": True}))[1] == "unknown_parameter"


async def test_events_carry_their_resources_as_the_document_describes_them(
    api: ApiClient, official: OfficialDocument
) -> None:
    await api.post("/customers", {"id": "ada"})
    source = await api.post("/_sandbox/sources", {"type": "payPalBilling"})
    await api.post(f"/_sandbox/sources/{source['id']}/state", {"state": "chargeable"})
    await api.post(f"/customers/ada/sources/{source['id']}")
    await api.client.delete(f"/customers/ada/sources/{source['id']}")
    found = await api.post("/tax-identifiers", {"type": "de", "value": "DE111111111"})
    await api.post(f"/customers/ada/tax-identifiers/{found['id']}")
    for state in ("verified", "not_valid"):
        await api.post(f"/_sandbox/tax-identifiers/{found['id']}/verification", {"state": state})
    await api.client.delete(f"/tax-identifiers/{found['id']}")
    await api.post("/customers/ada", {"locale": "de_DE"})
    order = await api.order(customerId="ada", state="pending_payment")
    await api.post(f"/_sandbox/orders/{order['id']}/payment-failure")
    await api.client.delete("/customers/ada")
    events = (await api.get("/events", {"limit": 100}))["data"]
    assert {event["type"] for event in events} == {
        "customer.created",
        "customer.updated",
        "customer.deleted",
        "customer.source.created",
        "customer.source.deleted",
        "customer.tax_identifier.created",
        "source.created",
        "source.chargeable",
        "tax_identifier.pending",
        "tax_identifier.verified",
        "tax_identifier.not_valid",
        "tax_identifier.deleted",
        "order.pending_payment",
        "order.charge.failed",
    }
    for event in events:
        path = next(path for family, path in SHAPES.items() if event["type"].startswith(family))
        asked = httpx.Request("GET", f"https://api.digitalriver.com{path}")
        carried = httpx.Response(200, json=event["data"]["object"], request=asked)
        assert official.complaints(carried) == [], event["type"]
