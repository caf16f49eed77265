"""The body of an event may be deleted while its digest stays; sweeps have a kind.

This migration deletes no bodies, because a million rows would be one transaction: the workers delete old
bodies in batches every hour.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_INDEX = "ix_webhook_event_kept_body"


def upgrade() -> None:
    # First, because an autocommit block commits what is before it, and that could not be run twice.
    with op.get_context().autocommit_block():
        _drop_index()
        op.create_index(
            _INDEX,
            "webhook_event",
            ["state", "finished_at"],
            unique=False,
            postgresql_where=sa.text("body IS NOT NULL AND finished_at IS NOT NULL"),
            postgresql_concurrently=True,
        )
    op.alter_column("webhook_event", "body", existing_type=sa.Text(), nullable=True)
    op.add_column("webhook_event", sa.Column("body_digest", sa.LargeBinary(), nullable=True))
    op.add_column("sweep", sa.Column("kind", sa.Text(), nullable=True))
    op.create_check_constraint(op.f("ck_sweep_kind"), "sweep", "kind IN ('recent', 'day', 'full')")
    # In hours: in a time zone with summer time, a day has 23 to 25 hours.
    op.execute(
        """UPDATE sweep SET kind = CASE
               WHEN reaches_back_to <= started_at - interval '720 hours' THEN 'full'
               WHEN reaches_back_to <= started_at - interval '24 hours' THEN 'day'
               ELSE 'recent' END
           WHERE started_at IS NOT NULL"""
    )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        _drop_index()
    op.drop_constraint(op.f("ck_sweep_kind"), "sweep", type_="check")
    op.drop_column("sweep", "kind")
    op.drop_column("webhook_event", "body_digest")
    # If an operator revives such an event in an older version, it is buried again: its body is empty.
    op.execute("UPDATE webhook_event SET body = '{}' WHERE body IS NULL")
    op.alter_column("webhook_event", "body", existing_type=sa.Text(), nullable=False)


def _drop_index() -> None:
    op.drop_index(_INDEX, table_name="webhook_event", if_exists=True, postgresql_concurrently=True)
