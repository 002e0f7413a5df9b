"""Uploads that go straight to the object store."""

import sqlalchemy as sa
from alembic import op

from shared.adapters.migrate_online import add_column, create_index, create_table

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    add_column(
        "uploads", sa.Column("transfer", sa.String(16), nullable=False, server_default="chunked")
    )
    create_table(
        "direct",
        sa.Column("upload_id", sa.String(36), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("multipart_id", sa.Text(), nullable=True),
        sa.Column("etag", sa.String(255), nullable=True),
        sa.Column("is_cleared", sa.Boolean(), nullable=False),
        sa.Column("links_until", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["upload_id"],
            ["uploads.id"],
            name=op.f("fk_direct_upload_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("upload_id", name=op.f("pk_direct")),
        sa.UniqueConstraint("key", name=op.f("uq_direct_key")),
    )
    create_index(
        op.f("ix_direct_is_cleared_direct_links_until"), "direct", ["is_cleared", "links_until"]
    )


def downgrade() -> None:
    op.drop_table("direct")
    op.drop_column("uploads", "transfer")
