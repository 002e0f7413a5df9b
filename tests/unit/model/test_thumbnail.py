import pytest

from shared.model.thumbnail import DEFAULT_SPECS, ThumbnailSpec, parse


def test_the_default_is_what_its_text_says() -> None:
    assert parse("small=150,medium=400,large=1024") == DEFAULT_SPECS


def test_blanks_around_names_and_sizes_do_not_count() -> None:
    assert parse(" icon = 32 , ") == (ThumbnailSpec("icon", 32),)


def test_nothing_means_no_thumbnails() -> None:
    assert parse("") == ()


@pytest.mark.parametrize(
    "text",
    ["small", "small=", "small=-1", "small=0", "small=1.5", "small=16384", "small=\u0664", "=10"],
)
def test_a_size_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"pixels|name"):
        parse(text)


@pytest.mark.parametrize("name", ["", "../x", "Small", "a/b", "1st", "x" * 33, "a\n"])
def test_a_name_that_cannot_stand_in_a_url_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a thumbnail"):
        ThumbnailSpec(name, 100)


def test_a_name_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="named twice: a"):
        parse("a=1,b=2,a=3")
