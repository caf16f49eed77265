"""Derives from an order whether it has an invoice or a credit memo, will get one, or never will."""

from typing import Literal

from app.digital_river.models import Order

Availability = Literal["ready", "pending", "notIssued", "unknown"]

# Digital River docs, Invoices: only these selling entities issue an invoice by themselves.
INVOICING_ENTITIES = frozenset(
    {"DR_INC-ENTITY", "C5_INC-ENTITY", "DR_IRELAND-ENTITY", "DR_UK-ENTITY", "DR_JAPAN-ENTITY"}
)
ENDED_WITHOUT_INVOICE = frozenset({"blocked", "cancelled"})


def invoice_availability(order: Order) -> Availability:
    """Whether the order has an invoice, or will get one (Digital River docs, Invoices)."""
    if order.invoice_pdfs:
        return "ready"
    if order.unreadable("invoice_pdfs"):
        return "pending"
    entity = order.selling_entity.id if order.selling_entity else None
    is_other_seller = entity is not None and entity not in INVOICING_ENTITIES
    if order.total_amount == 0 or is_other_seller or order.state in ENDED_WITHOUT_INVOICE:
        return "notIssued"
    return "pending"


def credit_memo_availability(order: Order) -> Availability:
    """Whether the order has a credit memo, or will get one, as it does after a refund."""
    if order.credit_memo_pdfs:
        return "ready"
    return "pending" if order.refunded_amount or order.unreadable("credit_memo_pdfs") else "notIssued"


def combine_availability(is_stored: bool, announced: Availability) -> Availability:
    """The availability of a kind of document, if `announced` is what Digital River's order says of it."""
    if is_stored:
        return "ready"
    # The order names the document, but its file could not be fetched yet.
    return "pending" if announced == "ready" else announced
