"""Indexes for the lists of whole tenants."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_SORTS = ("created_at", "filename", "size")


def upgrade() -> None:
    for column in _SORTS:
        op.create_index(_name(column), "files", ["tenant", column, "id"])


def downgrade() -> None:
    for column in _SORTS:
        op.drop_index(_name(column), "files")


def _name(column: str) -> str:
    return f"ix_files_tenant_files_{column}_files_id"
