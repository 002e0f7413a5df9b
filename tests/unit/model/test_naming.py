"""Names and keys: what a client calls a file never becomes a path."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Unprocessable
from shared.model.naming import (
    MAX_NAME_BYTES,
    clean_filename,
    clean_folder,
    end_of_prefix,
    thumbnail_key,
)
from tests.support.names import NAMES, cleaned


@pytest.mark.parametrize(
    ("said", "clean"),
    [
        ("report.pdf", "report.pdf"),
        ("报告.pdf", "报告.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\photo.jpg", "photo.jpg"),
        (" spaced .txt ", "spaced .txt"),
        ("a\r\nb\x00.txt", "ab.txt"),
        ("gpj\u202e.exe", "gpj.exe"),
        ("e\u0301.txt", "é.txt"),
        ("e\u200d\u0301.txt", "é.txt"),
        (".htaccess", ".htaccess"),
        ("a" * 251 + ".txt", "a" * 251 + ".txt"),
    ],
)
def test_a_name_is_the_last_visible_part(said: str, clean: str) -> None:
    assert clean_filename(said) == clean


@pytest.mark.parametrize(
    "said", ["", " ", ".", "..", "...", "a/", "a/..", "\x00", "\u200b", "a" * 256, "ä" * 128]
)
def test_what_is_no_name_is_refused(said: str) -> None:
    with pytest.raises(Unprocessable) as refusal:
        clean_filename(said)

    assert refusal.value.facts["errors"][0]["pointer"] == "/filename"


@given(NAMES)
def test_a_clean_name_is_a_fixed_point_and_no_path(said: str) -> None:
    name = cleaned(said)

    assert clean_filename(name) == name
    assert not set(name) & set("/\\\r\n\0")
    assert not any(unicodedata.category(char).startswith("C") for char in name)
    assert unicodedata.is_normalized("NFC", name)
    assert 0 < len(name.encode()) <= MAX_NAME_BYTES


@pytest.mark.parametrize(
    ("said", "clean"),
    [
        (None, None),
        ("", None),
        ("/", None),
        ("a/b", "a/b"),
        ("/a//b/./c/", "a/b/c"),
        ("ä/报告", "ä/报告"),
        ("a/.hidden", "a/.hidden"),
        ("a/" + "b" * 200, "a/" + "b" * 200),
    ],
)
def test_a_folder_is_a_path_without_detours(said: str | None, clean: str | None) -> None:
    assert clean_folder(said) == clean


@pytest.mark.parametrize(
    "said",
    [
        "..",
        "a/../b",
        "a/..",
        ".\x00./b",
        "...",
        "a\\b",
        "a/ b",
        "a /b",
        "a/" + "b" * 201,
        "ä" * 101,
        "/".join(["a" * 200] * 3),
    ],
)
def test_what_is_no_folder_is_refused(said: str) -> None:
    with pytest.raises(Unprocessable) as refusal:
        clean_folder(said)

    assert refusal.value.facts["errors"][0]["pointer"] == "/folder"


def test_keys_of_thumbnails_are_those_of_their_file() -> None:
    assert thumbnail_key("id", "small") == "thumbnails/id/small.webp"


@pytest.mark.parametrize(
    ("prefix", "end"),
    [
        ("", None),
        ("a", "b"),
        ("ab/", "ab0"),
        ("a\U0010ffff", "b"),
        ("\U0010ffff", None),
        ("\ud7ff", "\ue000"),
    ],
)
def test_the_end_of_a_prefix_is_what_comes_next(prefix: str, end: str | None) -> None:
    assert end_of_prefix(prefix) == end


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@given(_TEXT, _TEXT)
def test_all_that_begins_with_a_prefix_and_nothing_else_lies_before_its_end(
    prefix: str, other: str
) -> None:
    end = end_of_prefix(prefix)

    for text in (other, prefix + other):
        lies_within = text >= prefix and (end is None or text.encode() < end.encode())
        assert lies_within == text.startswith(prefix)
