"""What the bytes say where libmagic is silent, and where it is not believed."""

import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model.container import EMPTY, refine
from shared.model.media import SHEET, SLIDES, WORD
from tests.support.disguises import jpeg_with
from tests.support.samples import SAMPLES, Sample, heic_head, mp3, tone
from tests.support.samples_office import compound, docx, xlsx, zipped
from tests.support.samples_video import m4a, mp4, ogg_page, webm

SILENT = "application/octet-stream"
DOC, XLS = "application/msword", "application/vnd.ms-excel"
BARE_FRAMES = {"untagged.mp3", "song.mpga", "song.mpeg", "clip.mpeg"}
RECOGNISED = [each for each in SAMPLES if each.filename not in BARE_FRAMES]


@pytest.mark.parametrize("sample", RECOGNISED, ids=str)
def test_most_types_are_recognised_without_libmagic(sample: Sample) -> None:
    detected = refine(SILENT, sample.make(), sample.filename)

    assert detected in {sample.content_type, "text/plain", SILENT}
    assert (detected == sample.content_type) == (sample.filename not in {"table.csv", "tone.pcm"})


@pytest.mark.parametrize(
    "sniffed",
    ["application/pdf", "image/gif", "image/jpeg", "audio/wav", "audio/AMR", "audio/x-aiff"],
)
def test_libmagic_is_not_believed_about_a_beginning_that_is_not_there(sniffed: str) -> None:
    assert refine(sniffed, b"\1\2\3\4" * 20, "file") == SILENT


def test_libmagic_is_believed_about_what_is_not_ours_to_know() -> None:
    assert refine("audio/midi", b"MThd\0\0\0\6", "file") == "audio/midi"
    assert refine("audio/mpeg", mp3(), "song") == "audio/mpeg"


def test_samples_that_look_like_something_by_chance_are_samples() -> None:
    assert refine("image/x-tga", tone(), "tone.pcm") == SILENT
    assert refine("image/x-tga", tone(), "tone.tga") == "image/x-tga"


def test_an_empty_file_is_what_its_name_says() -> None:
    assert refine("application/x-empty", b"", "note.txt") == "text/plain"
    assert refine("application/x-empty", b"", "clip.mp4") == "video/mp4"
    assert refine("inode/x-empty", b"", "file") == EMPTY


@pytest.mark.parametrize("types_last", [False, True])
@pytest.mark.parametrize("filename", ["letter.docx", "bundle.zip", "nameless"])
def test_office_packages_are_told_from_archives(filename: str, *, types_last: bool) -> None:
    assert refine("application/zip", docx(types_last=types_last), filename) == WORD
    assert refine("application/zip", xlsx(types_last=types_last), filename) == SHEET


def test_a_package_is_known_by_its_parts_when_its_list_of_types_is_far() -> None:
    parts = {"xl/worksheets/sheet1.xml": bytes(range(256)) * 400, "[Content_Types].xml": b"x"}

    assert refine(SILENT, zipped(parts, zipfile.ZIP_STORED)[: 64 * 1024], "sheet.xlsx") == SHEET


def test_a_package_whose_parts_are_far_goes_by_its_name() -> None:
    parts = {"docProps/thumbnail.jpeg": bytes(range(256)) * 400, "word/document.xml": b"x"}
    head = zipped(parts, zipfile.ZIP_STORED)[: 64 * 1024]

    assert refine(SILENT, head, "letter.docx") == WORD
    assert refine(SILENT, head, "letter.zip") == "application/zip"


def test_slides_are_a_package_too() -> None:
    assert refine(SILENT, zipped({"ppt/presentation.xml": b"<p/>"}), "talk.pptx") == SLIDES


@pytest.mark.parametrize(
    ("entries", "kind"),
    [
        ({"word/notes.txt": b"x", "xl/a.png": b"y"}, "application/zip"),
        ({"inner.docx": docx()}, "application/zip"),
        ({"mimetype": b"image/png"}, "application/zip"),
        ({"mimetype": b"application/epub+zip"}, "application/epub+zip"),
        (
            {"mimetype": b"application/vnd.oasis.opendocument.text"},
            "application/vnd.oasis.opendocument.text",
        ),
        (
            {"word/document.xml": b"x", "word/vbaProject.bin": b"y"},
            "application/vnd.ms-word.document.macroenabled.12",
        ),
    ],
)
def test_an_archive_is_what_its_entries_make_it(entries: dict[str, bytes], kind: str) -> None:
    assert refine(SILENT, zipped(entries, zipfile.ZIP_STORED), "bundle.zip") == kind


