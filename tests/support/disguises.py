"""Files that are not what their names say, each of which has to be refused by default."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.support import samples


@dataclass(frozen=True, slots=True)
class Disguise:
    """`filename` is innocent; `said` is the type that a trusting client would declare."""

    what: str
    filename: str
    said: str
    make: Callable[[], bytes]

    def __str__(self) -> str:
        return self.what


def pe() -> bytes:
    header = b"MZ\x90\0" + bytes(56) + struct.pack("<I", 64)
    return header + b"PE\0\0\x64\x86" + bytes(200)


def elf_stub() -> bytes:
    return b"\x7fELF\x02\x01\x01" + bytes(60)


def jpeg_with(text: bytes) -> bytes:
    """Return a picture with a comment right behind its first marker."""
    picture = samples.picture("JPEG")
    return picture[:2] + b"\xff\xfe" + struct.pack(">H", 2 + len(text)) + text + picture[2:]


def gif_script() -> bytes:
    """Return bytes that begin as a GIF and are JavaScript as a whole."""
    return b"GIF89a/*" + bytes(40) + b"*/=1;alert(document.cookie)//"


def bmp_script() -> bytes:
    picture = samples.picture("BMP")
    return picture[:2] + b"/*" + picture[4:] + b"*/=1;alert(1)"


_SVG: Final = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
_HTML: Final = b"<html><body><script>alert(1)</script></body></html>"


DISGUISES: Final = (
    Disguise("windows program", "invoice.pdf", "application/pdf", pe),
    Disguise("windows program in text", "note.txt", "text/plain", pe),
    Disguise("elf stub", "photo.png", "image/png", elf_stub),
    Disguise("mach-o", "clip.mp4", "video/mp4", lambda: b"\xcf\xfa\xed\xfe" + bytes(60)),
    Disguise("java class", "photo.jpg", "image/jpeg", lambda: b"\xca\xfe\xba\xbe\0\0\0\x37"),
    Disguise("android code", "song.mp3", "audio/mpeg", lambda: b"dex\n035\0" + bytes(60)),
    Disguise("program as samples", "tone.pcm", "audio/pcm", pe),
    Disguise("shell script", "note.txt", "text/plain", lambda: b"#!/bin/sh\nrm -rf ~\n"),
    Disguise("marked shell script", "note.txt", "text/plain", lambda: b"\xef\xbb\xbf#!/bin/sh\n"),
    Disguise("python script", "photo.png", "image/png", lambda: b"#!/usr/bin/env python\n1\n"),
    Disguise("batch file", "photo.jpg", "image/jpeg", lambda: b"@echo off\r\ndel *.*\r\n"),
    Disguise("php", "photo.jpg", "image/jpeg", lambda: b"<?php system($_GET['c']); ?>"),
    Disguise("php_in_gif", "photo.gif", "image/gif", lambda: b"GIF89a<?php system('id'); ?>"),
    Disguise("php in a jpeg comment", "p.jpg", "image/jpeg", lambda: jpeg_with(b"<?php a();")),
    Disguise("html", "page.txt", "text/plain", lambda: _HTML),
    Disguise("html as csv", "table.csv", "text/csv", lambda: b"a,b\n1,2\n" + _HTML),
    Disguise("html_pdf", "paper.pdf", "application/pdf", lambda: _HTML + samples.pdf()),
    Disguise(
        "pdf with html",
        "paper.pdf",
        "application/pdf",
        lambda: b"%PDF-1.4\n%" + _HTML + samples.pdf(),
    ),
    Disguise("utf16 script", "note.txt", "text/plain", lambda: _HTML.decode().encode("utf-16")),
    Disguise(
        "utf16 script, no mark", "n.txt", "text/plain", lambda: _HTML.decode().encode("utf-16-be")
    ),
    Disguise("utf32 script", "note.txt", "text/plain", lambda: _HTML.decode().encode("utf-32")),
    Disguise("svg", "drawing.png", "image/png", lambda: _SVG),
    Disguise("svg in text", "drawing.txt", "text/plain", lambda: _SVG),
    Disguise(
        "svg behind a long comment",
        "drawing.txt",
        "text/plain",
        lambda: b"<!--" + b"x" * 9000 + b"-->" + _SVG,
    ),
    Disguise("xml", "note.txt", "text/plain", lambda: b"<?xml version='1.0'?><x:a xmlns:x='y'/>"),
    Disguise("jpeg and html", "photo.jpg", "image/jpeg", lambda: jpeg_with(_HTML)),
    Disguise("html behind a jpeg", "p.jpg", "image/jpeg", lambda: samples.picture("JPEG") + _HTML),
    Disguise(
        "gif and zip", "p.gif", "image/gif", lambda: samples.picture("GIF") + samples.archive()
    ),
    Disguise("gif and javascript", "photo.gif", "image/gif", gif_script),
    Disguise(
        "javascript as gif", "photo.gif", "image/gif", lambda: b"GIF89a=1;alert(1)//" + bytes(9)
    ),
    Disguise("jpeg marker, then php", "p.jpg", "image/jpeg", lambda: b"\xff\xd8\xff<?=`id`?>\x01"),
    Disguise("bmp and javascript", "photo.png", "image/png", bmp_script),
    Disguise("pdf behind junk", "p.pdf", "application/pdf", lambda: b"\1\2" * 450 + samples.pdf()),
    Disguise(
        "java archive",
        "bundle.zip",
        "application/zip",
        lambda: samples.zipped({"META-INF/MANIFEST.MF": b"Main-Class: A\n", "A.class": b"x"}),
    ),
    Disguise(
        "android package",
        "bundle.zip",
        "application/zip",
        lambda: samples.zipped({"AndroidManifest.xml": b"x", "classes.dex": b"dex"}),
    ),
    Disguise(
        "macros in a document",
        "letter.docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        lambda: samples.docx(main="word.document.macroEnabled"),
    ),
    Disguise(
        "macros in a workbook",
        "sheet.xlsx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        lambda: samples.xlsx(main="excel.sheet.macroEnabled", types_last=True),
    ),
    Disguise("noise", "photo.jpg", "image/jpeg", lambda: bytes(range(256)) * 8),
    Disguise("noise as pdf", "paper.pdf", "application/pdf", lambda: b"\1\2\3\4\x8f" * 99),
    Disguise("json", "photo.jpg", "image/jpeg", lambda: b'{"a": [1, 2, 3]}'),
)
