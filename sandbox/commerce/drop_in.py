"""Payment sources as Drop-in creates them in the browser of a buyer."""

from datetime import timedelta
from decimal import Decimal
from typing import Any, Literal

from pydantic import Field

from sandbox.commerce.source_types import CARDS, SourceType, get_source_type
from sandbox.commerce.sources import show_source
from sandbox.delivery.events import emit
from sandbox.errors import bad_request
from sandbox.json_types import Json, JsonModel
from sandbox.runtime.runtime import Runtime
from sandbox.state.clock import iso_time_milliseconds
from sandbox.state.store import new_id

# The enum of the OpenAPI document, and `pending` from the printed payPalBilling source.
SourceState = Literal[
    "requires_action",
    "pending_redirect",
    "pending_funds",
    "pending",
    "chargeable",
    "consumed",
    "failed",
    "cancelled",
]
_ADDRESS: Json = {
    "line1": "10381 Bren Rd W",
    "city": "Minnetonka",
    "state": "MN",
    "country": "US",
    "postalCode": "55343",
}
_DAYS_TO_PAY = 30


class PaymentMethod(JsonModel):
    """A payment method as the buyer enters it.

    type: any name, because Digital River adds types at any time.
    state: by default the first state of the type.
    owner: null makes a source without an owner, as PayPal does.
    amount: only in a checkout, never in account management.
    details: replace the details of the type.
    readyForStorage: false if the buyer did not agree to storing; the source cannot be attached then.
    customerId: imitates a source that this customer has attached before.
    """

    type: str = Field(default="creditCard", pattern="^[A-Za-z]{1,40}$")
    state: SourceState | None = None
    reusable: bool = False
    supports_storage: bool | None = None
    ready_for_storage: bool = True
    customer_id: str | None = None
    owner: dict[str, Any] | None = None
    brand: str = "Visa"
    last_four_digits: str = Field(default="1111", pattern=r"^\d{4}$")
    expiration_month: int = Field(default=7, ge=1, le=12)
    expiration_year: int | None = None
    amount: Decimal | None = None
    currency: str | None = Field(default=None, pattern="^[A-Z]{3}$")
    details: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None

    @property
    def can_be_saved(self) -> bool:
        if self.supports_storage is not None:
            return self.supports_storage
        return get_source_type(self.type).can_be_saved


def create_browser_source(runtime: Runtime, method: PaymentMethod) -> Json:
    """Store a source, returned in the browser's form. Raises 400 for an unknown customer."""
    if method.customer_id is not None and method.customer_id not in runtime.store.customers:
        raise bad_request("not_found", "customerId", f"Customer '{method.customer_id}' not found")
    source_type, resource_id, now = get_source_type(method.type), new_id(), runtime.now()
    source: Json = {
        "clientId": "gc",
        "channelId": "drdod15",
        "liveMode": runtime.settings.live_mode,
        "id": resource_id,
        "clientSecret": f"{resource_id}_{new_id()}",
        "type": method.type,
        "reusable": method.reusable or method.customer_id is not None,
        "owner": method.owner if "owner" in method.model_fields_set else _owner(),
        "state": method.state or source_type.first_state,
        "creationIp": "192.0.2.27",
        "createdTime": iso_time_milliseconds(now),
        "updatedTime": iso_time_milliseconds(now),
        "flow": source_type.flow,
        method.type: _details(runtime, method, source_type),
    }
    if source_type.flow == "redirect":
        source["redirect"] = {
            "redirectUrl": f"https://payments.invalid/redirects/{resource_id}",
            "returnUrl": "https://shop.invalid/return",
            "cancelUrl": "https://shop.invalid/cancel",
        }
    if source_type.flow == "receiver":
        source["expirationTime"] = iso_time_milliseconds(now + timedelta(days=_DAYS_TO_PAY))
    if source["owner"] is None:
        del source["owner"]
    source |= _optional_members(method)
    if method.can_be_saved and method.ready_for_storage:
        runtime.store.storable_sources.add(resource_id)
    runtime.store.sources[resource_id] = source
    emit(runtime, "source.created", show_source(source))
    return source


def _owner() -> Json:
    return {
        "firstName": "William",
        "lastName": "Brown",
        "email": "william.brown@example.com",
        "address": dict(_ADDRESS),
    }


def _details(runtime: Runtime, method: PaymentMethod, source_type: SourceType) -> Json:
    if method.details is not None:
        return method.details
    if method.type not in CARDS:
        return dict(source_type.details)
    year = runtime.now().year + 3 if method.expiration_year is None else method.expiration_year
    return {
        "brand": method.brand,
        "expirationMonth": method.expiration_month,
        "expirationYear": year,
        "lastFourDigits": method.last_four_digits,
        "paymentIdentifier": "00700",
    }


def _optional_members(method: PaymentMethod) -> Json:
    """The members that are only present if given. The browser's form has amounts as text."""
    optional = {
        "amount": None if method.amount is None else str(method.amount),
        "currency": method.currency,
        "customerId": method.customer_id,
        "metadata": method.metadata,
    }
    return {name: value for name, value in optional.items() if value is not None}
