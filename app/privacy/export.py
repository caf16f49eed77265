"""Everything about a customer as one document, gathered at once from wherever it is."""

import asyncio
from datetime import UTC, datetime
from typing import NamedTuple

from app.access import audit_log
from app.customers.schemas import ProfileView
from app.db.engine import AsyncEngine
from app.digital_river.api import customers
from app.digital_river.client.http_client import DigitalRiverClient
from app.documents import service as documents
from app.documents.store import find_things
from app.ids import CustomerId
from app.orders import service as orders
from app.payment_sources import service as payment_sources
from app.payment_sources.schemas import PaymentSource
from app.payment_sources.schemas import view as source_view
from app.privacy import events, store
from app.privacy.schemas import CustomerExport, DocumentRecord, ForgetRequest, HeldEvent, SupportRead
from app.resources import Resources
from app.tax import identifiers
from app.tax.schemas import TaxCertificateView, TaxIdentifierView


class _Records(NamedTuple):
    """What PostgreSQL alone knows of a customer."""

    events: list[HeldEvent]
    support_reads: list[SupportRead]
    forget_requests: list[ForgetRequest]


async def export_customer(resources: Resources, customer_id: CustomerId) -> CustomerExport:
    """The whole document; all parts are read concurrently.

    Raises:
        ExceptionGroup: a part was not to be had, and half a document would pass for a whole one.
    """
    async with asyncio.TaskGroup() as group:
        customer = group.create_task(customers.find_customer(resources.digital_river, customer_id))
        taxes = group.create_task(identifiers.list_identifiers(resources, customer_id))
        sources = group.create_task(_list_payment_sources(resources.digital_river, customer_id))
        bought = group.create_task(orders.list_whole_orders(resources.digital_river.background, customer_id))
        issued = group.create_task(documents.list_all_documents(resources, customer_id))
        recorded = group.create_task(_read_records(resources.engine, customer_id))
    found, records = customer.result(), recorded.result()
    return CustomerExport(
        customer_id=customer_id,
        profile=None if found is None else ProfileView.of(found),
        tax_identifiers=[TaxIdentifierView.of(one) for one in taxes.result().all()],
        tax_certificates=[] if found is None else TaxCertificateView.all_of(found).all(),
        payment_sources=sources.result(),
        orders=bought.result(),
        documents=[DocumentRecord.of(one) for one in issued.result()],
        events=records.events,
        support_reads=records.support_reads,
        forget_requests=records.forget_requests,
    )


async def _list_payment_sources(client: DigitalRiverClient, customer_id: CustomerId) -> list[PaymentSource]:
    saved = await payment_sources.list_sources(client, customer_id)
    now = datetime.now(UTC)
    return [source_view(one.source, is_default=one.is_default, now=now) for one in saved.all()]


async def _read_records(engine: AsyncEngine, customer_id: CustomerId) -> _Records:
    async with engine.connect() as connection:
        things = await find_things(connection, customer_id)
        held = await store.list_held_events(connection, customer_id, things)
        reads = await audit_log.list_records(connection, customer_id, things)
        requests = await store.list_forget_requests(connection, customer_id)
    return _Records(
        events.select_customer_events(held, customer_id, things),
        [SupportRead.of(row) for row in reads],
        [ForgetRequest.of(row) for row in requests],
    )
