import pytest

from shared.model.media import (
    TYPES,
    by_extension,
    by_name,
    canonical,
    extension,
    is_known_extension,
)


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("IMAGE/JPEG", "image/jpeg"),
        ("image/jpg", "image/jpeg"),
        ("text/plain; charset=utf-8", "text/plain"),
        (" audio/x-wav ", "audio/wav"),
        ("audio/L16;rate=16000", "audio/pcm"),
        ("application/x-zip-compressed", "application/zip"),
        ("video/avi", "video/x-msvideo"),
        ("audio/opus", "audio/ogg"),
        ("model/gltf-binary", "model/gltf-binary"),
    ],
)
def test_every_spelling_of_a_type_has_one_name(said: str, name: str) -> None:
    assert canonical(said) == name


@pytest.mark.parametrize(
    "said", [None, "", " ", "application/octet-stream", "binary/octet-stream; x=y"]
)
def test_not_to_know_is_not_to_declare(said: str | None) -> None:
    assert canonical(said) is None
    assert by_name(said) is None


def test_no_name_stands_for_two_types() -> None:
    names = [name for each in TYPES for name in (each.name, *each.aliases)]

    assert len(names) == len(set(names))
    assert [name for name in names if name != name.lower()] == []


@pytest.mark.parametrize(
    ("filename", "last"),
    [
        ("photo.JPG", "jpg"),
        ("archive.tar.gz", "gz"),
        ("setup.exe. .", "exe"),
        ("setup\uff0eexe", "exe"),
        ("setup.\uff45\uff58\uff45", "exe"),
        ("README", ""),
        ("photo.", ""),
        ("", ""),
    ],
)
def test_an_extension_is_seen_through_its_disguise(filename: str, last: str) -> None:
    assert extension(filename) == last


def test_one_extension_may_stand_for_several_types() -> None:
    assert [each.name for each in by_extension("voice.webm")] == ["video/webm", "audio/webm"]
    assert by_extension("voice") == ()


@pytest.mark.parametrize("filename", ["a.exe", "a.sh", "a.php", "a.svg", "a.rtf", "a.png", "a.css"])
def test_what_stands_for_something_is_known(filename: str) -> None:
    assert is_known_extension(filename)


@pytest.mark.parametrize("filename", ["a", "a.bin", "a.log2", "a.qqq"])
def test_what_stands_for_nothing_is_not_known(filename: str) -> None:
    assert not is_known_extension(filename)
