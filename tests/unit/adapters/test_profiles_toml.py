from pathlib import Path

import pytest

from shared.adapters.profiles_toml import load_profiles
from shared.model.media import Category
from shared.model.policy import DEFAULT, Profile, decide, default_profile

DEFAULTS = default_profile()


def load(folder: Path, text: str) -> dict[str, Profile]:
    path = folder / "profiles.toml"
    path.write_text(text, encoding="utf-8")
    return load_profiles(path, DEFAULTS)


def test_without_a_file_there_is_the_default() -> None:
    assert load_profiles(None, DEFAULTS) == {"default": DEFAULTS}


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    assert load(tmp_path, "") == {"default": DEFAULTS}


def test_a_profile_lists_its_types_in_any_spelling(tmp_path: Path) -> None:
    profiles = load(tmp_path, 'profiles.avatars.types = ["image/PNG", "image/jpg"]')

    assert profiles["avatars"].types == {"image/png", "image/jpeg"}
    assert profiles["avatars"].max_sizes == DEFAULT
    assert profiles["avatars"].name == "avatars"


def test_a_profile_keeps_categories_and_adds_and_removes(tmp_path: Path) -> None:
    profiles = load(
        tmp_path,
        """
        [profiles.pictures]
        categories = ["image"]
        add = ["image/tiff"]
        remove = ["image/gif"]
        """,
    )

    assert profiles["pictures"].types == {"image/png", "image/jpeg", "image/webp", "image/tiff"}


def test_a_profile_extends_another_wherever_it_stands(tmp_path: Path) -> None:
    profiles = load(
        tmp_path,
        """
        [profiles.small]
        extends = "pictures"
        max_size.image = "5MB"
        [profiles.pictures]
        categories = ["image"]
        extensions = [".PNG", "jpg"]
        """,
    )

    assert profiles["small"].types == profiles["pictures"].types
    assert profiles["small"].extensions == frozenset({"png", "jpg"})
    assert profiles["small"].max_sizes[Category.IMAGE] == 5_000_000
    assert profiles["pictures"].max_sizes[Category.IMAGE] == DEFAULT[Category.IMAGE]


def test_the_default_may_be_changed_for_all(tmp_path: Path) -> None:
    profiles = load(
        tmp_path,
        """
        [profiles.default]
        remove = ["application/zip"]
        [profiles.open]
        add = ["image/avif"]
        """,
    )

    assert profiles["default"].types == DEFAULTS.types - {"application/zip"}
    assert profiles["open"].types == profiles["default"].types | {"image/avif"}


def test_a_type_that_nobody_knows_is_described(tmp_path: Path) -> None:
    profiles = load(
        tmp_path,
        """
        [types."model/gltf-binary"]
        category = "document"
        extensions = ["glb"]
        aliases = ["model/x-GLB"]
        [profiles.models]
        types = ["model/x-glb"]
        """,
    )

    verdict = decide(
        profiles["models"],
        detected="application/octet-stream",
        filename="cube.glb",
        declared=None,
        size=1,
    )

    assert verdict.content_type == "model/gltf-binary"
    assert "model/gltf-binary" not in profiles["default"].types


@pytest.mark.parametrize(
    ("said", "size"),
    [
        ("700", 700),
        ('"700"', 700),
        ('"700 B"', 700),
        ('"5KB"', 5_000),
        ('"5 MB"', 5_000_000),
        ('"1.5m"', 1_500_000),
        ('"5KiB"', 5 * 1024),
        ('"5mib"', 5 * 1024**2),
        ('"2Gi"', 2 * 1024**3),
        ('"1TB"', 10**12),
    ],
)
def test_sizes_are_numbers_or_words(tmp_path: Path, said: str, size: int) -> None:
    profiles = load(tmp_path, f"profiles.a.max_size = {said}")

    assert set(profiles["a"].max_sizes.values()) == {size}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("profiles = 1", "profiles: holds tables"),
        ("profiles.a = 1", "profiles: holds tables"),
        ("profile.a.types = []", "profile: unknown key; there are profiles, types"),
        ("profiles.a.type = []", "profile a: type: unknown key"),
        ('profiles.default.extends = "a"', "profile default: extends: unknown key"),
        ('profiles.a.extends = "b"', "profile a: extends: 'b' is not there"),
        ('profiles.a.extends = "a"', "profile a: extends: 'a' is not there, or goes in a circle"),
        ("profiles.a.extends = 1", "profile a: extends: 1 is no string"),
        ('profiles.a.types = "image/png"', "profile a: types: 'image/png' is no list of strings"),
        ("profiles.a.types = [1]", "profile a: types: 1 is no string"),
        ('profiles.a.types = ["image/foo"]', "profile a: types: unknown type 'image/foo'"),
        ('profiles.a.add = ["image/foo"]', "profile a: add: unknown type 'image/foo'"),
        ('profiles.a.remove = ["image/foo"]', "profile a: remove: unknown type 'image/foo'"),
        ('profiles.a = {types = [], categories = ["image"]}', "profile a: types: say these or"),
        ('profiles.a.categories = ["images"]', "profile a: categories: 'images' is none of image,"),
        ("profiles.a.extensions = 1", "profile a: extensions: 1 is no list of strings"),
        ('profiles.a.max_size.images = "5MB"', "profile a: max_size: 'images' is none of image,"),
        ('profiles.a.max_size.image = "5XB"', "profile a: max_size: '5XB' is no size"),
        ("profiles.a.max_size = true", "profile a: max_size: True is no size"),
        ("profiles.a.max_size = -1", "profile a: max_size: -1 is no size"),
        ('types."a/b".extensions = []', "type a/b: category: None is no string"),
        ('types."a/b".category = "c"', "type a/b: category: 'c' is none of"),
        ('types."a/b".kind = "c"', "type a/b: kind: unknown key"),
        ('types."a/b" = {category = "image", aliases = 1}', "type a/b: aliases: 1 is no list"),
        ('types.glb.category = "image"', "type glb: a type is called like"),
        ('types."image/jpg".category = "image"', "type image/jpg: is known already"),
        ("[profiles", "Expected ']'"),
    ],
)
def test_an_error_names_the_file_the_profile_and_the_key(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ValueError, match=r"profiles\.toml: ") as error:
        load(tmp_path, text)

    assert f"{tmp_path / 'profiles.toml'}: {message}" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"missing\.toml: No such file"):
        load_profiles(tmp_path / "missing.toml", DEFAULTS)


def test_a_file_in_another_encoding_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "profiles.toml"
    path.write_bytes(b"# caf\xe9\n")

    with pytest.raises(ValueError, match=r"profiles\.toml: 'utf-8' codec"):
        load_profiles(path, DEFAULTS)
