"""Which recording is in a container of sound and moving pictures, and whether it has pictures.

Where the head does not show the tracks, a container counts as video, unless its extension says
sound.
"""

import re
import struct
from collections.abc import Iterator
from typing import Final

from shared.model.media import Category, by_extension
from shared.model.sound import sound

_RIFF: Final = {b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo", b"WEBP": "image/webp"}

_EBML: Final = b"\x1a\x45\xdf\xa3"
_DOCTYPE, _SEGMENT, _TRACKS, _TRACK, _TRACK_TYPE = (
    b"\x42\x82",
    b"\x18\x53\x80\x67",
    b"\x16\x54\xae\x6b",
    b"\xae",
    b"\x83",
)
_VIDEO_TRACK, _AUDIO_TRACK = b"\x01", b"\x02"
_MAX_ID, _MAX_SIZE = 4, 8

_AVIF: Final = frozenset({b"avif", b"avis"})
_HEIC: Final = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_HEIF: Final = frozenset({b"mif1", b"msf1", b"mif2", b"miaf"})
_SOUND: Final = frozenset({b"M4A ", b"M4B ", b"M4P "})
_MP4: Final = re.compile(
    rb"iso[m2-9a-c]|mp4[12]|mp71|M4V[ HP]|avc1|dash|MSNV|XAVC|f4v |cmf[2c]|av01"
)
_PHONE: Final = ("video/3gpp", "audio/3gpp")
_BARE_QUICKTIME: Final = frozenset({b"moov", b"mdat", b"wide"})
_MAX_BRANDS: Final = 64
_BOX_HEADER: Final = 8
_HANDLER: Final = re.compile(rb"hdlr.{8}(vide|soun)", re.DOTALL)


def recording(head: bytes, filename: str) -> str | None:
    """Return the type of the container that `head` begins, None when it is none of ours."""
    if head[:4] in {b"RIFF", b"RIFX", b"RF64", b"BW64"}:
        return _RIFF.get(head[8:12])
    if head.startswith(b"OggS"):
        return _ogg(head)
    if head.startswith(_EBML):
        return _ebml(head, filename)
    if head[4:8] == b"ftyp":
        return _iso_media(head, filename)
    if head[4:8] in _BARE_QUICKTIME:
        return "video/quicktime"
    return sound(head, filename)


def _ogg(head: bytes) -> str:
    return "video/ogg" if b"\x80theora" in head[:1024] else "audio/ogg"


def _ebml(head: bytes, filename: str) -> str | None:
    kind, tracks = b"", set()
    for name, content in _elements(head):
        if name == _EBML:
            kind = dict(_elements(content)).get(_DOCTYPE, b"").rstrip(b"\0")
        elif name == _SEGMENT:
            tracks = set(_track_types(content))
    if kind == b"matroska":
        return "video/x-matroska"
    if kind != b"webm":
        return None
    has_pictures = _VIDEO_TRACK in tracks
    has_only_sound = not has_pictures and _AUDIO_TRACK in tracks
    return "audio/webm" if has_only_sound or _says_sound(filename) else "video/webm"


def _track_types(segment: bytes) -> Iterator[bytes]:
    for name, tracks in _elements(segment):
        if name == _TRACKS:
            for each, track in _elements(tracks):
                if each == _TRACK:
                    yield dict(_elements(track)).get(_TRACK_TYPE, b"")


def _elements(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield EBML's elements (RFC 8794), the last one cut where `block` ends."""
    place = 0
    while place < len(block):
        id_end = place + 9 - block[place].bit_length()
        if id_end - place > _MAX_ID or id_end >= len(block):
            return
        width = 9 - block[id_end].bit_length()
        if width > _MAX_SIZE:
            return
        content_at = id_end + width
        unknown = (1 << 7 * width) - 1
        size = int.from_bytes(block[id_end:content_at]) & unknown
        # A recorder that streams does not know the size: the element goes on to the end.
        end = len(block) if size == unknown else content_at + size
        yield block[place:id_end], block[content_at:end]
        place = end


def _iso_media(head: bytes, filename: str) -> str | None:
    size = min(struct.unpack_from(">I", head)[0], 16 + 4 * _MAX_BRANDS)
    compatible = head[16:size]
    brands = [head[8:12], *(compatible[at : at + 4] for at in range(0, len(compatible), 4))]
    if brands[0] in _AVIF | _HEIC | _HEIF:
        return _still(brands)
    if brands[0] == b"qt  ":
        return "video/quicktime"
    tracks = set(_HANDLER.findall(_box(head, b"moov")))
    says_sound = brands[0] in _SOUND or _says_sound(filename)
    is_sound = (b"soun" in tracks if tracks else says_sound) and b"vide" not in tracks
    is_phone = brands[0].startswith((b"3gp", b"3g2"))
    if is_phone and any(each.name in _PHONE for each in by_extension(filename)):
        return _PHONE[is_sound]
    if not _SOUND.isdisjoint(brands) or any(_MP4.match(brand) for brand in brands):
        return "audio/mp4" if is_sound else "video/mp4"
    return _PHONE[is_sound] if is_phone else None


def _still(brands: list[bytes]) -> str:
    if not _AVIF.isdisjoint(brands):
        return "image/avif"
    return "image/heic" if not _HEIC.isdisjoint(brands) else "image/heif"


def _box(head: bytes, kind: bytes) -> bytes:
    """Return the content of the first box `kind` at the top, b"" unless all of it is there."""
    place = 0
    while place + _BOX_HEADER <= len(head):
        size = struct.unpack_from(">I", head, place)[0]
        if size < _BOX_HEADER:  # 0 is "to the end", 1 a 64-bit size: neither fits a head
            return b""
        if head[place + 4 : place + 8] == kind:
            return head[place + _BOX_HEADER : place + size] if place + size <= len(head) else b""
        place += size
    return b""


def _says_sound(filename: str) -> bool:
    kinds = {each.category for each in by_extension(filename)}
    return kinds == {Category.AUDIO}