def test_an_empty_archive_is_an_archive() -> None:
    assert refine(SILENT, zipped({}), "bundle.zip") == "application/zip"


def test_entries_written_as_a_stream_are_walked() -> None:
    written = streamed("[Content_Types].xml", b"<Types/>") + streamed("xl/workbook.xml", b"<x/>")

    assert refine(SILENT, written + b"PK\x01\x02", "file") == SHEET
    assert refine(SILENT, streamed("notes.txt", b"a note"), "file") == "application/zip"


def test_a_damaged_list_of_types_is_no_error() -> None:
    damaged = zipped({"[Content_Types].xml": b"<Types/>" * 9, "word/document.xml": b"x"})
    place = damaged.index(b"[Content_Types].xml") + 19
    damaged = damaged[:place] + b"\xff\xff\xff" + damaged[place + 3 :]

    assert refine(SILENT, damaged, "letter.docx") == WORD


@pytest.mark.parametrize("far_directory", [False, True])
@pytest.mark.parametrize(
    ("stream", "filename", "kind"),
    [("WordDocument", "letter.doc", DOC), ("Workbook", "sheet.xls", XLS), ("Book", "a.xls", XLS)],
)
def test_compound_files_are_told_apart(
    stream: str, filename: str, kind: str, *, far_directory: bool
) -> None:
    content = compound(stream, b"x", far_directory=far_directory)

    assert refine("application/x-ole-storage", content, filename) == kind
    assert refine("application/CDFV2", content, filename) == kind


def test_a_compound_file_of_nothing_known_is_only_that() -> None:
    content = compound("Something", b"x")

    assert refine("application/x-ole-storage", content, "a.bin") == "application/x-ole-storage"
    assert refine("application/vnd.visio", content, "a.doc") == "application/vnd.visio"


def test_the_directory_counts_and_not_words_in_the_text() -> None:
    content = compound("Workbook", b"x" * 7 + "WordDocument".encode("utf-16-le") + b"\0\0")

    assert refine(SILENT, content, "sheet.xls") == XLS


def test_an_encrypted_package_goes_by_its_name() -> None:
    content = compound("EncryptedPackage", b"x")

    assert refine("application/encrypted", content, "letter.docx") == WORD
    assert refine("application/encrypted", content, "letter.doc") == "application/x-ole-storage"


def test_an_installer_is_no_document() -> None:
    content = bytearray(compound("WordDocument", b"x"))
    root = content.index("Root Entry".encode("utf-16-le"))
    content[root + 80 : root + 96] = bytes.fromhex("84100c0000000000c000000000000046")

    assert refine(SILENT, bytes(content), "letter.doc") == "application/x-msi"


@pytest.mark.parametrize(
    ("content", "filename", "kind"),
    [
        (mp4(brand=b"mp42", handlers=(b"soun",)), "voice.mp4", "audio/mp4"),
        (mp4(brand=b"M4A ", handlers=(b"vide",)), "clip.m4a", "video/mp4"),
        (m4a()[:40], "song.m4a", "audio/mp4"),
        (mp4()[:40], "voice.m4a", "audio/mp4"),
        (mp4()[:40], "clip.mp4", "video/mp4"),
        (mp4(handlers=()), "clip.mp4", "video/mp4"),
        (b"\0\0\0\x14ftyp3gp5\0\0\0\0mp42", "clip.mp4", "video/mp4"),
        (b"\0\0\0\x14ftyp3gp5\0\0\0\0mp42", "clip.3gp", "video/3gpp"),
        (b"\0\0\0\x14ftyp3gp5\0\0\0\x003gp4", "clip", "video/3gpp"),
        (b"\0\0\0\x14ftyp3gp5\0\0\0\x003gp4", "voice.3ga", "audio/3gpp"),
        (mp4(brand=b"3gp4", handlers=(b"soun",)), "voice.3gp", "audio/3gpp"),
        (mp4(brand=b"3gp4", handlers=(b"soun", b"vide")), "clip.3gp", "video/3gpp"),
        (b"\0\0\0\x14ftypisom\0\0\0\0isom\0\0\0\1mdat", "clip.mp4", "video/mp4"),
        (b"\0\0\0\x14ftypavif\0\0\0\0mif1", "photo", "image/avif"),
        (b"\0\0\0\x14ftypmif1\0\0\0\0avif", "photo", "image/avif"),
        (b"\0\0\0\x14ftypmif1\0\0\0\0heic", "photo", "image/heic"),
        (b"\0\0\0\x14ftypmif1\0\0\0\0miaf", "photo", "image/heif"),
        (b"\0\0\0\x14ftypjp2 \0\0\0\0jp2 ", "photo", SILENT),
        (b"\0\0\1\0moov", "clip.mov", "video/quicktime"),
        (heic_head(), "photo", "image/heic"),
    ],
)
def test_brands_and_tracks_decide_about_iso_media(content: bytes, filename: str, kind: str) -> None:
    assert refine(SILENT, content, filename) == kind


