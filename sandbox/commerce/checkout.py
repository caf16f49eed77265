"""The checkout: creates an order with its items, totals, payment and first state."""

import copy
from decimal import Decimal
from typing import Any, Literal

from pydantic import AwareDatetime, Field

from sandbox.commerce import order_states, payments
from sandbox.commerce.money import amount_of, rounded
from sandbox.errors import bad_request, conflict
from sandbox.json_types import Json, JsonModel
from sandbox.runtime.runtime import Runtime
from sandbox.state.clock import iso_time
from sandbox.state.store import ItemProgress, new_id

# Digital River docs, Checkouts; the first five issue invoices automatically (Files, invoices).
SELLING_ENTITIES = {
    "DR_INC-ENTITY": "Digital River Inc.",
    "C5_INC-ENTITY": "DR globalTech Inc.",
    "DR_IRELAND-ENTITY": "Digital River Ireland Ltd.",
    "DR_UK-ENTITY": "Digital River UK",
    "DR_JAPAN-ENTITY": "DR Japan",
    "DR_TAIWAN-ENTITY": "Digital River Taiwan",
    "DR_BRAZIL-ENTITY": "Digital River Brazil",
    "DR_CHINA-ENTITY": "Digital River China",
}
ADDRESS = {
    "line1": "10380 Bren Rd W",
    "city": "Minnetonka",
    "postalCode": "55343",
    "state": "MN",
    "country": "US",
}


class Subscription(JsonModel):
    """The `subscriptionInfo` of a subscription item (sample order.pending_payment)."""

    subscription_id: str = Field(default_factory=new_id)
    billing_agreement_id: str = Field(default_factory=new_id)
    plan_id: str | None = None
    auto_renewal: bool = True
    free_trial: bool = False
    terms: str = "The buyer agrees to pay again each year."
    start_time: AwareDatetime | None = None
    end_time: AwareDatetime | None = None

    def as_json(self) -> Json:
        times = {"startTime": self.start_time, "endTime": self.end_time}
        shown = self.model_dump(by_alias=True, exclude_none=True, exclude={"start_time", "end_time"})
        return shown | {name: iso_time(at) for name, at in times.items() if at is not None}


class LineItem(JsonModel):
    """One item. `price` is the unit price, `taxRate` a fraction (0.08025). `weight` is for physical items."""

    name: str = "Widget"
    sku: str | None = None
    price: Decimal = Decimal("10.00")
    quantity: int = Field(default=1, ge=1)
    tax_rate: Decimal = Decimal(0)
    physical: bool = True
    weight: float = Field(default=10.0, ge=0)
    weight_unit: Literal["oz", "lb", "g", "kg"] = "g"
    subscription: Subscription | None = None
    image: str | None = None
    metadata: dict[str, Any] | None = None


class Checkout(JsonModel):
    """One checkout. Without `customerId` a guest orders; without `sourceId` a test card pays.

    An order with physical items or shipping costs has a `shippingChoice`.
    """

    customer_id: str | None = None
    email: str = "buyer@example.com"
    currency: str = Field(default="USD", pattern="^[A-Z]{3}$")
    locale: str = "en_US"
    items: list[LineItem] = Field(default_factory=lambda: [LineItem()], min_length=1)
    shipping: Decimal = Field(default=Decimal(0), ge=0)
    shipping_tax: Decimal = Field(default=Decimal(0), ge=0)
    shipping_description: str = "standard"
    service_level: str = "SG"
    shipping_terms: Literal["DDP", "DAP"] | None = None
    selling_entity: str = "DR_INC-ENTITY"
    state: str = "accepted"
    checkout_id: str | None = None
    upstream_id: str | None = None
    source_id: str | None = None
    credit_source_id: str | None = None
    tax_identifier_ids: list[str] = Field(default_factory=list)
    customer_type: str = "individual"
    charge_type: str = "customer_initiated"
    browser_ip: str = "192.0.2.165"
    application_id: str | None = None
    ship_to: dict[str, Any] | None = None
    bill_to: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None


def place_order(runtime: Runtime, checkout: Checkout) -> Json:
    """Store the order, enter its first state and emit the event. Raises 400 or 409."""
    if checkout.selling_entity not in SELLING_ENTITIES:
        raise bad_request("selling_entity_not_found", "sellingEntity", "No selling entity was found.")
    _check_customer(runtime, checkout)
    source, credit = _get_primary_source(runtime, checkout), _find_credit_source(runtime, checkout)
    items = [_item(runtime, checkout, line) for line in checkout.items]
    if checkout.shipping or checkout.shipping_tax:
        items[0]["shipping"] = {"amount": float(checkout.shipping), "taxAmount": float(checkout.shipping_tax)}
    order = _order(runtime, checkout, items)
    order["payment"] = payments.create_payment(runtime, order, source, credit)
    runtime.store.orders[order["id"]] = order
    runtime.store.item_progress.update({item["id"]: ItemProgress() for item in items})
    order_states.enter_first_state(runtime, order, _first_state(checkout, source))
    if order["state"] in ("accepted", "in_review"):
        payments.mark_consumed(source, credit)
    return order


