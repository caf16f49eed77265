"""The retention rule of each table, and the statements that delete expired rows."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.leases import lease
from app.db.schema import inlined
from app.db.token_buckets import rate_bucket
from app.documents.link_store import file_link, link_refusal
from app.documents.store import order_absence, order_check
from app.idempotency.store import idempotent_request
from app.tax.store import certificate_upload
from app.webhooks.inbox import webhook_event
from app.webhooks.sweep_log import sweep


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """Which rows of a table may be deleted. `order` is a column with an index, if there is one."""

    table: sa.Table
    is_expired: sa.ColumnElement[bool]
    order: sa.ColumnElement[Any]


# Longer than Digital River lists events, because a sweep must recognise every event that it lists.
EVENT_RETENTION = timedelta(days=45)

RETENTION_RULES = (
    RetentionRule(
        webhook_event,
        sa.and_(
            webhook_event.c.state.in_(("done", "ignored")),
            webhook_event.c.received_at < sa.func.now() - EVENT_RETENTION,
            webhook_event.c.finished_at < sa.func.now() - EVENT_RETENTION,
        ),
        webhook_event.c.received_at,
    ),
    RetentionRule(file_link, file_link.c.expires_at < sa.func.now(), file_link.c.expires_at),
    RetentionRule(
        order_absence,
        order_absence.c.seen_at < sa.func.now() - timedelta(minutes=10),
        order_absence.c.digest,
    ),
    RetentionRule(
        link_refusal,
        link_refusal.c.refused_at < sa.func.now() - timedelta(hours=1),
        link_refusal.c.file_id,
    ),
    # These rows only save calls to Digital River.
    RetentionRule(
        order_check, order_check.c.checked_at < sa.func.now() - EVENT_RETENTION, order_check.c.checked_at
    ),
    RetentionRule(
        idempotent_request, idempotent_request.c.valid_until < sa.func.now(), idempotent_request.c.valid_until
    ),
    RetentionRule(sweep, sweep.c.finished_at < sa.func.now() - EVENT_RETENTION, sweep.c.finished_at),
    RetentionRule(lease, lease.c.held_until < sa.func.now() - timedelta(days=1), lease.c.held_until),
    # In the order of the key, because the table has few rows.
    RetentionRule(
        certificate_upload,
        certificate_upload.c.begun_at < sa.func.now() - EVENT_RETENTION,
        certificate_upload.c.digest,
    ),
    # A bucket that is full again: without its row it is full too. In the order of the key, because the times
    # have no index.
    RetentionRule(
        rate_bucket, rate_bucket.c.full_at < sa.func.now() - timedelta(minutes=10), rate_bucket.c.digest
    ),
)


def select_expired(rule: RetentionRule, *, limit: int) -> sa.Select[tuple[object]]:
    """The keys of up to `limit` rows that may be deleted, in their order. Skips rows that are locked."""
    (key,) = rule.table.primary_key.columns
    rows = sa.select(key).where(rule.is_expired).order_by(rule.order)
    return rows.limit(inlined(limit)).with_for_update(skip_locked=True)


async def delete_expired(connection: AsyncConnection, rule: RetentionRule, *, limit: int) -> int:
    """Delete up to `limit` of these rows; returns how many."""
    (key,) = rule.table.primary_key.columns
    # MATERIALIZED, because a bare limited subquery may be run again and take more rows than its limit.
    past = select_expired(rule, limit=limit).cte("past").prefix_with("MATERIALIZED", dialect="postgresql")
    deleted = await connection.execute(sa.delete(rule.table).where(key == past.c[key.name]))
    return deleted.rowcount