@pytest.mark.parametrize(
    ("content", "filename", "kind"),
    [
        (webm("A_OPUS"), "clip.webm", "audio/webm"),
        (webm("V_VP8"), "voice.webm", "video/webm"),
        (webm("A_OPUS", "V_VP8"), "clip.webm", "video/webm"),
        (webm(), "clip.webm", "video/webm"),
        (webm(), "voice.weba", "audio/webm"),
        (webm("V_VP8", kind=b"matroska"), "clip.mkv", "video/x-matroska"),
        (webm("V_VP8", kind=b"other"), "clip.webm", SILENT),
        (webm("A_OPUS")[:60], "clip.webm", "video/webm"),
        (b"\x1a\x45\xdf\xa3\x00\x01", "clip.webm", SILENT),
        (b"\x1a\x45\xdf\xa3", "clip.webm", SILENT),
        (b"\x1a\x45\xdf\xa3\x81\x00\x00\x00", "clip.webm", SILENT),
    ],
)
def test_tracks_decide_about_webm(content: bytes, filename: str, kind: str) -> None:
    assert refine(SILENT, content, filename) == kind


def test_padding_between_elements_is_stepped_over() -> None:
    void = b"\xec\x82\0\0"
    content = webm("A_OPUS")
    tracks = content.index(b"\x16\x54\xae\x6b")
    segment = content.index(b"\x18\x53\x80\x67")
    padded = bytearray(content[:segment] + void + content[segment:])
    inner = content[tracks + 5 :]
    padded[segment + 4 :] = (
        b"\x18\x53\x80\x67\xff" + content[tracks : tracks + 4] + b"\xff" + void + inner
    )

    assert refine(SILENT, bytes(padded), "voice.webm") == "audio/webm"


def test_a_recorder_that_does_not_know_the_size_is_understood() -> None:
    known = webm("A_OPUS")
    place = known.index(b"\x18\x53\x80\x67") + 4
    live = known[:place] + b"\x01" + b"\xff" * 7 + known[place + 1 :]

    assert refine(SILENT, live, "voice.webm") == "audio/webm"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (ogg_page(2, 0, 0, b"\x01vorbis"), "audio/ogg"),
        (ogg_page(2, 0, 0, b"\x80theora"), "video/ogg"),
        (b"RIFX\0\0\x0d\xfaWAVE", "audio/wav"),
        (b"RF64\xff\xff\xff\xffWAVE", "audio/wav"),
        (b"RIFF\0\0\0\0ACON", SILENT),
        (b"fLaC\0\0\0\x22", "audio/flac"),
        (b"ID3\4\0\0\0\0\0\2\0\0fLaC", "audio/flac"),
        (b"ID3\4\0\0\0\0\0\2\0\0\xff\xf1\x50", "audio/aac"),
        (b"ID3\4\0\0\0\0\0\2\0\0\xff\xfb\x50", "audio/mpeg"),
        (b"ID3\4\0\0\x7f\x7f\x7f\x7f\0\0", "audio/mpeg"),
        (b"ID3", "text/plain"),
    ],
)
def test_sounds_are_known_by_how_they_begin(content: bytes, kind: str) -> None:
    assert refine(SILENT, content, "file") == kind


def test_a_picture_may_speak_of_much_but_not_be_a_script() -> None:
    innocent = jpeg_with(b"<x:xmpmeta>a < b, heads & bodies</x:xmpmeta>")

    assert refine("image/jpeg", innocent, "photo.jpg") == "image/jpeg"
    assert refine("image/jpeg", jpeg_with(b"<SCRIPT>"), "photo.jpg") == "application/x-polyglot"


def test_a_sound_may_carry_words_further_on() -> None:
    tagged = b"ID3\4\0\0\0\0\x20\0" + bytes(4000) + b"<html>" + bytes(200)

    assert refine("audio/mpeg", tagged, "song.mp3") == "audio/mpeg"
    assert refine("audio/mpeg", tagged[:10] + b"<html>", "song.mp3") == "application/x-polyglot"


