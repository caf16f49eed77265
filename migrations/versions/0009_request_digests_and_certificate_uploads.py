"""The digest of a repeated request includes its query; certificate files that may have been uploaded."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Older rows have none; their requests are compared by the digest of the body.
    op.add_column("idempotent_request", sa.Column("request_digest", sa.LargeBinary(), nullable=True))
    op.create_table(
        "certificate_upload",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("file_id", sa.Text(), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_certificate_upload")),
    )
    op.create_index("ix_certificate_upload_customer_id", "certificate_upload", ["customer_id"], unique=False)


def downgrade() -> None:
    op.drop_table("certificate_upload")
    op.drop_column("idempotent_request", "request_digest")
