"""Which sound it is that comes without a container of pictures: tags, frames, and the heads of old formats.

Frames of MPEG that stand first and without a tag are libmagic's: it knows all their headers.
"""

import re
from typing import Final

from shared.model.media import by_extension

_MPEG: Final = "audio/mpeg"
_ID3: Final = re.compile(rb"ID3[\x02-\x04]")
_SYNCHSAFE: Final = (21, 14, 7, 0)
_ADTS: Final = re.compile(rb"\xff[\xf0\xf1\xf8\xf9]")

# MPEG audio, layer III: kbit/s by version 1 and the others, samples a second by version 1.
_HEADER_SIZE: Final = 4
_FIRST: Final = 3
_RATES: Final = (
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0),
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0),
)
_SAMPLES: Final = (44100, 48000, 32000, 0)
_DIVISORS: Final = {3: 1, 2: 2, 0: 4}

_ASF: Final = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_STREAM: Final = re.compile(
    re.escape(bytes.fromhex("9107dcb7b7a9cf118ee600c00c205365")) + rb".{8}(.{16})", re.DOTALL
)
_ASF_SOUND: Final = bytes.fromhex("409e69f84d5bcf11a8fd00805f5c442b")
_ASF_PICTURES: Final = bytes.fromhex("c0ef19bc4d5bcf11a8fd00805f5c442b")


def sound(head: bytes, filename: str) -> str | None:
    """Return the type of the sound that `head` begins, None when it is none of these."""
    if head.startswith(b"fLaC"):
        return "audio/flac"
    if head.startswith(b"FORM") and head[8:12] in {b"AIFF", b"AIFC"}:
        return "audio/aiff"
    if head.startswith(b"#!AMR"):  # what is a script has been called one by now
        return "audio/amr"
    if head.startswith(_ASF):
        streams = set(_ASF_STREAM.findall(head))
        is_sound = _ASF_SOUND in streams and _ASF_PICTURES not in streams
        return "audio/x-ms-wma" if is_sound else "video/x-ms-asf"
    if _ID3.match(head):
        return _tagged(head)
    return _padded(head) if _is_called_mpeg(filename) else None


def _tagged(head: bytes) -> str:
    """Look behind an ID3 tag, which may stand before any kind of sound."""
    length = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:], _SYNCHSAFE, strict=False))
    following = head[10 + length :]
    if following.startswith(b"fLaC"):
        return "audio/flac"
    return "audio/aac" if _ADTS.match(following) else _MPEG


def _padded(head: bytes) -> str | None:
    """Look behind zeros, which some encoders begin with: two frames in a row are no chance."""
    rest = head.lstrip(b"\0")
    if len(rest) == len(head):
        return None
    if _ID3.match(rest):
        return _tagged(rest)
    length = _frame(rest)
    return _MPEG if length and _frame(rest[length:]) else None


def _frame(block: bytes) -> int:
    """Return the length in bytes of the frame that `block` begins with, 0 when it is none."""
    if len(block) < _HEADER_SIZE or block[0] != 0xFF or block[1] & 0xE6 != 0xE2:  # noqa: PLR2004  # the sync word, and the layer
        return 0
    version = block[1] >> 3 & 3
    rate = _RATES[version == _FIRST][block[2] >> 4]
    samples = _SAMPLES[block[2] >> 2 & 3] // _DIVISORS.get(version, 1)
    if not (rate and samples and version in _DIVISORS):
        return 0
    return (144 if version == _FIRST else 72) * 1000 * rate // samples + (block[2] >> 1 & 1)


def _is_called_mpeg(filename: str) -> bool:
    return any(each.name == _MPEG for each in by_extension(filename))
