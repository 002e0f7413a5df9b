"""What an operator lists is allowed and nothing else, in the spelling of the documents."""

from typing import Any

import pytest

from shared.errors import TooLarge, Unsupported
from shared.model.media import Category
from shared.model.narrowing import narrowed
from shared.model.policy import MIB, Profile, decide, default_profile

EXTENSIONS = ["jpg", "jpeg", "png", "gif", "pdf", "doc", "docx", "xls", "xlsx", "txt", "csv", "zip"]
TYPES = [
    "image/jpeg",
    "image/png",
    "image/gif",
    "application/pdf",
    "application/msword",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.ms-excel",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "text/plain",
    "text/csv",
    "application/zip",
]


def accepts(profile: Profile, filename: str, detected: str, size: int = 10) -> bool:
    try:
        decide(profile, detected=detected, filename=filename, declared=None, size=size)
    except (Unsupported, TooLarge):
        return False
    return True


def test_what_is_not_said_stays_as_it_is() -> None:
    assert narrowed(default_profile()) == default_profile()


def test_the_lists_of_the_document_are_understood() -> None:
    profile = narrowed(default_profile(), types=TYPES, extensions=EXTENSIONS, most=100 * MIB)

    assert profile.types == frozenset(TYPES)
    assert profile.extensions == frozenset(EXTENSIONS)
    assert set(profile.max_sizes.values()) == {100 * MIB}
    assert accepts(profile, "a.pdf", "application/pdf")
    assert accepts(profile, "a.zip", "application/zip")
    assert not accepts(profile, "a.mp4", "video/mp4")
    assert not accepts(profile, "a.webp", "image/webp")


@pytest.mark.parametrize("said", [["PNG", ".Pdf"], ["png", "pdf"]])
def test_extensions_alone_stand_for_their_types(said: list[str]) -> None:
    profile = narrowed(default_profile(), extensions=said)

    assert profile.types == {"image/png", "application/pdf"}
    assert accepts(profile, "a.png", "image/png")
    assert not accepts(profile, "a.txt", "image/png")
    assert not accepts(profile, "a.gif", "image/gif")


def test_an_extension_outside_the_profile_is_let_in_by_its_name() -> None:
    assert not accepts(default_profile(), "a.tif", "image/tiff")

    assert accepts(narrowed(default_profile(), extensions=["tif"]), "a.tif", "image/tiff")


def test_types_alone_leave_the_names_free() -> None:
    profile = narrowed(default_profile(), types=["image/jpg"])

    assert (set(profile.types), profile.extensions) == ({"image/jpeg"}, None)
    assert accepts(profile, "a.jpeg", "image/jpeg")
    assert accepts(profile, "photo", "image/jpeg")
    assert not accepts(profile, "a.png", "image/png")


def test_a_size_lowers_limits_and_raises_none() -> None:
    default = default_profile({Category.IMAGE: 5 * MIB})

    profile = narrowed(default, most=50 * MIB)

    assert profile.max_sizes[Category.IMAGE] == 5 * MIB
    assert profile.max_sizes[Category.VIDEO] == 50 * MIB
    assert accepts(profile, "a.pdf", "application/pdf", 50 * MIB)
    assert not accepts(profile, "a.pdf", "application/pdf", 50 * MIB + 1)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"types": ["image/png", "image/nothing", "png"]}, "image/nothing, png"),
        ({"extensions": ["png", "nothing"]}, ".nothing"),
        ({"extensions": ["tar.gz"]}, ".tar.gz"),
        ({"extensions": ["*"]}, r".\*"),
    ],
)
def test_what_nobody_knows_is_named(said: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        narrowed(default_profile(), **said)
