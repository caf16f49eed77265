"""Collects all data about a customer into one document, from PostgreSQL and from Digital River."""

import asyncio
from datetime import UTC, datetime
from typing import NamedTuple

from app.access import audit_log
from app.customers.schemas import ProfileView
from app.db.engine import AsyncEngine
from app.digital_river.api import customers
from app.digital_river.client.http_client import DigitalRiverClient
from app.documents import service as documents
from app.documents.link_policy import policy_of
from app.documents.store import list_owned_ids
from app.ids import CustomerId
from app.orders import service as orders
from app.payment_sources import service as payment_sources
from app.payment_sources.schemas import PaymentSource
from app.payment_sources.schemas import payment_source_view as source_view
from app.privacy import events, store
from app.privacy.schemas import CustomerExport, DocumentRecord, ForgetRequest, HeldEvent, SupportRead
from app.resources import Resources
from app.tax import identifiers
from app.tax.schemas import TaxCertificateView, TaxIdentifierView


class _StoredData(NamedTuple):
    """The parts of the export that come from PostgreSQL alone."""

    events: list[HeldEvent]
    support_reads: list[SupportRead]
    forget_requests: list[ForgetRequest]


async def export_customer(resources: Resources, customer_id: CustomerId) -> CustomerExport:
    """The whole document; all parts are read concurrently.

    Raises:
        ExceptionGroup: a part could not be read. A partial document would look complete.
    """
    policy = policy_of(resources.settings)
    async with asyncio.TaskGroup() as group:
        customer = group.create_task(customers.find_customer(resources.digital_river, customer_id))
        tax_identifiers = group.create_task(identifiers.list_identifiers(resources, customer_id))
        sources = group.create_task(_list_payment_sources(resources.digital_river, customer_id))
        whole_orders = group.create_task(
            orders.list_all_order_views(resources.digital_river.background, customer_id)
        )
        all_documents = group.create_task(
            documents.list_all_documents(resources.hot_pool, policy, customer_id)
        )
        stored = group.create_task(_read_stored_data(resources.engine, customer_id))
    profile, stored_data = customer.result(), stored.result()
    return CustomerExport(
        customer_id=customer_id,
        profile=None if profile is None else ProfileView.of(profile),
        tax_identifiers=[
            TaxIdentifierView.of(identifier) for identifier in tax_identifiers.result().require_complete()
        ],
        tax_certificates=[] if profile is None else TaxCertificateView.all_of(profile).require_complete(),
        payment_sources=sources.result(),
        orders=whole_orders.result(),
        documents=[DocumentRecord.of(document) for document in all_documents.result()],
        events=stored_data.events,
        support_reads=stored_data.support_reads,
        forget_requests=stored_data.forget_requests,
    )


async def _list_payment_sources(client: DigitalRiverClient, customer_id: CustomerId) -> list[PaymentSource]:
    saved = await payment_sources.list_sources(client, customer_id)
    now = datetime.now(UTC)
    return [
        source_view(entry.source, is_default=entry.is_default, now=now) for entry in saved.require_complete()
    ]


async def _read_stored_data(engine: AsyncEngine, customer_id: CustomerId) -> _StoredData:
    async with engine.connect() as connection:
        owned_ids = await list_owned_ids(connection, customer_id)
        rows = await store.list_held_events(connection, customer_id, owned_ids)
        reads = await audit_log.list_records(connection, customer_id, owned_ids)
        requests = await store.list_forget_requests(connection, customer_id)
    return _StoredData(
        events.select_customer_events(rows, customer_id, owned_ids),
        [SupportRead.of(row) for row in reads],
        [ForgetRequest.of(row) for row in requests],
    )
