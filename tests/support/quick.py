"""A running copy in a hurry, for tests that look at neither its start nor all of its parts."""

import atexit
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Final

from shared.adapters.migrate import migrate
from tests.support import restless
from tests.support.stack import Stack, a_stack

# Nobody looks at these; nor is the power cut, so that the store need not sync.
ASIDE: Final = ("beat", "flower", "s3-sync")


@contextmanager
def a_quick_stack(
    without: Sequence[str] = (restless.SECOND, *ASIDE), **settings: str
) -> Iterator[Stack]:
    """Start all but some parts at once, on a database that has its tables."""
    said = {restless.WITHOUT: ",".join(without), restless.DATABASE: str(_with_tables())}
    with a_stack(restless.__name__, **said, **settings) as stack:
        yield stack


@lru_cache(maxsize=1)
def _with_tables() -> Path:
    """Return a database with all tables, from which each copy has its own."""
    folder = Path(tempfile.mkdtemp(prefix="sluice-migrated-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    migrate(f"sqlite:///{folder / 'sluice.db'}")
    return folder / "sluice.db"
