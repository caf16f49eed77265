"""Imports all modules that define tables, so that alembic compares a database with all of them."""

from app.access import audit_log
from app.db import leases, token_buckets
from app.db.schema import metadata
from app.documents import link_store
from app.documents import store as documents
from app.idempotency import store as idempotency
from app.privacy import store as privacy
from app.tax import store as tax
from app.webhooks import inbox, sweep_log

__all__ = ["MODULES", "metadata"]

MODULES = (
    audit_log,
    token_buckets,
    documents,
    idempotency,
    inbox,
    leases,
    link_store,
    privacy,
    sweep_log,
    tax,
)