def test_a_script_guessed_from_a_word_stays_one_unless_the_name_says_text() -> None:
    guess = b"def main():\n    pass\n"

    assert refine("text/x-script.python", guess, "photo.jpg") == "text/x-script.python"
    assert refine("text/x-script.python", guess, "note.txt") == "text/plain"
    assert refine("text/x-c", guess, "photo.jpg") == "text/plain"


@pytest.mark.parametrize(
    "sniffed", ["application/javascript", "text/x-msdos-batch", "image/svg+xml", "text/x-php"]
)
def test_a_script_stays_one_whatever_its_name(sniffed: str) -> None:
    assert refine(sniffed, b"whatever it says", "note.txt") == sniffed


@pytest.mark.parametrize("sniffed", ["text/plain", "text/html"])
@pytest.mark.parametrize(
    ("content", "filename"),
    [
        (b"use <b> here", "note.txt"),
        (b"a < b", "note.txt"),
        (b"The page begins with <html>, and <script> comes later.\n", "note.txt"),
        (b"what <?php does\n", "note.txt"),
        (b"# Pages\n\nWrite `<body>` once.\n", "README.md"),
        ("Schreib <head> einmal".encode("utf-16"), "note.txt"),
    ],
)
def test_prose_may_speak_of_markup(sniffed: str, content: bytes, filename: str) -> None:
    assert refine(sniffed, content, filename) in {"text/plain", "text/markdown"}


@pytest.mark.parametrize(
    ("content", "filename"),
    [
        (b"Hello\n<script>alert(1)</script>", "note.txt"),
        (b"Hello\n \t<html>", "note.txt"),
        (b"Hello\r<svg onload=alert(1)>", "note.txt"),
        (b"<b>Hello</b><script>alert(1)</script>", "note.txt"),
        (b"a,b\n1,2\n<body>", "table.csv"),
        (b"see <script>alert(1)</script>", "photo.jpg"),
        (b"see <script>alert(1)</script>", "note"),
        ("Hallo\n<html>".encode("utf-16"), "note.txt"),
    ],
)
def test_markup_that_begins_a_line_or_the_text_is_markup(content: bytes, filename: str) -> None:
    assert refine("text/plain", content, filename) in {"text/html", "image/svg+xml"}


def test_text_with_no_end_of_a_character_is_text() -> None:
    assert refine(SILENT, "é".encode()[:1] * 1 + b"x", "note") == "text/plain"
    assert refine(SILENT, "x€".encode()[:-1], "tone.pcm") == "text/plain"
    assert refine(SILENT, "ab".encode("utf-16")[:-1], "note") == "text/plain"
    assert refine(SILENT, "a\0b".encode("utf-16"), "note") == SILENT
    assert refine(SILENT, b"\xff\xfe\0\xd8x\0", "note") == SILENT


@pytest.mark.parametrize(
    ("before", "kind"),
    [
        (b"", "application/pdf"),
        (b"\xef\xbb\xbf", "application/pdf"),
        (b"\r\n\r\n", "application/pdf"),
        (b"\n" * 33, "text/plain"),
        (b"x\n", "text/plain"),
        (b"<script>\n", "text/html"),
    ],
)
def test_nothing_but_blanks_may_stand_before_a_paper(before: bytes, kind: str) -> None:
    assert refine("text/plain", before + b"%PDF-1.7\n", "paper.pdf") == kind


@given(st.binary(max_size=300), st.text(max_size=20), st.sampled_from([SILENT, "text/plain", ""]))
def test_no_bytes_are_an_error(content: bytes, filename: str, sniffed: str) -> None:
    assert refine(sniffed, content, filename)


@given(st.sampled_from(SAMPLES), st.data())
def test_a_damaged_file_is_not_an_error(sample: Sample, data: st.DataObject) -> None:
    content = bytearray(sample.make()[:2000])
    for _ in range(3):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))

    assert refine(SILENT, bytes(content), sample.filename)


def streamed(name: str, content: bytes) -> bytes:
    """Return an entry whose sizes follow its content."""
    header = struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 20, 8, 0, 0, 0, 0, 0, 0, len(name), 0)
    descriptor = struct.pack("<4sIII", b"PK\7\x08", 0, len(content), len(content))
    return header + name.encode() + content + descriptor
