"""Pictures that want the decoder's memory, its time or its life, made byte by byte."""

import struct
import zlib
from typing import Final

PNG_HEAD: Final = b"\x89PNG\r\n\x1a\n"
GREY: Final = 0
GREY_ALPHA: Final = 4
CHANNELS: Final = {GREY: 1, GREY_ALPHA: 2}


def a_pixel_bomb(width: int, height: int, *, colours: int = GREY) -> bytes:
    """Return a PNG of nothing, which packs a thousandfold."""
    packer = zlib.compressobj(1)
    row = bytes(1 + width * CHANNELS[colours])
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    return a_raw_png(width, height, [(b"IDAT", packed)], colours=colours)


def a_text_bomb(kind: bytes = b"zTXt", size: int = 80_000_000) -> bytes:
    """Return a PNG of one pixel whose `zTXt` or `iCCP` unfolds to `size` bytes."""
    text = b"name\0\0" + zlib.compress(bytes(size))
    return a_raw_png(1, 1, [(kind, text), (b"IDAT", zlib.compress(b"\0\0"))])


def a_raw_png(
    width: int, height: int, chunks: list[tuple[bytes, bytes]], *, colours: int = GREY
) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, colours, 0, 0, 0)
    everything = [(b"IHDR", header), *chunks, (b"IEND", b"")]
    return PNG_HEAD + b"".join(_chunk(kind, content) for kind, content in everything)


def a_frame_bomb(frames: int = 5_000, *, width: int = 64, height: int = 64) -> bytes:
    """Return a GIF with a screen of that size and many frames of one pixel."""
    screen = struct.pack("<HHBBB", width, height, 0x80, 0, 0)
    palette = bytes((0, 0, 0, 255, 255, 255))
    frame = struct.pack("<BHHHHB", 0x2C, 0, 0, 1, 1, 0) + bytes((2, 2, 0x44, 1, 0))
    return b"GIF89a" + screen + palette + frame * frames + b";"


def a_slow_bomb(side: int = 7_000) -> bytes:
    """Return a BMP of a few bytes per row, of which Pillow fills up each pixel in Python."""
    rows = bytes((1, 1, 0, 0)) * side
    palette = b"".join(struct.pack("<I", colour * 65_793 ^ 0xFF) for colour in range(256))
    offset = 14 + 40 + len(palette)
    head = struct.pack("<2sIHHI", b"BM", offset + len(rows), 0, 0, offset)
    rle8 = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, len(rows), 0, 0, 256, 0)
    return head + rle8 + palette + rows


def with_wrong_checksum(png: bytes, kind: bytes) -> bytes:
    """Return `png` with another CRC behind its first chunk of this kind; all else is as it was."""
    start = png.index(kind) - 4
    (length,) = struct.unpack_from(">I", png, start)
    last = start + 8 + length + 3
    return png[:last] + bytes((png[last] ^ 1,)) + png[last + 1 :]


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
