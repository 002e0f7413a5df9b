"""Grants to upload, and the uploads straight to the store that were opened by them."""

import sqlalchemy as sa
from alembic import op

from shared.adapters.migrate_online import add_column, create_index, create_table

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_table(
        "grants",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("secret_sha256", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grants")),
    )
    create_index(op.f("ix_grants_expires_at"), "grants", ["expires_at"])
    add_column("direct", sa.Column("grant_id", sa.String(36), nullable=True))
    create_index(op.f("ix_direct_grant_id"), "direct", ["grant_id"])
    create_index(
        op.f("ix_uploads_tenant_uploads_owner_uploads_state"),
        "uploads",
        ["tenant", "owner", "state"],
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_uploads_tenant_uploads_owner_uploads_state"), table_name="uploads")
    op.drop_index(op.f("ix_direct_grant_id"), table_name="direct")
    op.drop_column("direct", "grant_id")
    op.drop_index(op.f("ix_grants_expires_at"), table_name="grants")
    op.drop_table("grants")
