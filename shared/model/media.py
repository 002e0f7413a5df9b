"""The table of media types: what each is called, its category, its extensions.

Pure knowledge, no rules: `policy` decides what is accepted, `container` what the bytes are.
"""

import mimetypes
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

UNKNOWN: Final = "application/octet-stream"
TEXT: Final = "text/plain"

WORD: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
SHEET: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
SLIDES: Final = "application/vnd.openxmlformats-officedocument.presentationml.presentation"


class Category(StrEnum):
    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    DOCUMENT = "document"


@dataclass(frozen=True, slots=True)
class MediaType:
    """One type under its canonical name; `aliases` is what browsers and libmagic also call it.

    `resembles` names what the bytes of a type without magic look like: it is told by extension
    alone. An `active` type can carry script and is accepted under its own extensions only.
    """

    name: str
    category: Category
    extensions: tuple[str, ...]
    aliases: frozenset[str] = frozenset()
    default: bool = False
    resembles: frozenset[str] = frozenset()
    active: bool = False


def _type(
    category: Category,
    name: str,
    extensions: str,
    aliases: str = "",
    *,
    default: bool = False,
    resembles: str = "",
    active: bool = False,
) -> MediaType:
    return MediaType(
        name,
        category,
        tuple(extensions.split()),
        frozenset(aliases.split()),
        default=default,
        resembles=frozenset(resembles.split()),
        active=active,
    )


IMAGE, VIDEO, AUDIO, DOCUMENT = Category

TYPES: Final = (
    _type(IMAGE, "image/jpeg", "jpg jpeg jpe jfif", "image/jpg image/pjpeg", default=True),
    _type(
        IMAGE,
        "image/png",
        "png apng",
        "image/x-png image/apng image/vnd.mozilla.apng",
        default=True,
    ),
    _type(IMAGE, "image/gif", "gif", default=True),
    _type(IMAGE, "image/webp", "webp", "image/x-webp", default=True),
    _type(IMAGE, "image/avif", "avif avifs", "image/avif-sequence"),
    _type(IMAGE, "image/heic", "heic heics hif", "image/heic-sequence"),
    _type(IMAGE, "image/heif", "heif heifs", "image/heif-sequence"),
    _type(IMAGE, "image/tiff", "tif tiff", "image/x-tiff image/tif"),
    _type(IMAGE, "image/bmp", "bmp dib", "image/x-ms-bmp image/x-bmp image/x-windows-bmp"),
    _type(VIDEO, "video/mp4", "mp4 m4v", "video/x-m4v application/mp4", default=True),
    _type(VIDEO, "video/quicktime", "mov qt", default=True),
    _type(
        VIDEO,
        "video/x-msvideo",
        "avi",
        "video/avi video/msvideo video/vnd.avi application/x-troff-msvideo",
        default=True,
    ),
    # What is called .mpeg is as often a picture as a sound, and both were always taken.
    _type(
        VIDEO,
        "video/mpeg",
        "mpeg mpg mpe",
        "video/mpg video/x-mpeg video/mp1s video/mp2p video/mpv video/mpeg-system",
        default=True,
    ),
    _type(VIDEO, "video/webm", "webm", default=True),
    _type(VIDEO, "video/x-matroska", "mkv", "video/matroska application/x-matroska"),
    _type(VIDEO, "video/ogg", "ogv", "video/x-ogg"),
    _type(VIDEO, "video/3gpp", "3gp 3gpp 3g2", "video/3gpp2"),
    _type(
        AUDIO,
        "audio/mpeg",
        "mp3 mpga mpeg mp2",
        "audio/mp3 audio/x-mp3 audio/x-mpeg audio/mpeg3 audio/x-mpeg-3 audio/mpg audio/x-mpg",
        default=True,
    ),
    _type(
        AUDIO,
        "audio/pcm",
        "pcm",
        "audio/l16 audio/x-pcm audio/x-raw audio/raw",
        default=True,
        resembles=UNKNOWN,
    ),
    _type(
        AUDIO,
        "audio/wav",
        "wav wave",
        "audio/x-wav audio/wave audio/vnd.wave audio/x-pn-wav",
        default=True,
    ),
    _type(AUDIO, "audio/mp4", "m4a m4b mp4", "audio/x-m4a audio/m4a audio/x-mp4", default=True),
    # RFC 7845: an .opus file is Ogg, its type audio/ogg. Vorbis in Ogg goes by the same name.
    _type(
        AUDIO,
        "audio/ogg",
        "opus ogg oga",
        "audio/opus audio/x-opus+ogg audio/x-ogg audio/vorbis audio/x-vorbis+ogg application/ogg",
        default=True,
    ),
    _type(AUDIO, "audio/webm", "webm weba", default=True),
    _type(AUDIO, "audio/aac", "aac adts", "audio/x-aac audio/aacp audio/x-hx-aac-adts"),
    _type(AUDIO, "audio/flac", "flac", "audio/x-flac"),
    _type(AUDIO, "audio/aiff", "aiff aif aifc", "audio/x-aiff"),
    _type(AUDIO, "audio/amr", "amr awb", "audio/x-amr audio/amr-nb audio/amr-wb"),
    _type(AUDIO, "audio/3gpp", "3gp 3gpp 3ga 3g2", "audio/3gpp2"),
    _type(AUDIO, "audio/x-ms-wma", "wma", "audio/wma audio/x-wma"),
    _type(DOCUMENT, "application/pdf", "pdf", "application/x-pdf", default=True),
    _type(DOCUMENT, TEXT, "txt", default=True),
    _type(
        DOCUMENT,
        "text/csv",
        "csv",
        "application/csv text/x-csv application/x-csv text/comma-separated-values",
        default=True,
        resembles=TEXT,
    ),
    _type(DOCUMENT, "application/msword", "doc", "application/x-msword", default=True),
    _type(DOCUMENT, WORD, "docx", default=True),
    _type(
        DOCUMENT,
        "application/vnd.ms-excel",
        "xls",
        "application/msexcel application/x-msexcel application/excel",
        default=True,
    ),
    _type(DOCUMENT, SHEET, "xlsx", default=True),
    _type(
        DOCUMENT,
        "application/zip",
        "zip",
        "application/x-zip-compressed application/x-zip multipart/x-zip",
        default=True,
    ),
    _type(DOCUMENT, "application/vnd.ms-powerpoint", "ppt", "application/mspowerpoint"),
    _type(DOCUMENT, SLIDES, "pptx"),
    _type(DOCUMENT, "application/vnd.oasis.opendocument.text", "odt"),
    _type(DOCUMENT, "application/vnd.oasis.opendocument.spreadsheet", "ods"),
    _type(DOCUMENT, "application/rtf", "rtf", "text/rtf application/x-rtf text/richtext"),
    _type(DOCUMENT, "application/json", "json", "text/json", resembles=TEXT),
    _type(DOCUMENT, "text/markdown", "md markdown", "text/x-markdown", resembles=TEXT),
    # Not an image here: no decoder of pictures reads it.
    _type(DOCUMENT, "image/svg+xml", "svg", "image/svg", active=True),
    _type(DOCUMENT, "text/html", "html htm", active=True),
    _type(DOCUMENT, "text/xml", "xml", "application/xml", active=True),
    _type(DOCUMENT, "application/vnd.ms-word.document.macroenabled.12", "docm", active=True),
    _type(DOCUMENT, "application/vnd.ms-excel.sheet.macroenabled.12", "xlsm", active=True),
)

