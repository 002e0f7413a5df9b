"""`docs/types.md` and the table of media types say the same."""

import re
from pathlib import Path

from shared.adapters.profiles_toml import load_profiles
from shared.model.media import TYPES
from shared.model.policy import default_profile

DOCUMENT = Path(__file__).parents[2] / "docs" / "types.md"
ROW = re.compile(r"^\| (\w+) \| `(\S+/\S+)` \| ([\w ]+) \|", re.MULTILINE)


def test_the_default_types_are_documented_with_their_extensions() -> None:
    rows = ROW.findall(DOCUMENT.read_text(encoding="utf-8"))

    expected = [
        (each.category.value, each.name, " ".join(each.extensions))
        for each in TYPES
        if each.default
    ]
    assert rows == expected


def test_every_type_that_is_off_is_documented() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")

    assert [each.name for each in TYPES if f"`{each.name}`" not in text] == []


def test_the_example_of_a_policy_file_can_be_read(tmp_path: Path) -> None:
    example = DOCUMENT.read_text(encoding="utf-8").split("```toml\n")[1].split("```")[0]
    path = tmp_path / "profiles.toml"
    path.write_text(example, encoding="utf-8")

    profiles = load_profiles(path, default_profile())

    assert set(profiles) == {"default", "avatars", "gallery", "thumbnails", "models"}
    assert profiles["thumbnails"].types == profiles["gallery"].types
