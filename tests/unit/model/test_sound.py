"""Sounds that no container tells of: by their heads, and behind what some encoders put first."""

from collections.abc import Callable

import pytest

from shared.model.container import refine
from tests.support.samples import mp3, tagged_mp3
from tests.support.samples_sound import aiff, amr, wma

SILENT = "application/octet-stream"
SLOW = b"\xff\xf3\x44\xc4" + bytes(92)  # MPEG-2 layer III, 32 kbit/s, 24 kHz


@pytest.mark.parametrize(
    ("content", "filename", "kind"),
    [
        (amr(), "voice.amr", "audio/amr"),
        (amr(b"#!AMR-WB\n"), "voice.awb", "audio/amr"),
        (amr(b"#!AMR_MC1.0\n\0\0\0\2"), "voice.amr", "audio/amr"),
        (aiff(), "take.aiff", "audio/aiff"),
        (aiff(b"AIFC"), "take.aif", "audio/aiff"),
        (wma(), "song.wma", "audio/x-ms-wma"),
        (wma(pictures=True), "song.wma", "video/x-ms-asf"),
        (wma()[:30], "song.wma", "video/x-ms-asf"),
    ],
)
def test_what_recorders_write_is_known(content: bytes, filename: str, kind: str) -> None:
    assert refine(SILENT, content, filename) == kind
    assert refine(SILENT, content, "nameless") == kind


@pytest.mark.parametrize(
    "content",
    [
        b"#!AMR\n",
        b"#!AMR\nrm -rf ~\n",
        b"#!AMR\n" + b"\x3c" * 60,
        b"#!AMR\n\xff\xfe\x00",
        b"#!AMR-WB -e\n\x00\x00",
        b"#!/bin/AMR\n\x00",
    ],
)
def test_a_script_is_no_voice(content: bytes) -> None:
    assert refine("audio/AMR", content, "voice.amr") == "text/x-shellscript"


@pytest.mark.parametrize("padding", [1, 500, 5000, 60_000])
@pytest.mark.parametrize("make", [mp3, tagged_mp3, lambda: SLOW * 3])
def test_zeros_may_stand_before_the_frames(padding: int, make: Callable[[], bytes]) -> None:
    content = bytes(padding) + make()

    assert refine(SILENT, content, "song.mp3") == "audio/mpeg"
    assert refine(SILENT, content, "song.txt") == SILENT


@pytest.mark.parametrize(
    "rest",
    [
        b"",
        b"\xff\xfb",
        mp3(1),
        mp3(1) + b"noise",
        b"\x01" + mp3(),
        b"\xff\xfb\xf0\xc4" * 300,
        b"\xff\xfb\x9c\xc4" * 300,
        b"\xff\xeb\x90\xc4" * 300,
        b"\xff\xfd\x90\xc4" * 300,
    ],
)
def test_zeros_before_anything_else_are_nothing(rest: bytes) -> None:
    assert refine(SILENT, bytes(400) + rest, "song.mp3") == SILENT


def test_zeros_hide_no_markup() -> None:
    content = bytes(100) + mp3(2)[:60] + b"<script>" + mp3()

    assert refine(SILENT, content, "song.mp3") in {SILENT, "text/html", "application/x-polyglot"}
