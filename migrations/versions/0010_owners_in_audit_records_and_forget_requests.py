"""The owners of the data that support has read, if still known, and the log of requests to be forgotten."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# Audit records have ids as callers wrote them: in capitals, in (encoded) braces, as a URN, without hyphens.
_HEX = r"regexp_replace(lower(path_ids ->> 'documentId'), '%7b|%7d|^urn:uuid:|-', '', 'g')"

_BY_DOCUMENT = rf"""
UPDATE audit_record SET customer_id = document.customer_id FROM document
WHERE audit_record.customer_id IS NULL AND document.customer_id IS NOT NULL
    AND document.id = CASE WHEN {_HEX} ~ '^[0-9a-f]{{32}}$' THEN ({_HEX})::uuid END
"""  # noqa: S608
_BY_ORDER = """
UPDATE audit_record SET customer_id = known.customer_id FROM {table} AS known
WHERE audit_record.customer_id IS NULL AND known.customer_id IS NOT NULL
    AND known.order_id = audit_record.path_ids ->> 'orderId'
"""


def upgrade() -> None:
    op.create_table(
        "forget_request",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column(
            "requested_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_forget_request")),
    )
    op.create_index("ix_forget_request_customer_id", "forget_request", ["customer_id", "id"], unique=False)
    op.execute(_BY_DOCUMENT)
    for table in ("order_check", "document"):
        op.execute(_BY_ORDER.format(table=table))


def downgrade() -> None:
    # The owners in the audit records stay: they are correct for any version.
    op.drop_table("forget_request")
