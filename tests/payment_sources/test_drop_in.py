"""The configuration of Drop-in comes from the settings and the profile, never from the request."""

import pytest
from pydantic import SecretStr, ValidationError

from app.payment_sources.drop_in import bcp47
from app.settings import Settings
from tests.support.buyers import PaymentBuyer
from tests.support.portal import Portal, running_portal
from tests.support.sandbox import Json, Sandbox

RETURN_URL = "https://shop.example/account/back"
CANCEL_URL = "https://shop.example/account/cancelled"
SHIPPING = {
    "name": "Augusta Ada Lovelace",
    "phone": "+49 221 0000000",
    "organization": "Analytical Engines",
    "address": {"line1": "Domstr. 1", "city": "Köln", "postalCode": "50667", "country": "DE"},
}


async def configuration(portal: Portal, buyer: PaymentBuyer, **query: str) -> Json:
    answer = await portal.get("/v1/drop-in", buyer.token, **query)
    found: Json = answer.raise_for_status().json()
    return found


async def test_a_buyer_without_a_profile_gets_a_form_to_fill(
    portal: Portal, ada: PaymentBuyer, sandbox: Sandbox
) -> None:
    assert await configuration(portal, ada) == {
        "scriptUrl": "https://js.digitalriverws.com/v1/DigitalRiver.js",
        "styleUrl": "https://js.digitalriverws.com/v1/css/DigitalRiver.css",
        "publicKey": "pk_test_sandbox",
        "locale": "en-US",
        "billingAddress": None,
        "options": {
            "flow": "managePaymentMethods",
            "usage": "convenience",
            "showTermsOfSaleDisclosure": True,
            "redirect": None,
        },
    }
    assert (await sandbox.client.get("/customers/ada")).status_code == 404


async def test_the_profile_fills_locale_and_billing_address(
    portal: Portal, ada: PaymentBuyer, sandbox: Sandbox
) -> None:
    profile = {"id": "ada", "email": "ada@example.com", "locale": "de_DE", "shipping": SHIPPING}
    await sandbox.post("/customers", profile)
    found = await configuration(portal, ada)
    assert found["locale"] == "de-DE"
    assert found["billingAddress"] == {
        "firstName": "Augusta Ada",
        "lastName": "Lovelace",
        "email": "ada@example.com",
        "organization": "Analytical Engines",
        "phoneNumber": "+49 221 0000000",
        "address": {
            "line1": "Domstr. 1",
            "line2": None,
            "city": "Köln",
            "postalCode": "50667",
            "state": None,
            "country": "DE",
        },
    }


async def test_what_the_profile_does_not_know_is_null(
    portal: Portal, ada: PaymentBuyer, sandbox: Sandbox
) -> None:
    await sandbox.post("/customers", {"id": "ada", "shipping": {"address": {"country": "JP"}}})
    billing = (await configuration(portal, ada))["billingAddress"]
    address = billing.pop("address")
    assert set(billing) == {"firstName", "lastName", "email", "organization", "phoneNumber"}
    assert set(billing.values()) == {None}
    assert {name for name, value in address.items() if value} == {"country"}


@pytest.mark.parametrize("usage", ["subscription", "convenience", "unscheduled"])
async def test_the_page_says_what_the_method_is_for(usage: str, portal: Portal, ada: PaymentBuyer) -> None:
    found = await configuration(portal, ada, usage=usage)
    assert (found["options"]["usage"], found["options"]["flow"]) == (usage, "managePaymentMethods")


@pytest.mark.parametrize(
    ("name", "value"), [("usage", "checkout"), ("returnUrl", "https://evil.example"), ("flow", "checkout")]
)
async def test_the_page_cannot_ask_for_anything_else(
    name: str, value: str, portal: Portal, ada: PaymentBuyer
) -> None:
    answer = await portal.get("/v1/drop-in", ada.token, **{name: value})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, f"/query/{name}")


async def test_return_and_cancel_pages_come_from_the_settings(
    database_url: str, ada: PaymentBuyer, sandbox: Sandbox
) -> None:
    pages = {"dropin_return_url": RETURN_URL, "dropin_cancel_url": CANCEL_URL}
    async with running_portal(database_url, sandbox.url, with_worker=False, **pages) as portal:
        found = await configuration(portal, ada)
    assert found["options"]["redirect"] == {
        "disableAutomaticRedirects": False,
        "returnUrl": RETURN_URL,
        "cancelUrl": CANCEL_URL,
    }


async def test_an_unchanged_configuration_is_not_sent_again(portal: Portal, ada: PaymentBuyer) -> None:
    first = await portal.get("/v1/drop-in", ada.token)
    again = await portal.get("/v1/drop-in", {**ada.token, "If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_only_a_customer_gets_one(portal: Portal, sandbox: Sandbox) -> None:
    for headers in ({}, await sandbox.token("ada", expiresIn=-3600)):
        assert (await portal.get("/v1/drop-in", headers)).status_code == 401
    operator = await sandbox.token("ada", claims={"sub": "an operator, no customer: " + "x" * 40})
    assert (await portal.get("/v1/drop-in", operator)).status_code == 403


@pytest.mark.parametrize(
    ("locale", "tag"),
    [
        (None, "en-US"),
        ("de_DE", "de-DE"),
        ("de-de", "de-DE"),
        ("zh_CN", "zh-CN"),
        ("EN", "en"),
        ("", "en-US"),
    ],
)
def test_locales_are_written_as_digital_river_js_reads_them(locale: str | None, tag: str) -> None:
    assert bcp47(locale) == tag


def production(**changes: str) -> Settings:
    values = {
        "database_url": SecretStr("postgresql://portal@db/portal?sslmode=require"),
        "digital_river_secret_key": SecretStr("sk_live_0123456789"),
        "digital_river_public_key": "pk_live_0123456789",
        "live_mode": True,
        "webhook_secrets": (SecretStr("whs_0123456789abcdef"),),
        "oidc_issuer": "https://id.example.com",
        "oidc_audience": "portal",
        "public_url": "https://portal.example.com",
    }
    return Settings.model_validate({**values, **changes})


@pytest.mark.parametrize("name", ["dropin_return_url", "dropin_cancel_url"])
def test_production_returns_buyers_over_https_only(name: str) -> None:
    assert getattr(production(**{name: RETURN_URL}), name) == RETURN_URL
    assert getattr(production(), name) == ""
    with pytest.raises(ValidationError, match=f"PORTAL_{name.upper()} must start with https://"):
        production(**{name: "http://shop.example"})