_RUNNABLE: Final = """
    exe dll so dylib com bat cmd msi msp scr cpl pif ps1 psm1 vbs vbe js mjs cjs jse wsf wsh hta jar
    class dex apk app deb rpm sh bash zsh csh ksh fish command py pyc pyw pl rb php phtml php3 php4
    php5 php7 php8 phps phar asp aspx jsp jspx cgi htm html xhtml shtml mht mhtml svg svgz swf lnk
    reg scf desktop elf
"""
# What runs when it is opened somewhere; for most of it the standard library has no type.
RUNNABLE: Final = frozenset(_RUNNABLE.split())

# What a client says when it does not know.
_UNDECLARED: Final = frozenset(
    {"", UNKNOWN, "binary/octet-stream", "application/x-octet-stream", "application/unknown"}
)
_BY_NAME: Final = {each.name: each for each in TYPES}
_BY_ALIAS: Final = {alias: each.name for each in TYPES for alias in each.aliases}
# An instance of its own knows the standard library's table only, not the host's /etc/mime.types.
_STANDARD: Final = mimetypes.MimeTypes()


def canonical(name: str | None) -> str | None:
    """Return the canonical name of a media type, or None when nothing was declared.

    Lower case, without parameters, aliases resolved. A name that is not in the table is kept.
    """
    plain = (name or "").partition(";")[0].strip().lower()
    return None if plain in _UNDECLARED else _BY_ALIAS.get(plain, plain)


def by_name(name: str | None) -> MediaType | None:
    return _BY_NAME.get(canonical(name) or "")


def extension(filename: str) -> str:
    """Return what follows the last dot, lower case, or "". Trailing dots and blanks do not hide it."""
    # NFKC turns full-width letters and dots, which some systems take for plain ones, into those.
    visible = unicodedata.normalize("NFKC", filename).casefold().rstrip(". \t\r\n\0")
    _, dot, last = visible.rpartition(".")
    return last if dot else ""


def by_extension(filename: str, types: Iterable[MediaType] = TYPES) -> tuple[MediaType, ...]:
    """Return the types that go by the extension of `filename`, in the order of the table."""
    last = extension(filename)
    return tuple(each for each in types if last in each.extensions)


def is_known_extension(filename: str) -> bool:
    """Tell whether the extension stands for something, whether or not the table has it."""
    last = extension(filename)
    if last in RUNNABLE or by_extension(filename):
        return True
    return canonical(_STANDARD.types_map[True].get(f".{last}")) is not None
