"""Tax identifiers of which a replacement has begun."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tax_identifier_replacement",
        sa.Column("new_id", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("old_value", sa.Text(), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("new_id", name=op.f("pk_tax_identifier_replacement")),
    )
    op.create_index(
        "ix_tax_identifier_replacement_customer_id",
        "tax_identifier_replacement",
        ["customer_id"],
        unique=False,
    )


def downgrade() -> None:
    op.drop_table("tax_identifier_replacement")
