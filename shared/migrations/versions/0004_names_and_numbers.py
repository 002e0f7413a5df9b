"""Keys that may be used again once their file is gone, and a number of each file in its tenant."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_NUMBERED = """
UPDATE files SET number = counted.number FROM (
    SELECT id, row_number() OVER (PARTITION BY tenant ORDER BY created_at, id) AS number FROM files
) AS counted WHERE counted.id = files.id
"""
_COUNTED = """
UPDATE quotas SET last_number = (SELECT count(*) FROM files WHERE files.tenant = quotas.tenant)
"""


def upgrade() -> None:
    with op.batch_alter_table("uploads") as table:
        table.drop_constraint("uq_uploads_key", type_="unique")
    with op.batch_alter_table("files") as table:
        table.add_column(sa.Column("number", sa.BigInteger(), nullable=True))
    with op.batch_alter_table("quotas") as table:
        table.add_column(
            sa.Column("last_number", sa.BigInteger(), nullable=False, server_default="0")
        )
    op.execute(_NUMBERED)
    op.execute(_COUNTED)
    with op.batch_alter_table("files") as table:
        table.alter_column("number", existing_type=sa.BigInteger(), nullable=False)
        table.create_index("ix_files_tenant_files_number", ["tenant", "number"], unique=True)


def downgrade() -> None:
    with op.batch_alter_table("quotas") as table:
        table.drop_column("last_number")
    with op.batch_alter_table("files") as table:
        table.drop_index("ix_files_tenant_files_number")
        table.drop_column("number")
    with op.batch_alter_table("uploads") as table:
        table.create_unique_constraint("uq_uploads_key", ["key"])
