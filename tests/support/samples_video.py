"""Containers of sound and moving pictures: the smallest that still have all their boxes."""

import struct
from typing import Final


def mp4(*, brand: bytes = b"isom", handlers: tuple[bytes, ...] = (b"vide", b"soun")) -> bytes:
    """Return an ISO base media file with one empty track for each of `handlers`."""
    tracks = b"".join(_track(number, each) for number, each in enumerate(handlers, start=1))
    header = struct.pack(">IIIIII", 0, 0, 0, 1000, 0, 0x00010000) + bytes(76)
    brands = brand + struct.pack(">I", 512) + (brand if brand == b"qt  " else b"isomiso2mp41")
    return _box(b"ftyp", brands) + _box(b"moov", _box(b"mvhd", header) + tracks) + _box(b"mdat")


def m4a() -> bytes:
    return mp4(brand=b"M4A ", handlers=(b"soun",))


def mov() -> bytes:
    return mp4(brand=b"qt  ", handlers=(b"vide",))


def avi() -> bytes:
    main = struct.pack("<14I", 40000, 0, 0, 0x10, 0, 0, 1, 0, 16, 12, 0, 0, 0, 0)
    stream = b"vidsMJPG" + struct.pack("<10I8x", 0, 0, 0, 1, 25, 0, 0, 0, 0, 0)
    picture = struct.pack("<IIIHH4s5I", 40, 16, 12, 1, 24, b"MJPG", 0, 0, 0, 0, 0)
    streams = _list(b"strl", _chunk(b"strh", stream) + _chunk(b"strf", picture))
    headers = _list(b"hdrl", _chunk(b"avih", main) + streams)
    return _chunk(b"RIFF", b"AVI " + headers + _list(b"movi", b""))


def mpeg_video() -> bytes:
    """Return an MPEG-1 program stream: a pack, a system header, a padding packet, the end."""
    pack = bytes.fromhex("000001ba2100010001800001")
    system = bytes.fromhex("000001bb00098000010421ffe0e0e6")
    return pack + system + bytes.fromhex("000001be0010") + b"\x0f" * 16 + bytes.fromhex("000001b9")


def opus() -> bytes:
    """Return an Ogg stream with the two header pages of Opus and one page of silence."""
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 312, 48000, 0, 0)
    tags = b"OpusTags" + struct.pack("<I", 6) + b"Sluice" + struct.pack("<I", 0)
    pages = ((2, 0, head), (0, 0, tags), (4, 960, b"\xf8\xff\xfe"))
    return b"".join(
        ogg_page(flags, granule, number, packet)
        for number, (flags, granule, packet) in enumerate(pages)
    )


def ogg_page(flags: int, granule: int, number: int, packet: bytes) -> bytes:
    """Return a page of stream 1 that holds `packet`, of less than 255 bytes."""
    start = b"OggS" + struct.pack("<BBqII", 0, flags, granule, 1, number)
    segments = bytes((1, len(packet)))
    checksum = _ogg_checksum(start + bytes(4) + segments + packet)
    return start + struct.pack("<I", checksum) + segments + packet


def webm(*codecs: str, kind: bytes = b"webm") -> bytes:
    """Return an EBML file with one track for each of `codecs`, as A_OPUS or V_VP9."""
    tracks = b"".join(
        _element(
            b"\xae",
            _element(b"\xd7", bytes((number,)))
            + _element(b"\x73\xc5", bytes((number,)))
            + _element(b"\x83", b"\x01" if codec.startswith("V_") else b"\x02")
            + _element(b"\x86", codec.encode()),
        )
        for number, codec in enumerate(codecs, start=1)
    )
    header = (
        _element(b"\x42\x86", b"\x01")
        + _element(b"\x42\xf7", b"\x01")
        + _element(b"\x42\xf2", b"\x04")
        + _element(b"\x42\xf3", b"\x08")
        + _element(b"\x42\x82", kind)
        + _element(b"\x42\x87", b"\x04")
        + _element(b"\x42\x85", b"\x02")
    )
    about = _element(b"\x2a\xd7\xb1", b"\x0f\x42\x40") + _element(b"\x4d\x80", b"Sluice")
    segment = _element(b"\x15\x49\xa9\x66", about) + _element(b"\x16\x54\xae\x6b", tracks)
    return _element(b"\x1a\x45\xdf\xa3", header) + _element(b"\x18\x53\x80\x67", segment)


def _box(kind: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def _track(number: int, handler: bytes) -> bytes:
    header = struct.pack(">IIII", 7, 0, 0, number) + bytes(68)
    media = struct.pack(">IIIIIHH", 0, 0, 0, 1000, 0, 0x55C4, 0)
    names = struct.pack(">II", 0, 0) + handler + bytes(12) + b"Sluice\0"
    return _box(
        b"trak",
        _box(b"tkhd", header) + _box(b"mdia", _box(b"mdhd", media) + _box(b"hdlr", names)),
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content


def _list(kind: bytes, content: bytes) -> bytes:
    return _chunk(b"LIST", kind + content)


def _element(identifier: bytes, content: bytes) -> bytes:
    if len(content) < 127:
        return identifier + bytes((0x80 | len(content),)) + content
    return identifier + struct.pack(">Q", 1 << 56 | len(content)) + content


_POLYNOMIAL: Final = 0x04C11DB7


def _ogg_checksum(page: bytes) -> int:
    checksum = 0
    for byte in page:
        checksum ^= byte << 24
        for _ in range(8):
            carry = checksum & 0x80000000
            checksum = (checksum << 1 & 0xFFFFFFFF) ^ (_POLYNOMIAL if carry else 0)
    return checksum
