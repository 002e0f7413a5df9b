"""Checksums of bytes on their way: CRC-64/NVME for every chunk, SHA-256 where one was sent."""

import hashlib
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from awscrt.checksums import combine_crc64nvme, crc64nvme

from shared.errors import Unprocessable
from shared.model.upload import Chunk


class Hash(Protocol):
    def update(self, block: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class _Crc32:
    """CRC-32 as a hash: its digest has the highest byte first."""

    def __init__(self) -> None:
        self._sum = 0

    def update(self, block: bytes, /) -> None:
        self._sum = zlib.crc32(block, self._sum)

    def digest(self) -> bytes:
        return self._sum.to_bytes(4, "big")


# By the names that clients call them.
ALGORITHMS: Final[Mapping[str, Callable[[], Hash]]] = {
    "sha1": lambda: hashlib.sha1(usedforsecurity=False),
    "sha256": hashlib.sha256,
    "md5": lambda: hashlib.md5(usedforsecurity=False),
    "crc32": _Crc32,
}


@dataclass(frozen=True, slots=True)
class Announced:
    """What a client says that the bytes of a body sum up to; `algorithm` is one of `ALGORITHMS`."""

    algorithm: str
    value: bytes

    @property
    def algorithms(self) -> Collection[str]:
        return (self.algorithm,)

    def settled(self) -> "Announced":
        return self


@dataclass(frozen=True, slots=True)
class Following:
    """What a client says of a body only behind it. `said` is asked then; it may raise."""

    said: Callable[[], Announced]

    @property
    def algorithms(self) -> Collection[str]:
        return ALGORITHMS  # which of them it is, nobody knows before

    def settled(self) -> Announced:
        return self.said()


# A body is summed up by its `algorithms`, and held against what is `settled` once it is all here.
Checksum = Announced | Following


def crc64(block: bytes | memoryview, before: int = 0) -> int:
    return int(crc64nvme(block, before))


def joined_crc64(runs: Iterable[tuple[int, int]]) -> int:
    """Return the checksum of runs in a row, each given as (checksum, length)."""
    whole = 0
    for checksum, length in runs:
        whole = int(combine_crc64nvme(whole, checksum, length))
    return whole


def same_bytes(chunks: Iterable[Chunk], others: Iterable[Chunk]) -> bool:
    """Say whether two chunks of one number hold the same bytes, however they are rolled over."""
    return _summary(chunks) == _summary(others)


def _summary(chunks: Iterable[Chunk]) -> tuple[int, int]:
    in_order = sorted(chunks, key=lambda chunk: chunk.offset)
    length = sum(chunk.length for chunk in in_order)
    return length, joined_crc64((chunk.crc64, chunk.length) for chunk in in_order)


def is_sha256(text: str) -> bool:
    return len(text) == hashlib.sha256().digest_size * 2 and set(text) <= set("0123456789abcdef")


def agreed_sha256(before: str | None, now: str | None) -> str | None:
    """Return what was said before or now of the whole file. Raises `Unprocessable` when they differ."""
    if now is not None and not is_sha256(now):
        raise Unprocessable("A SHA-256 is 64 hexadecimal digits.", pointer="/sha256")
    if before is not None and now is not None and before != now:
        raise Unprocessable("The upload was opened with another SHA-256.", pointer="/sha256")
    return now or before
