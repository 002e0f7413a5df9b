"""Files that replace one of the same name: which, and what the next one under a key will be."""

import sqlalchemy as sa
from alembic import op

from shared.adapters.migrate_online import add_column, create_index

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    add_column("objects", sa.Column("successor", sa.String(36), nullable=True))
    add_column("objects", sa.Column("checked", sa.JSON(none_as_null=True), nullable=True))
    add_column("uploads", sa.Column("replaces", sa.String(36), nullable=True))
    create_index("ix_objects_successor", "objects", ["successor"])


def downgrade() -> None:
    op.drop_index("ix_objects_successor", "objects")
    with op.batch_alter_table("objects") as table:
        table.drop_column("checked")
        table.drop_column("successor")
    with op.batch_alter_table("uploads") as table:
        table.drop_column("replaces")
