"""Names and keys: what a client calls a file never becomes a path."""

import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from uuid_utils.compat import uuid7

from shared.errors import Unprocessable
from shared.model.naming import (
    MAX_FOLDER_BYTES,
    MAX_NAME_BYTES,
    clean_filename,
    clean_folder,
    object_key,
    thumbnail_key,
)

NOW = datetime(2026, 11, 21, tzinfo=UTC)
MAX_KEY_BYTES = 1024  # S3's
NAMES = st.one_of(
    st.text(max_size=300),
    st.text(alphabet="./\\ aä\u202e\x00~%", max_size=40),
    st.text(alphabet="ab.", min_size=100, max_size=250),
)


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


@given(NAMES, st.one_of(st.none(), NAMES, st.text(alphabet="a./", max_size=600)))
def test_a_key_is_plain_bounded_and_of_its_upload_alone(said: str, folder: str | None) -> None:
    name, path = cleaned(said), folded(folder)
    upload_id = str(uuid7())

    key = object_key(upload_id, name, path, NOW)

    parts = key.split("/")
    assert key.isascii()
    assert key.isprintable()
    assert ".." not in key
    assert not {"", ".", ".."} & set(parts)
    assert not set(key) & set("\\ ?#%&+")
    assert len(key.encode()) <= MAX_KEY_BYTES
    assert parts[-1].startswith(f"{upload_id}_")
    assert object_key(str(uuid7()), name, path, NOW) != key
    assert object_key(upload_id, name, path, NOW) == key
    assert parts[:-1] == ["2026", "11", "21"] if path is None else len(parts) > 1


@given(st.text(alphabet="ab.ä", min_size=1, max_size=250))
def test_a_key_keeps_a_short_extension(stem: str) -> None:
    assume(len(f"{stem}.tar".encode()) <= MAX_NAME_BYTES)

    key = object_key("id", clean_filename(f"{stem}.tar"), None, NOW)

    assert key.endswith(".tar")
    assert len(key.rpartition("/")[2]) <= len("id_") + 120


def test_keys_of_thumbnails_are_those_of_their_file() -> None:
    assert thumbnail_key("id", "small") == "thumbnails/id/small.webp"


def cleaned(said: str) -> str:
    try:
        return clean_filename(said)
    except Unprocessable:
        assume(False)  # its signature
        raise


def folded(said: str | None) -> str | None:
    try:
        folder = clean_folder(said)
    except Unprocessable:
        assume(False)  # its signature
        raise
    assert folder is None or len(folder.encode()) <= MAX_FOLDER_BYTES
    return folder
