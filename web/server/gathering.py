"""Whether a request has arrived: its head, and its body when that is small. Nothing here waits.

Only says what is worth waiting for. What the request means is left to gunicorn's parser, which also
refuses what is malformed: a head that can't become a good one counts as whole.
"""

import re
from typing import Final

MOST_HEAD: Final = 32 * 1024  # bytes: four times the longest line that gunicorn takes
SMALL_BODY: Final = 16 * 1024  # bytes

_LINE_END: Final = b"\r\n"
_END: Final = b"\r\n\r\n"
_BARE: Final = re.compile(rb"(?<!\r)\n")  # RFC 9112, 2.2: lines end with CRLF
_FRAMING: Final = re.compile(
    rb"\r\n(content-length|transfer-encoding|expect)[ \t]*:[ \t]*([^\r]*)", re.IGNORECASE
)


class Gathering:
    """The bytes of a request so far, without empty lines before it (RFC 9112, 2.2)."""

    def __init__(self) -> None:
        self._said = bytearray()
        self._wanted: int | None = None  # bytes, known once the head is here

    def __len__(self) -> int:
        return len(self._said)

    @property
    def has_head(self) -> bool:
        return self._wanted is not None

    @property
    def is_whole(self) -> bool:
        return self._wanted is not None and len(self._said) >= self._wanted

    @property
    def is_too_large(self) -> bool:
        return self._wanted is None and len(self._said) > MOST_HEAD

    def add(self, block: bytes) -> None:
        looked = max(0, len(self._said) - len(_END) + 1)
        self._said += block
        if self._wanted is None:
            while self._said.startswith(_LINE_END):
                del self._said[: len(_LINE_END)]
            self._wanted = self._look(looked)

    def take(self) -> bytes:
        """Return all bytes, and begin anew."""
        said = bytes(self._said)
        self._said, self._wanted = bytearray(), None
        return said

    def _look(self, start: int) -> int | None:
        end = self._said.find(_END, start)
        if _BARE.search(self._said, start, end if end >= 0 else len(self._said)):
            return 0
        return None if end < 0 else end + len(_END) + _small_body(bytes(self._said[:end]))


def _small_body(head: bytes) -> int:
    """Return the length of a body that is worth waiting for, 0 for all others."""
    framing = _FRAMING.findall(head)
    if len(framing) != 1 or framing[0][0].lower() != b"content-length":
        return 0
    value = framing[0][1].strip()
    is_short = value.isdigit() and len(value) <= len(str(SMALL_BODY))
    return int(value) if is_short and int(value) <= SMALL_BODY else 0
