"""Which staging is ours: an id that the first process ever makes, and the database keeps.

It is a lease that nobody ever leaves, so that of two who start at once one decides.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from shared.records import Records, Transaction

LEASE: Final = "staging"
_FOR_EVER: Final = timedelta(days=100 * 365)


@dataclass(frozen=True, slots=True)
class StagingIdentity:
    records: Records

    def settle(self, found: str | None, write: Callable[[str], None]) -> str:
        """Return the id that counts: the database's, else the one that was `found`, else a new one.

        A new one is written before the database keeps it: bytes before rows. Raises `Unavailable`.
        """
        with self.records.read() as rows:
            known = _known(rows)
        if known is not None:
            return known
        with self.records.begin() as rows:
            mine = found or secrets.token_hex(16)
            if rows.leases.take(LEASE, mine, _FOR_EVER):
                if found is None:
                    write(mine)
                return mine
            return _known(rows) or mine


def _known(rows: Transaction) -> str | None:
    found = rows.leases.find(LEASE)
    return None if found is None else found["holder"]
