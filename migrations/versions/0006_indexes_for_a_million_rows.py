"""Indexes for a million rows: for operators' lists, retention, the export, and documents of one kind.

They are built while events arrive: CONCURRENTLY, one after the other, each outside of a transaction. A build
that is broken off leaves an invalid index, so each index is dropped first.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_NEW: Mapping[str, tuple[str, Sequence[str]]] = {
    "ix_webhook_event_state": ("webhook_event", ["state", "received_at", "id"]),
    "ix_webhook_event_type": ("webhook_event", ["type", "received_at", "id"]),
    "ix_document_customer_kind": ("document", ["customer_id", "kind", "created_at", "id"]),
    "ix_file_link_expires_at": ("file_link", ["expires_at"]),
    "ix_order_check_checked_at": ("order_check", ["checked_at"]),
    "ix_order_check_customer_id": ("order_check", ["customer_id"]),
}
_PATH_ID_INDEXES = {
    "ix_audit_record_order": "(path_ids ->> 'orderId')",
    "ix_audit_record_document": "(path_ids ->> 'documentId')",
}


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for name, (table, columns) in _NEW.items():
            _make(name, table, columns)
        for name, expression in _PATH_ID_INDEXES.items():
            _make(
                name,
                "audit_record",
                [sa.text(expression)],
                postgresql_where=sa.text("customer_id IS NULL"),
            )
        _drop("ix_webhook_event_buried", "webhook_event")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        _make(
            "ix_webhook_event_buried",
            "webhook_event",
            ["received_at", "id"],
            postgresql_where=sa.text("state = 'buried'"),
        )
        for name in _PATH_ID_INDEXES:
            _drop(name, "audit_record")
        for name, (table, _) in _NEW.items():
            _drop(name, table)


def _make(name: str, table: str, columns: Sequence[Any], **options: Any) -> None:
    _drop(name, table)
    op.create_index(name, table, columns, unique=False, postgresql_concurrently=True, **options)


def _drop(name: str, table: str) -> None:
    op.drop_index(name, table_name=table, if_exists=True, postgresql_concurrently=True)
