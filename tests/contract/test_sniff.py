"""What a file is found to be, by libmagic of the host and by the bundled one alike."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.adapters.sniff_magic import MagicSniffer
from shared.errors import Unsupported
from shared.model.container import refine
from shared.model.media import Category
from shared.model.policy import Verdict, decide, default_profile, refuse_declaration, tailored
from shared.ports import Sniffer
from tests.support.disguises import DISGUISES, Disguise
from tests.support.samples import SAMPLES, Sample, heic_head, picture

PROFILE = default_profile()


@pytest.fixture(scope="module", params=["host", "bundled"])
def sniffer(request: pytest.FixtureRequest) -> Sniffer:
    return MagicSniffer(bundled=request.param == "bundled")


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_every_allowed_type_is_recognised_and_accepted(sniffer: Sniffer, sample: Sample) -> None:
    content = sample.make()

    detected = refine(sniffer.sniff(content), content, sample.filename)
    verdict = decide(
        PROFILE,
        detected=detected,
        filename=sample.filename,
        declared=sample.content_type,
        size=len(content),
    )

    assert (verdict.content_type, verdict.category) == (sample.content_type, sample.category)


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_a_profile_without_the_type_refuses_it_and_names_it(
    sniffer: Sniffer, sample: Sample
) -> None:
    content = sample.make()
    profile = tailored(PROFILE, "without", types=PROFILE.types - {sample.content_type})
    detected = refine(sniffer.sniff(content), content, "nameless")

    with pytest.raises(Unsupported) as refusal:
        decide(profile, detected=detected, filename=sample.filename, declared=None, size=1)

    assert sample.content_type not in refusal.value.facts["allowed"]


@pytest.mark.parametrize("disguise", DISGUISES, ids=str)
def test_nothing_dangerous_passes_under_an_innocent_name(
    sniffer: Sniffer, disguise: Disguise
) -> None:
    content = disguise.make()
    detected = refine(sniffer.sniff(content), content, disguise.filename)

    with pytest.raises(Unsupported) as refusal:
        decide(
            PROFILE,
            detected=detected,
            filename=disguise.filename,
            declared=disguise.said,
            size=len(content),
        )

    assert refusal.value.facts["declared"] == disguise.said


@pytest.mark.parametrize(
    ("kind", "filename", "content_type"),
    [
        ("AVIF", "photo.avif", "image/avif"),
        ("TIFF", "scan.tiff", "image/tiff"),
        ("BMP", "drawing.bmp", "image/bmp"),
    ],
)
def test_types_that_are_off_by_default_are_known(
    sniffer: Sniffer, kind: str, filename: str, content_type: str
) -> None:
    content = picture(kind)

    detected = refine(sniffer.sniff(content), content, filename)

    assert detected == content_type


def test_a_picture_of_a_phone_is_known(sniffer: Sniffer) -> None:
    content = heic_head()

    assert refine(sniffer.sniff(content), content, "photo.heic") == "image/heic"


def test_text_that_pretends_to_be_a_paper_is_accepted_as_text(sniffer: Sniffer) -> None:
    content = b"fake pdf content"
    refuse_declaration(PROFILE, filename="test.pdf", declared="application/pdf", size=16)
    detected = refine(sniffer.sniff(content), content, "test.pdf")
    verdict = decide(
        PROFILE, detected=detected, filename="test.pdf", declared="application/pdf", size=16
    )

    assert verdict == Verdict("text/plain", Category.DOCUMENT, "application/pdf")


@pytest.mark.parametrize(
    ("content", "filename", "content_type"),
    [
        (b"#include <stdio.h>\nint main(void) { return 0; }\n", "note.txt", "text/plain"),
        (b"\\documentclass{article}\n\\begin{document}\n", "note.txt", "text/plain"),
        (b'{"a": [1, 2, 3]}', "note.txt", "text/plain"),
        (b'{"a": [1, 2, 3]}', "table.csv", "text/csv"),
        (b"He went\nfrom China import duties rose\n", "note.txt", "text/plain"),
        (b"From: a@example.org\nSubject: hello\n\nHi.\n", "note.txt", "text/plain"),
        (b"id,text\n1,<a href='x'>y</a>\n", "table.csv", "text/csv"),
        ("Grüße, Welt".encode("utf-16"), "note.txt", "text/plain"),
        ("Grüße, Welt".encode("utf-32"), "note.txt", "text/plain"),
        ("Grüße".encode("utf-8-sig"), "note.txt", "text/plain"),
        ("Grüße aus Köln".encode("latin-1"), "note.txt", "text/plain"),
        (("é" * 9000).encode()[:8191], "note.txt", "text/plain"),
        (b"name;value\r\nx;1\r\n", "notes", "text/plain"),
        (bytes(4000), "silence.pcm", "audio/pcm"),
        (b"\x80" * 4000, "silence.pcm", "audio/pcm"),
    ],
)
def test_text_and_samples_are_called_by_their_name(
    sniffer: Sniffer, content: bytes, filename: str, content_type: str
) -> None:
    detected = refine(sniffer.sniff(content), content, filename)
    verdict = decide(PROFILE, detected=detected, filename=filename, declared=None, size=1)

    assert verdict.content_type == content_type


def test_threads_share_a_sniffer(sniffer: Sniffer) -> None:
    samples = [picture("PNG"), picture("GIF"), picture("JPEG"), b"%PDF-1.4\n%"] * 50

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(sniffer.sniff, samples))

    assert found == ["image/png", "image/gif", "image/jpeg", "application/pdf"] * 50


def test_only_eight_kib_are_looked_at(sniffer: Sniffer) -> None:
    content = b"\1\2\3\4" * 2048 + b"%PDF-1.4"

    assert sniffer.sniff(content) == sniffer.sniff(content[:8192])


def test_no_bytes_are_no_type_that_is_allowed(sniffer: Sniffer) -> None:
    assert sniffer.sniff(b"") not in PROFILE.types


def test_the_bundled_library_leaves_no_trace_for_child_processes() -> None:
    code = (
        "import ctypes, os; before = dict(os.environ), ctypes.CDLL.__init__\n"
        "from shared.adapters.sniff_magic import MagicSniffer\n"
        "assert MagicSniffer(bundled=True).sniff(b'GIF89a') == 'image/gif'\n"
        "assert before == (dict(os.environ), ctypes.CDLL.__init__)\n"
    )

    environment = {"PATH": os.defpath, "LD_LIBRARY_PATH": "/nowhere"}
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, check=False
    )

    assert run.returncode == 0, run.stderr.decode()


def test_what_libmagic_chokes_on_is_nothing_known() -> None:
    sniffer = MagicSniffer()
    sniffer._cookie = Choking(sniffer._magic.MagicException("regex error"))

    assert sniffer.sniff(b"x") == "application/octet-stream"


class Choking:
    def __init__(self, error: Exception) -> None:
        self._error = error

    def from_buffer(self, _head: bytes) -> str:
        raise self._error
