"""Uploads that are sent from offset to offset, and those that join them."""

import sqlalchemy as sa
from alembic import op

from shared.adapters.migrate_online import add_column, create_index, create_table

revision = "0010"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_table(
        "resumables",
        sa.Column("upload_id", sa.String(36), nullable=False),
        sa.Column("secret_sha256", sa.String(64), nullable=False),
        sa.Column("said", sa.Text(), nullable=True),
        sa.Column("concat", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["upload_id"],
            ["uploads.id"],
            name=op.f("fk_resumables_upload_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("upload_id", name=op.f("pk_resumables")),
    )
    create_table(
        "joins",
        sa.Column("upload_id", sa.String(36), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("part_id", sa.String(36), nullable=False),
        sa.ForeignKeyConstraint(
            ["upload_id"], ["uploads.id"], name=op.f("fk_joins_upload_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("upload_id", "position", name=op.f("pk_joins")),
    )
    create_index(op.f("ix_joins_part_id"), "joins", ["part_id"])
    add_column("chunks", sa.Column("home", sa.String(36), nullable=True))
    create_index(op.f("ix_chunks_home"), "chunks", ["home"])


def downgrade() -> None:
    op.drop_index(op.f("ix_chunks_home"), table_name="chunks")
    op.drop_column("chunks", "home")
    op.drop_table("joins")
    op.drop_table("resumables")
