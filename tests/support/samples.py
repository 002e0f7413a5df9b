"""Real, tiny files of every type the default policy allows, made here byte by byte.

`SAMPLES` lists them with the name, type and category they must be recognised as; the functions
make single ones. The same call returns the same bytes.
"""

import io
import math
import struct
import wave
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from PIL import Image

from tests.support.samples_office import compound, docx, xlsx, zipped
from tests.support.samples_video import avi, m4a, mov, mp4, mpeg_video, opus, webm

__all__ = ["SAMPLES", "Sample", "compound", "docx", "xlsx", "zipped"]


@dataclass(frozen=True, slots=True)
class Sample:
    filename: str
    content_type: str
    category: str
    make: Callable[[], bytes]

    def __str__(self) -> str:
        return self.filename


def picture(kind: str, width: int = 16, height: int = 12) -> bytes:
    """Return a small colour gradient as `kind`: JPEG, PNG, GIF, WEBP, AVIF, TIFF or BMP."""
    image = Image.new("RGB", (width, height))
    for x in range(width):
        for y in range(height):
            image.putpixel((x, y), (x * 255 // width, y * 255 // height, 128))
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def heic_head() -> bytes:
    brands = b"heic" + struct.pack(">I", 0) + b"mif1heic"
    return struct.pack(">I", 8 + len(brands)) + b"ftyp" + brands + struct.pack(">I", 8) + b"meta"


def tone(count: int = 4000) -> bytes:
    """Return a 440 Hz tone as raw samples: 16 bits, mono, 8 kHz."""
    wave_form = (round(9000 * math.sin(6.2832 * 440 * n / 8000)) for n in range(count))
    return b"".join(struct.pack("<h", sample) for sample in wave_form)


def wav() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(8000)
        writer.writeframes(tone())
    return file.getvalue()


def mp3(frames: int = 20) -> bytes:
    """Return silent frames without a tag: MPEG-1 layer III, 128 kbit/s, 44.1 kHz."""
    return (b"\xff\xfb\x90\xc4" + bytes(413)) * frames


def tagged_mp3(padding: int = 64) -> bytes:
    title = b"TIT2" + struct.pack(">IH", 6, 0) + b"\x00Sluic"
    body = title + bytes(padding)
    length = bytes((len(body) >> shift) & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\x00\x00" + length + body + mp3()


def pdf() -> bytes:
    objects = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 72 72]>>",
    )
    body, offsets = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(body))
        body += b"%d 0 obj%sendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = b"trailer<</Size 4/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % len(body)
    return body + b"xref\n0 4\n0000000000 65535 f \n" + table + trailer


def text() -> bytes:
    return "A plain note, with an accent: café.\nAnd a second line.\n".encode()


def csv() -> bytes:
    return b"id,name,price\n1,apple,0.50\n2,pear,0.75\n"


def doc() -> bytes:
    return compound("WordDocument", b"\xec\xa5\xc1\x00" + bytes(4092))


def xls() -> bytes:
    return compound("Workbook", b"\x09\x08\x10\x00\x00\x06\x05\x00" + bytes(4088))


def archive() -> bytes:
    return zipped({"notes/readme.txt": text(), "notes/table.csv": csv()}, zipfile.ZIP_DEFLATED)


_WORD: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_SHEET: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

SAMPLES: Final = (
    Sample("photo.jpg", "image/jpeg", "image", lambda: picture("JPEG")),
    Sample("photo.jpeg", "image/jpeg", "image", lambda: picture("JPEG")),
    Sample("drawing.png", "image/png", "image", lambda: picture("PNG")),
    Sample("drawing.gif", "image/gif", "image", lambda: picture("GIF")),
    Sample("photo.webp", "image/webp", "image", lambda: picture("WEBP")),
    Sample("song.mp3", "audio/mpeg", "audio", tagged_mp3),
    Sample("untagged.mp3", "audio/mpeg", "audio", mp3),
    Sample("song.mpga", "audio/mpeg", "audio", mp3),
    Sample("song.mpeg", "audio/mpeg", "audio", mp3),
    Sample("tone.pcm", "audio/pcm", "audio", tone),
    Sample("tone.wav", "audio/wav", "audio", wav),
    Sample("song.m4a", "audio/mp4", "audio", m4a),
    Sample("voice.opus", "audio/ogg", "audio", opus),
    Sample("voice.webm", "audio/webm", "audio", lambda: webm("A_OPUS")),
    Sample("clip.webm", "video/webm", "video", lambda: webm("V_VP9", "A_OPUS")),
    Sample("clip.mp4", "video/mp4", "video", mp4),
    Sample("clip.mov", "video/quicktime", "video", mov),
    Sample("clip.avi", "video/x-msvideo", "video", avi),
    Sample("clip.mpeg", "video/mpeg", "video", mpeg_video),
    Sample("paper.pdf", "application/pdf", "document", pdf),
    Sample("note.txt", "text/plain", "document", text),
    Sample("table.csv", "text/csv", "document", csv),
    Sample("letter.doc", "application/msword", "document", doc),
    Sample("letter.docx", _WORD, "document", docx),
    Sample("sheet.xls", "application/vnd.ms-excel", "document", xls),
    Sample("sheet.xlsx", _SHEET, "document", xlsx),
    Sample("bundle.zip", "application/zip", "document", archive),
)
