"""Lists of files by key, in the order of bytes on every database; and files by profile and age."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_KEYED = ("files", "thumbnails", "objects")
_INDEXES = {
    "ix_files_tenant_files_owner_files_key_files_id": ["tenant", "owner", "key", "id"],
    "ix_files_tenant_files_key_files_id": ["tenant", "key", "id"],
    "ix_files_profile_files_deleted_at_files_created_at": ["profile", "deleted_at", "created_at"],
}


def upgrade() -> None:
    _collate("C")
    for name, columns in _INDEXES.items():
        op.create_index(name, "files", columns)


def downgrade() -> None:
    for name in _INDEXES:
        op.drop_index(name, "files")
    _collate("default")


def _collate(collation: str) -> None:
    """All at once: PostgreSQL compares no columns of two collations. SQLite compares bytes anyway."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in _KEYED:
        op.alter_column(table, "key", type_=sa.Text(collation=collation), existing_nullable=False)
