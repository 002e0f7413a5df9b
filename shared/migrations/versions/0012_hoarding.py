"""Uploads that hold room, by themselves: few of them have ended."""

import sqlalchemy as sa
from alembic import op

from shared.adapters.migrate_online import create_index

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_index(
        "ix_uploads_hoarding", "uploads", ["state", "updated_at"], where=sa.text("reserved != 0")
    )


def downgrade() -> None:
    op.drop_index("ix_uploads_hoarding", table_name="uploads")
