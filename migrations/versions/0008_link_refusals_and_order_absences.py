"""What shall not be asked again at once: a new link to a file whose last one was refused, and an order that
was not there for whoever asked for it.

The second is written by anybody who asks for anything: without a log of its own, and by digest.
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
