"""The sniffer: libmagic, the host's where it is recent, else the one that came as a wheel."""

import ctypes
import importlib
import os
import sys
from types import ModuleType
from typing import Final

# The first release with the fix of CVE-2022-48554.
_RECENT: Final = 543
_HEAD_SIZE: Final = 8 * 1024
_TOUCHED: Final = ("MAGIC", "LIBRARY_PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_UNKNOWN: Final = "application/octet-stream"


class MagicSniffer:
    """Knows a file by its first 8 KiB. Threads share one: libmagic is asked under a lock.

    Raises `ImportError` when there is no libmagic, neither the host's nor the bundled one.
    """

    def __init__(self, *, bundled: bool = False) -> None:
        host = None if bundled else _host()
        self._magic, database = (host, None) if host else _bundled()
        self._cookie = self._magic.Magic(mime=True, magic_file=database)
        self.version: Final[int] = self._magic.version()

    def sniff(self, head: bytes) -> str:
        try:
            return str(self._cookie.from_buffer(head[:_HEAD_SIZE]))
        except self._magic.MagicException:
            return _UNKNOWN  # what libmagic chokes on is nothing known


def _host() -> ModuleType | None:
    try:
        magic = _fresh_import()
    except ImportError:
        return None
    return magic if magic.version() >= _RECENT else None


def _bundled() -> tuple[ModuleType, str]:
    """Import python-magic over the bundled library and return it with its database.

    Importing pylibmagic points ctypes and the environment at itself. Both are put back, or every
    child process would load its library too.
    """
    environment = dict(os.environ)  # noqa: TID251 - to be put back, no setting is read from it
    load = ctypes.CDLL.__init__
    sys.modules.pop("pylibmagic", None)
    try:
        pylibmagic = importlib.import_module("pylibmagic")
        return _fresh_import(), str(pylibmagic.data / "magic.mgc")
    finally:
        ctypes.CDLL.__init__ = load  # type: ignore[method-assign]  # pylibmagic replaces it
        _put_back(environment)


def _put_back(environment: dict[str, str]) -> None:
    for name in _TOUCHED:
        if name in environment:
            os.environ[name] = environment[name]  # noqa: TID251 - as it was before
        else:
            os.environ.pop(name, None)  # noqa: TID251 - as it was before


def _fresh_import() -> ModuleType:
    """Import python-magic anew: it binds the first library it finds for as long as it lives."""
    _forget()
    try:
        return importlib.import_module("magic")
    finally:
        _forget()


def _forget() -> None:
    for name in [each for each in sys.modules if each.partition(".")[0] == "magic"]:
        del sys.modules[name]
