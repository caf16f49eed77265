"""What a buyer's checkout leaves behind: an order with its items, totals, payment and first state."""

import copy
from decimal import Decimal
from typing import Any, Literal

from pydantic import AwareDatetime, Field

from sandbox.commerce import order_states, payments
from sandbox.commerce.money import amount_of, rounded
from sandbox.errors import bad_request, conflict
from sandbox.json_types import Json, JsonModel
from sandbox.runtime.runtime import World
from sandbox.state.clock import stamp
from sandbox.state.store import ItemProgress, new_id

# Digital River docs, Checkouts; the first five issue invoices by themselves (Files, invoices).
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
    """What a line that renews itself shows as `subscriptionInfo` (sample order.pending_payment)."""

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
        return shown | {name: stamp(at) for name, at in times.items() if at is not None}


class Line(JsonModel):
    """`price` is the price of one; `taxRate` a fraction (0.08025). Only physical lines weigh something."""

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


class Purchase(JsonModel):
    """What the buyer chose. Without `customerId` a guest orders; without `sourceId` a test card pays.

    What is shipped, or costs shipping, shows how as `shippingChoice`.
    """

    customer_id: str | None = None
    email: str = "buyer@example.com"
    currency: str = Field(default="USD", pattern="^[A-Z]{3}$")
    locale: str = "en_US"
    items: list[Line] = Field(default_factory=lambda: [Line()], min_length=1)
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


def place_order(world: World, purchase: Purchase) -> Json:
    """Store the order and let it enter its first state, with its event. Raises 400, 409 when impossible."""
    if purchase.selling_entity not in SELLING_ENTITIES:
        raise bad_request("selling_entity_not_found", "sellingEntity", "No selling entity was found.")
    _check_customer(world, purchase)
    source, credit = _source(world, purchase), _credit(world, purchase)
    items = [_item(world, purchase, line) for line in purchase.items]
    if purchase.shipping or purchase.shipping_tax:
        items[0]["shipping"] = {"amount": float(purchase.shipping), "taxAmount": float(purchase.shipping_tax)}
    order = _order(world, purchase, items)
    order["payment"] = payments.payment_of(world, order, source, credit)
    world.ledger.orders[order["id"]] = order
    world.ledger.progress.update({item["id"]: ItemProgress() for item in items})
    order_states.enter_first(world, order, _first_state(purchase, source))
    if order["state"] in ("accepted", "in_review"):
        payments.consume(source, credit)
    return order


def _order(world: World, purchase: Purchase, items: list[Json]) -> Json:
    now, name = stamp(world.now()), purchase.email.partition("@")[0].title()
    order: Json = {
        "id": world.ledger.next_number(),
        "createdTime": now,
        "customerId": purchase.customer_id,
        "upstreamId": purchase.upstream_id,
        "applicationId": purchase.application_id,
        "currency": purchase.currency,
        "email": purchase.email,
        "shipTo": purchase.ship_to or {"address": ADDRESS, "name": name},
        "shipFrom": {"address": {"country": "US"}},
        "billTo": purchase.bill_to or {"address": ADDRESS, "name": name, "email": purchase.email},
        **_totals(purchase, items),
        "items": items,
        "shippingChoice": _shipping_choice(purchase),
        "updatedTime": now,
        "browserIp": purchase.browser_ip,
        "locale": purchase.locale.replace("-", "_"),
        "customerType": purchase.customer_type,
        "chargeType": purchase.charge_type,
        "sellingEntity": {
            "id": purchase.selling_entity,
            "name": SELLING_ENTITIES[purchase.selling_entity],
        },
        "liveMode": world.settings.live_mode,
        "stateTransitions": {},
        "fraudStateTransitions": {},
        "requestToBeForgotten": False,
        "checkoutId": purchase.checkout_id or new_id(),
        "taxIdentifiers": _tax_identifiers(world, purchase),
        "metadata": purchase.metadata,
    }
    # Digital River docs, data formats: unset attributes are left out.
    return {key: value for key, value in order.items() if value is not None}


