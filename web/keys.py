"""The public keys of an issuer, by their ids: kept for minutes, asked for again when one is unknown.

Invariant: however many tokens name a key that nobody has, the issuer is asked every few seconds at
most, by one thread, and no request waits for longer than its time-outs.
"""

import logging
import threading
import time
from typing import Final

import jwt

from shared.errors import Unavailable

log = logging.getLogger(__name__)

_KEPT_SECONDS: Final = 300.0
_PAUSE_SECONDS: Final = 10.0
_ASKING_SECONDS: Final = 3.0
_WAITING_SECONDS: Final = 5.0
_NEVER: Final = float("-inf")


class PublishedKeys:
    """Safe to be shared by threads. `pause` in seconds."""

    def __init__(self, url: str, *, pause: float = _PAUSE_SECONDS) -> None:
        self._client = jwt.PyJWKClient(url, cache_jwk_set=False, timeout=_ASKING_SECONDS)
        self._pause = pause
        self._lock = threading.Lock()
        self._keys: dict[str, jwt.PyJWK] = {}
        self._had_at = self._asked_at = _NEVER
        self._failed = False

    def find(self, key_id: str) -> jwt.PyJWK | None:
        """Return the key. Raises `Unavailable` when the issuer does not answer for it."""
        if self._are_fresh() and key_id in self._keys:
            return self._keys[key_id]
        if not self._lock.acquire(timeout=_WAITING_SECONDS):
            raise _unavailable()
        try:
            if key_id not in self._keys or not self._are_fresh():
                self._ask_again()
        finally:
            self._lock.release()
        return self._keys.get(key_id)

    def _are_fresh(self) -> bool:
        return time.monotonic() - self._had_at < _KEPT_SECONDS

    def _ask_again(self) -> None:
        """Ask unless that was done a moment ago; then its outcome holds."""
        if time.monotonic() - self._asked_at >= self._pause:
            try:
                found = self._client.get_signing_keys()
            except (jwt.PyJWTError, OSError, ValueError) as error:
                self._failed = True
                log.warning("keys_not_had", exc_info=error)
            else:
                self._failed = False
                self._keys = {str(key.key_id): key for key in found}
                self._had_at = time.monotonic()
            self._asked_at = time.monotonic()
        if self._failed:
            raise _unavailable()


def _unavailable() -> Unavailable:
    return Unavailable("keys", "The issuer's keys can't be had now.")
