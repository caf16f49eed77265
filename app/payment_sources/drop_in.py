"""Builds what a page needs to open Digital River's Drop-in for saving a payment method."""

from typing import Any, Literal

from pydantic import ConfigDict

from app.digital_river.api import customers
from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.models import Customer, Party
from app.ids import CustomerId
from app.settings import Settings
from app.web.api_model import ApiModel
from app.web.postal_address import ADDRESS_EXAMPLE, AddressView

# Digital River docs, Drop-in: a page must load the hosted files and no copies.
SCRIPT_URL = "https://js.digitalriverws.com/v1/DigitalRiver.js"
STYLE_URL = "https://js.digitalriverws.com/v1/css/DigitalRiver.css"
DEFAULT_LOCALE = "en-US"

Usage = Literal["subscription", "convenience", "unscheduled"]

_REDIRECT: dict[str, Any] = {
    "disableAutomaticRedirects": False,
    "returnUrl": "https://shop.example/account/payment-methods",
    "cancelUrl": "https://shop.example/account/payment-methods",
}
_OPTIONS: dict[str, Any] = {
    "flow": "managePaymentMethods",
    "usage": "convenience",
    "showTermsOfSaleDisclosure": True,
    "redirect": _REDIRECT,
}
_BILLING: dict[str, Any] = {
    "firstName": "Ada",
    "lastName": "Lovelace",
    "email": "ada@example.com",
    "organization": None,
    "phoneNumber": "+49 221 0000000",
    "address": ADDRESS_EXAMPLE,
}


class DropInRedirect(ApiModel):
    """Where a payment provider sends the buyer back to."""

    model_config = ConfigDict(json_schema_extra={"examples": [_REDIRECT]})

    disable_automatic_redirects: bool = False
    """Always false. Drop-in must redirect by itself, because a source that waits for a redirect cannot be
    saved."""
    return_url: str | None
    cancel_url: str | None


class DropInOptions(ApiModel):
    """Drop-in's `options`. Pass them on unchanged."""

    model_config = ConfigDict(json_schema_extra={"examples": [_OPTIONS]})

    flow: Literal["managePaymentMethods"] = "managePaymentMethods"
    usage: Usage
    """The `usage` of the request."""
    show_terms_of_sale_disclosure: bool = True
    """With the usage `subscription`, Drop-in shows the recurring terms, which the buyer must see."""
    redirect: DropInRedirect | None
    """Null if the shop has configured no pages to return to. In that case leave it out."""


class DropInBilling(ApiModel):
    """Drop-in's `billingAddress`, filled from the profile. Drop-in requires it: ask the buyer for the fields
    that are null, and leave out those that stay null."""

    model_config = ConfigDict(json_schema_extra={"examples": [_BILLING]})

    first_name: str | None
    last_name: str | None
    email: str | None
    organization: str | None
    phone_number: str | None
    address: AddressView | None


class DropInConfiguration(ApiModel):
    """The arguments for `new DigitalRiver(publicKey, {locale}).createDropin({billingAddress, options, …})`.
    There is no `sessionId` in this flow."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "scriptUrl": SCRIPT_URL,
                    "styleUrl": STYLE_URL,
                    "publicKey": "pk_test_0123456789",
                    "locale": "de-DE",
                    "billingAddress": _BILLING,
                    "options": _OPTIONS,
                }
            ]
        }
    )

    script_url: str
    style_url: str
    public_key: str
    """Digital River's public key of this shop. It is no secret."""
    locale: str
    """The buyer's locale as a BCP 47 tag."""
    billing_address: DropInBilling | None
    """Null if the profile has no address."""
    options: DropInOptions


async def fetch_configuration(
    client: DigitalRiverClient, settings: Settings, customer_id: CustomerId, usage: Usage
) -> DropInConfiguration:
    """The configuration for this buyer. Digital River need not have such a customer yet.

    Raises:
        DigitalRiverError: the profile could not be read.
    """
    customer = await customers.find_customer(client, customer_id)
    return DropInConfiguration(
        script_url=SCRIPT_URL,
        style_url=STYLE_URL,
        public_key=settings.digital_river_public_key,
        locale=bcp47(customer.locale if customer else None),
        billing_address=_billing(customer, customer.shipping) if customer and customer.shipping else None,
        options=DropInOptions(usage=usage, redirect=_redirect(settings)),
    )


def bcp47(locale: str | None) -> str:
    """The locale as DigitalRiver.js needs it: `de_DE`, `de-de` and `de-DE` become `de-DE`; None, `en-US`."""
    language, _, region = (locale or DEFAULT_LOCALE).replace("_", "-").partition("-")
    return f"{language.lower()}-{region.upper()}" if region else language.lower()


def _redirect(settings: Settings) -> DropInRedirect | None:
    return_url, cancel_url = settings.dropin_return_url, settings.dropin_cancel_url
    if not return_url and not cancel_url:
        return None
    return DropInRedirect(return_url=return_url or None, cancel_url=cancel_url or None)


def _billing(customer: Customer, shipping: Party) -> DropInBilling:
    first_name, _, last_name = (shipping.name or "").strip().rpartition(" ")
    return DropInBilling(
        # The profile has one name, and Drop-in needs two. The buyer can correct the guess.
        first_name=first_name.strip() or None,
        last_name=last_name or None,
        email=shipping.email or customer.email or None,
        organization=shipping.organization or None,
        phone_number=shipping.phone or None,
        address=AddressView.of(shipping.address),
    )