def _shipping_choice(purchase: Purchase) -> Json | None:
    """As the printed orders; None when there is nothing to ship."""
    if not purchase.shipping and not any(line.physical for line in purchase.items):
        return None
    choice: Json = {
        "amount": float(purchase.shipping),
        "description": purchase.shipping_description,
        "serviceLevel": purchase.service_level,
        "taxAmount": float(purchase.shipping_tax),
    }
    return choice | ({"shippingTerms": purchase.shipping_terms} if purchase.shipping_terms else {})


def _totals(purchase: Purchase, items: list[Json]) -> Json:
    """The subtotal includes shipping (docs samples); nothing has been captured, cancelled or refunded yet."""
    tax = sum((amount_of(item["tax"], "amount") for item in items), purchase.shipping_tax)
    subtotal = sum((amount_of(item, "amount") for item in items), purchase.shipping)
    return {
        "totalAmount": float(rounded(subtotal + tax, purchase.currency)),
        "subtotal": float(rounded(subtotal, purchase.currency)),
        "totalFees": 0.0,
        "totalTax": float(rounded(tax, purchase.currency)),
        "totalImporterTax": 0.0,
        "totalDuty": 0.0,
        "totalDiscount": 0.0,
        "totalShipping": float(purchase.shipping),
        "capturedAmount": 0.0,
        "cancelledAmount": 0.0,
        "refundedAmount": 0.0,
        "availableToRefundAmount": 0.0,
    }


def _item(world: World, purchase: Purchase, line: Line) -> Json:
    amount = rounded(line.price * line.quantity, purchase.currency)
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
        "id": world.ledger.next_number(),
        "skuId": product,
        "productDetails": details,
        "amount": float(amount),
        "quantity": line.quantity,
        "state": "created",
        "stateTransitions": {"created": stamp(world.now())},
        "tax": {
            "rate": float(line.tax_rate),
            "amount": float(rounded(amount * line.tax_rate, purchase.currency)),
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


def _source(world: World, purchase: Purchase) -> Json:
    if purchase.source_id is not None:
        return payments.get_source(world, purchase.source_id, purchase.customer_id)
    return payments.make_card(world, purchase.email, (purchase.bill_to or {}).get("address", ADDRESS))


def _credit(world: World, purchase: Purchase) -> Json | None:
    """Store credit that pays before the primary source does."""
    if purchase.credit_source_id is None:
        return None
    credit = payments.get_source(world, purchase.credit_source_id, purchase.customer_id)
    if credit["type"] != "customerCredit":
        raise bad_request("invalid_parameter", "creditSourceId", "Only store credit is a secondary source.")
    return credit


def _first_state(purchase: Purchase, source: Json) -> str:
    """As wished; otherwise what the source allows."""
    if "state" in purchase.model_fields_set or source["state"] == "chargeable":
        return purchase.state
    return "pending_payment"


def _check_customer(world: World, purchase: Purchase) -> None:
    """Customers need not be known, but a disabled one cannot order; the code is inferred."""
    customer = world.ledger.customers.get(purchase.customer_id or "")
    if customer is not None and not customer["enabled"]:
        raise conflict("create-order-failed", f"Customer '{customer['id']}' is disabled.")


def _tax_identifiers(world: World, purchase: Purchase) -> list[Json] | None:
    """Those of this customer, or of nobody yet (docs, Applying tax identifiers); None when there are none."""
    chosen = []
    for identity in purchase.tax_identifier_ids:
        tax_identifier = world.ledger.tax_identifiers.get(identity)
        if tax_identifier is None:
            raise conflict("not_found", f"Tax identifier '{identity}' not found.", "id")
        if tax_identifier.get("customerId", purchase.customer_id) != purchase.customer_id:
            message = f"Tax identifier '{identity}' is attached to a different customer."
            raise conflict("tax_identifier_in_use", message, "taxIdentifiers")
        chosen.append(copy.deepcopy(tax_identifier))
    return chosen or None
