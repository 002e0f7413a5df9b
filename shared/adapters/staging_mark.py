"""Whose folder staging is: a file in it says an id, and the database says the same.

A host whose disk is not mounted finds an empty folder there, or none. Without the mark it would take
what is missing for damage, and acknowledge bytes that nobody else can read.
"""

import contextlib
import logging
import os
import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from shared.adapters.durable import sync
from shared.errors import Unavailable

log = logging.getLogger(__name__)

NAME: Final = ".sluice"
_LONGEST: Final = 200  # bytes of it that are read

# Given the id in the folder, if there is one, and what writes one there: returns the one that counts.
Settle = Callable[[str | None, Callable[[str], None]], str]
Facts = tuple[int, int, int]


class StagingMark:
    """The mark of one folder. `settle` is asked until it has answered once: an id never changes."""

    def __init__(self, root: Path, settle: Settle) -> None:
        self._root = root
        self._settle = settle
        self._lock = threading.Lock()
        self._expected: str | None = None
        self._good: Facts | None = None  # of the mark when it was read, and right
        self._is_told = False

    def check(self) -> None:
        """Raise `Unavailable` unless the folder is ours. Costs one stat while nothing changes."""
        facts = self._facts()
        if facts is not None and facts == self._good:
            return
        with self._lock:
            self._look(facts)

    def _look(self, facts: Facts | None) -> None:
        found = self._read()
        if self._expected is None:
            self._expected = self._settle(found, self._write)
            found = self._read()
        if found != self._expected:
            self._good = None
            self._tell(found)
            raise Unavailable("staging", "The staging folder is not this service's; see the log.")
        self._good = facts
        if self._is_told:
            self._is_told = False
            log.info("staging_is_back", extra={"folder": str(self._root)})

    def _tell(self, found: str | None) -> None:
        if not self._is_told:
            self._is_told = True
            facts = {"folder": str(self._root), "expected": self._expected, "found": found}
            log.error("staging_not_ours", extra=facts)

    def _facts(self) -> Facts | None:
        try:
            said = (self._root / NAME).stat()
        except OSError:
            return None
        return said.st_dev, said.st_ino, said.st_mtime_ns

    def _read(self) -> str | None:
        try:
            with (self._root / NAME).open("rb") as file:
                return file.read(_LONGEST).decode(errors="replace").strip() or None
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise Unavailable("staging", "Staging does not answer.") from error

    def _write(self, ident: str) -> None:
        """Make the mark, and the folder where there is none; both last when this returns."""
        whole = self._root / f"{NAME}.{secrets.token_hex(6)}"
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                with whole.open("xb") as file:
                    file.write(f"{ident}\n".encode())
                    file.flush()
                    os.fsync(file.fileno())
                whole.rename(self._root / NAME)
            finally:
                with contextlib.suppress(OSError):
                    whole.unlink(missing_ok=True)
            for folder in (self._root, self._root.parent):
                sync(folder)
        except OSError as error:
            raise Unavailable("staging", "Staging can't be written.") from error
