"""Lists of files by key, in the order of bytes on every database; and files by profile and age."""

import sqlalchemy as sa
from alembic import op

from shared.adapters.migrate_online import analyze, create_index, is_postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# In the order in which whoever publishes or deletes a file locks them.
_KEYED = ("files", "thumbnails", "objects")
_UNIQUE = {"uq_files_key": ("files", "UNIQUE"), "pk_objects": ("objects", "PRIMARY KEY")}
_PLAIN = {"ix_thumbnails_key": "thumbnails"}
_INDEXES = {
    "ix_files_tenant_files_owner_files_key_files_id": ["tenant", "owner", "key", "id"],
    "ix_files_tenant_files_key_files_id": ["tenant", "key", "id"],
    "ix_files_profile_files_deleted_at_files_created_at": ["profile", "deleted_at", "created_at"],
}
_COLLATED = """
SELECT collname FROM pg_attribute JOIN pg_collation ON pg_collation.oid = attcollation
WHERE attrelid = 'objects'::regclass AND attname = 'key'
"""


def upgrade() -> None:
    # SQLite compares bytes anyway.
    if is_postgresql() and op.get_bind().execute(sa.text(_COLLATED)).scalar_one() != "C":
        _build_beside()
        _collate_with_those()
    for name, columns in _INDEXES.items():
        create_index(name, "files", columns)
    analyze(*_KEYED)  # what was known of keys went with their collation


def downgrade() -> None:
    for name in _INDEXES:
        op.drop_index(name, "files")
    if is_postgresql():
        for table in _KEYED:
            key = sa.Text(collation="default")
            op.alter_column(table, "key", type_=key, existing_nullable=False)


def _build_beside() -> None:
    """Build the indexes that keys will have: with a new collation they would be built anew, and
    nobody could read or write meanwhile."""
    key = [sa.text('key COLLATE "C"')]
    for name, (table, _) in _UNIQUE.items():
        create_index(f"{name}_new", table, key, unique=True)
    for name, table in _PLAIN.items():
        create_index(f"{name}_new", table, key)


def _collate_with_those() -> None:
    """All tables at once, for PostgreSQL compares no columns of two collations.

    No row is written and no index built, so this is done in no time; all locks come first, so that
    who waits for one waits shortly.
    """
    op.execute(f"LOCK TABLE {', '.join(_KEYED)} IN ACCESS EXCLUSIVE MODE")
    for name, (table, _) in _UNIQUE.items():
        op.drop_constraint(name, table)
    for name, table in _PLAIN.items():
        op.drop_index(name, table)
    for table in _KEYED:
        op.alter_column(table, "key", type_=sa.Text(collation="C"), existing_nullable=False)
    for name, (table, kind) in _UNIQUE.items():
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {kind} USING INDEX {name}_new")
    for name in _PLAIN:
        op.execute(f"ALTER INDEX {name}_new RENAME TO {name}")
