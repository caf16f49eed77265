"""Audit records and idempotent requests."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_record",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=True),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("path_ids", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_record")),
    )
    op.create_index("ix_audit_record_customer", "audit_record", ["customer_id", "at"], unique=False)
    op.create_table(
        "idempotent_request",
        sa.Column("name", sa.LargeBinary(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=True),
        sa.Column("holder", sa.UUID(), nullable=False),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body_digest", sa.LargeBinary(), nullable=True),
        sa.Column("body_size", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_idempotent_request")),
    )
    op.create_index("ix_idempotent_request_customer_id", "idempotent_request", ["customer_id"], unique=False)
    op.create_index("ix_idempotent_request_valid_until", "idempotent_request", ["valid_until"], unique=False)


def downgrade() -> None:
    for table in ("idempotent_request", "audit_record"):
        op.drop_table(table)
