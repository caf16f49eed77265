"""The body of an event may be let go, its digest stays; and what kind a sweep was is kept.

The bodies that are kept too long already are not let go here, where a million rows would be one transaction:
the workers' hourly pruning does it in batches.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_INDEX = "ix_webhook_event_kept_body"


def upgrade() -> None:
    # First, because what stands before it is committed with it, and could not be done twice.
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
    # In hours: a day has 23 to 25 of them where clocks are changed.
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
    # What an older version revives of these, it buries again: they say nothing.
    op.execute("UPDATE webhook_event SET body = '{}' WHERE body IS NULL")
    op.alter_column("webhook_event", "body", existing_type=sa.Text(), nullable=False)


def _drop_index() -> None:
    op.drop_index(_INDEX, table_name="webhook_event", if_exists=True, postgresql_concurrently=True)
