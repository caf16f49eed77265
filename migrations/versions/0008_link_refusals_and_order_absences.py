"""Caches of negative results: a link to a file that was refused, and an order that a caller did not find.

Any caller can cause rows of the second table, so it is unlogged and keeps digests.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "link_refusal",
        sa.Column("file_id", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("refused_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("file_id", name=op.f("pk_link_refusal")),
    )
    op.create_table(
        "order_absence",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_order_absence")),
        prefixes=["UNLOGGED"],
    )


def downgrade() -> None:
    op.drop_table("order_absence")
    op.drop_table("link_refusal")
