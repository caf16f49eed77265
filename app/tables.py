"""Imports every module that defines a table: what alembic compares a database with."""

from app.audit import store as audit
from app.customers import store as customers
from app.db import buckets, leases
from app.db.schema import metadata
from app.documents import link_store
from app.documents import store as documents
from app.idempotency import store as idempotency
from app.webhooks import inbox, sweep_log

__all__ = ["MODULES", "metadata"]

MODULES = (audit, buckets, customers, documents, idempotency, inbox, leases, link_store, sweep_log)