def _order(runtime: Runtime, checkout: Checkout, items: list[Json]) -> Json:
    now, name = iso_time(runtime.now()), checkout.email.partition("@")[0].title()
    order: Json = {
        "id": runtime.store.next_number(),
        "createdTime": now,
        "customerId": checkout.customer_id,
        "upstreamId": checkout.upstream_id,
        "applicationId": checkout.application_id,
        "currency": checkout.currency,
        "email": checkout.email,
        "shipTo": checkout.ship_to or {"address": ADDRESS, "name": name},
        "shipFrom": {"address": {"country": "US"}},
        "billTo": checkout.bill_to or {"address": ADDRESS, "name": name, "email": checkout.email},
        **_totals(checkout, items),
        "items": items,
        "shippingChoice": _shipping_choice(checkout),
        "updatedTime": now,
        "browserIp": checkout.browser_ip,
        "locale": checkout.locale.replace("-", "_"),
        "customerType": checkout.customer_type,
        "chargeType": checkout.charge_type,
        "sellingEntity": {
            "id": checkout.selling_entity,
            "name": SELLING_ENTITIES[checkout.selling_entity],
        },
        "liveMode": runtime.settings.live_mode,
        "stateTransitions": {},
        "fraudStateTransitions": {},
        "requestToBeForgotten": False,
        "checkoutId": checkout.checkout_id or new_id(),
        "taxIdentifiers": _tax_identifiers(runtime, checkout),
        "metadata": checkout.metadata,
    }
    # Digital River docs, data formats: unset attributes are left out.
    return {key: value for key, value in order.items() if value is not None}


def _shipping_choice(checkout: Checkout) -> Json | None:
    """As in the sample orders. None if there is nothing to ship."""
    if not checkout.shipping and not any(line.physical for line in checkout.items):
        return None
    choice: Json = {
        "amount": float(checkout.shipping),
        "description": checkout.shipping_description,
        "serviceLevel": checkout.service_level,
        "taxAmount": float(checkout.shipping_tax),
    }
    return choice | ({"shippingTerms": checkout.shipping_terms} if checkout.shipping_terms else {})


def _totals(checkout: Checkout, items: list[Json]) -> Json:
    """The totals of a new order. The subtotal includes shipping (docs samples)."""
    tax = sum((amount_of(item["tax"], "amount") for item in items), checkout.shipping_tax)
    subtotal = sum((amount_of(item, "amount") for item in items), checkout.shipping)
    return {
        "totalAmount": float(rounded(subtotal + tax, checkout.currency)),
        "subtotal": float(rounded(subtotal, checkout.currency)),
        "totalFees": 0.0,
        "totalTax": float(rounded(tax, checkout.currency)),
        "totalImporterTax": 0.0,
        "totalDuty": 0.0,
        "totalDiscount": 0.0,
        "totalShipping": float(checkout.shipping),
        "capturedAmount": 0.0,
        "cancelledAmount": 0.0,
        "refundedAmount": 0.0,
        "availableToRefundAmount": 0.0,
    }


def _item(runtime: Runtime, checkout: Checkout, line: LineItem) -> Json:
    amount = rounded(line.price * line.quantity, checkout.currency)
    product = line.sku or new_id()
    details: Json = {
        "id": product,
        "name": line.name,
        "countryOfOrigin": "US",
        "partNumber": product,
        "physical": line.physical,
    }
    if line.physical:
        details |= {"weight": line.weight, "weightUnit": line.weight_unit}
    if line.image is not None:
        details["image"] = line.image
    item: Json = {
        "id": runtime.store.next_number(),
        "skuId": product,
        "productDetails": details,
        "amount": float(amount),
        "quantity": line.quantity,
        "state": "created",
        "stateTransitions": {"created": iso_time(runtime.now())},
        "tax": {
            "rate": float(line.tax_rate),
            "amount": float(rounded(amount * line.tax_rate, checkout.currency)),
        },
        "importerTax": {"amount": 0.0},
        "duties": {"amount": 0.0},
        "availableToRefundAmount": 0.0,
        "fees": {"amount": 0.0, "taxAmount": 0.0},
    }
    if line.subscription is not None:
        item["subscriptionInfo"] = line.subscription.as_json()
    if line.metadata is not None:
        item["metadata"] = line.metadata
    return item


def _get_primary_source(runtime: Runtime, checkout: Checkout) -> Json:
    if checkout.source_id is not None:
        return payments.get_usable_source(runtime, checkout.source_id, checkout.customer_id)
    return payments.create_test_card(
        runtime, checkout.email, (checkout.bill_to or {}).get("address", ADDRESS)
    )


def _find_credit_source(runtime: Runtime, checkout: Checkout) -> Json | None:
    """The store credit. It pays before the primary source."""
    if checkout.credit_source_id is None:
        return None
    credit = payments.get_usable_source(runtime, checkout.credit_source_id, checkout.customer_id)
    if credit["type"] != "customerCredit":
        raise bad_request("invalid_parameter", "creditSourceId", "Only store credit is a secondary source.")
    return credit


def _first_state(checkout: Checkout, source: Json) -> str:
    """The requested state, or the state that the source allows."""
    if "state" in checkout.model_fields_set or source["state"] == "chargeable":
        return checkout.state
    return "pending_payment"


def _check_customer(runtime: Runtime, checkout: Checkout) -> None:
    """An unknown customer may order, a disabled one may not. The error code is inferred."""
    customer = runtime.store.customers.get(checkout.customer_id or "")
    if customer is not None and not customer["enabled"]:
        raise conflict("create-order-failed", f"Customer '{customer['id']}' is disabled.")


def _tax_identifiers(runtime: Runtime, checkout: Checkout) -> list[Json] | None:
    """Tax identifiers of this customer or without a customer (docs, Applying tax identifiers), or None."""
    chosen = []
    for resource_id in checkout.tax_identifier_ids:
        tax_identifier = runtime.store.tax_identifiers.get(resource_id)
        if tax_identifier is None:
            raise conflict("not_found", f"Tax identifier '{resource_id}' not found.", "id")
        if tax_identifier.get("customerId", checkout.customer_id) != checkout.customer_id:
            message = f"Tax identifier '{resource_id}' is attached to a different customer."
            raise conflict("tax_identifier_in_use", message, "taxIdentifiers")
        chosen.append(copy.deepcopy(tax_identifier))
    return chosen or None
