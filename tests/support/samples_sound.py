"""Sounds of recorders and older programs: the heads of their formats, and a little behind them."""

import struct
import uuid
from typing import Final

_HEADER: Final = uuid.UUID("75b22630-668e-11cf-a6d9-00aa0062ce6c")
_STREAM: Final = uuid.UUID("b7dc0791-a9b7-11cf-8ee6-00c00c205365")
_SOUND: Final = uuid.UUID("f8699e40-5b4d-11cf-a8fd-00805f5c442b")
_PICTURES: Final = uuid.UUID("bc19efc0-5b4d-11cf-a8fd-00805f5c442b")


def amr(magic: bytes = b"#!AMR\n") -> bytes:
    """Return frames of silence, 12.2 kbit/s (RFC 4867, 5.3)."""
    return magic + (b"\x3c" + bytes(31)) * 10


def aiff(kind: bytes = b"AIFF") -> bytes:
    common = struct.pack(">hIh", 1, 4, 16) + bytes.fromhex("400bfa00000000000000")
    chunks = b"COMM" + struct.pack(">I", len(common)) + common
    chunks += b"SSND" + struct.pack(">III", 16, 0, 0) + bytes(8)
    return b"FORM" + struct.pack(">I", 4 + len(chunks)) + kind + chunks


def wma(*, pictures: bool = False) -> bytes:
    """Return a header of ASF with a stream of sound, and perhaps one of pictures."""
    kinds = (_SOUND, _PICTURES) if pictures else (_SOUND,)
    streams = b"".join(
        _STREAM.bytes_le + struct.pack("<Q", 78) + each.bytes_le + bytes(38) for each in kinds
    )
    head = struct.pack("<QIBB", 30 + len(streams), len(kinds), 1, 2)
    return _HEADER.bytes_le + head + streams
