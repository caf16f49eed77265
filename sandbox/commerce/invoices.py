"""Documents that Digital River issues automatically: an invoice per capture, a credit memo per refund."""

from collections.abc import Sequence
from decimal import Decimal

from sandbox.commerce.files import store_file
from sandbox.commerce.invoice_pdf import DocumentContent, Row, render
from sandbox.commerce.money import amount_of, rounded
from sandbox.commerce.order_states import mark_updated
from sandbox.delivery.events import emit
from sandbox.json_types import Json
from sandbox.runtime.runtime import Runtime

# Digital River docs, invoices: the selling entities that issue documents automatically.
_AUTOMATIC = frozenset(
    {"DR_INC-ENTITY", "C5_INC-ENTITY", "DR_IRELAND-ENTITY", "DR_UK-ENTITY", "DR_JAPAN-ENTITY"}
)
_KINDS = {
    "invoice": ("customer_invoice", "invoicePDFs", "order.invoice.created"),
    "credit_memo": ("customer_credit_memo", "creditMemoPDFs", "order.credit_memo.created"),
}


def issue_document(
    runtime: Runtime, order: Json, kind: str, rows: Sequence[Row], tax: Decimal, total: Decimal
) -> None:
    """Create the document, add it to the order, emit the event. Does nothing for orders without documents."""
    if not order["totalAmount"] or order["sellingEntity"]["id"] not in _AUTOMATIC:
        return
    purpose, member, event_type = _KINDS[kind]
    count = len(order.get(member, [])) + 1
    file = store_file(
        runtime,
        render(_document_content(runtime, order, kind, rows, tax, total, f"{order['id']}-{count}")),
        file_name=f"{kind}_{order['id']}_{count}.pdf",
        purpose=purpose,
    )
    entry = {"id": file["id"], "url": file["url"], "liveMode": file["liveMode"]}
    order[member] = [*order.get(member, []), entry]
    mark_updated(runtime, order)
    reference = {
        "id": file["id"],
        "fileId": file["id"],
        "orderId": order["id"],
        # Guests have no customer, so the member is left out.
        "customerId": order.get("customerId"),
        "purpose": purpose,
        "invoiceURL": file["url"],
    }
    emit(runtime, event_type, {name: value for name, value in reference.items() if value is not None})


def _document_content(
    runtime: Runtime,
    order: Json,
    kind: str,
    rows: Sequence[Row],
    tax: Decimal,
    total: Decimal,
    number: str,
) -> DocumentContent:
    bill_to = order["billTo"]
    buyer = [bill_to.get("organization"), bill_to.get("name"), order["email"]]
    return DocumentContent(
        kind=kind,
        number=number,
        order_id=order["id"],
        issued=runtime.now(),
        seller=order["sellingEntity"]["name"],
        buyer=[line for line in buyer if line],
        rows=rows,
        subtotal=total - tax,
        tax=tax,
        total=total,
        currency=order["currency"],
        locale=order["locale"],
        notes=[
            f"{identifier['type']}: {identifier['value']}" for identifier in order.get("taxIdentifiers", [])
        ],
    )


def line_total(item: Json) -> Decimal:
    """The total of one order item: amount, tax and shipping."""
    return amount_of(item, "amount") + line_tax(item) + amount_of(item.get("shipping", {}), "amount")


def line_tax(item: Json) -> Decimal:
    return amount_of(item["tax"], "amount") + amount_of(item.get("shipping", {}), "taxAmount")


def proportion(whole: Decimal, part: int, parts: int, currency: str) -> Decimal:
    return rounded(whole * part / parts, currency)
