"""Profiles from a policy file in TOML; `docs/types.md` describes its keys.

Whatever is wrong with the file is a `ValueError` of one line that names file, profile and key.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from shared.model.media import Category, MediaType, by_name, canonical
from shared.model.policy import UNSPECIFIC, Profile

_PROFILE_KEYS: Final = frozenset(
    {"extends", "types", "categories", "add", "remove", "extensions", "max_size"}
)
_TYPE_KEYS: Final = frozenset({"category", "extensions", "aliases"})
_TYPE_NAME: Final = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*")
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(?:([kmgt])(i?))?b?", re.IGNORECASE)
_POWERS: Final = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def load_profiles(path: Path | None, default: Profile) -> dict[str, Profile]:
    """Return the profiles of the file by name, `default` among them. Raises `ValueError`.

    A profile "default" in the file changes what the others extend.
    """
    if path is None:
        return {"default": default}
    with _at(str(path)):
        content = _content(path)
        _only(content, frozenset({"profiles", "types"}))
        extra = tuple(_media_type(name, each) for name, each in _tables(content, "types").items())
        known = replace(default, extra=(*default.extra, *extra))
        return _resolved(_tables(content, "profiles"), known)


def _content(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(error.strerror) from error


def _resolved(tables: dict[str, dict[str, Any]], known: Profile) -> dict[str, Profile]:
    """Build each profile after the one it extends."""
    changed = tables.pop("default", {})
    parents = {name: _parent(name, table) for name, table in tables.items()}
    profiles = {"default": _derived(known, "default", changed)}
    while parents:
        ready = [name for name, parent in parents.items() if parent in profiles]
        if not ready:
            name, parent = next(iter(parents.items()))
            raise ValueError(
                f"profile {name}: extends: {parent!r} is not there, or goes in a circle"
            )
        for name in ready:
            profiles[name] = _derived(profiles[parents.pop(name)], name, tables[name])
    return profiles


def _parent(name: str, table: Mapping[str, Any]) -> str:
    with _at(f"profile {name}: extends"):
        return _string(table.get("extends", "default"))


def _derived(parent: Profile, name: str, table: Mapping[str, Any]) -> Profile:
    with _at(f"profile {name}"):
        _only(table, _PROFILE_KEYS - ({"extends"} if name == "default" else set()))
        return replace(
            parent,
            name=name,
            types=(_start(parent, table) | _types(parent, table, "add"))
            - _types(parent, table, "remove"),
            extensions=_extensions(table) if "extensions" in table else parent.extensions,
            max_sizes={**parent.max_sizes, **_max_sizes(table)},
        )


def _start(parent: Profile, table: Mapping[str, Any]) -> frozenset[str]:
    if "types" in table and "categories" in table:
        raise ValueError("types: say these or categories, not both")
    if "types" in table:
        return _types(parent, table, "types")
    if "categories" not in table:
        return parent.types
    with _at("categories"):
        kept = {_category(each) for each in _strings(table["categories"])}
    return frozenset(each.name for each in parent.allowed if each.category in kept)


def _types(parent: Profile, table: Mapping[str, Any], key: str) -> frozenset[str]:
    with _at(key):
        return frozenset(_known(parent, each) for each in _strings(table.get(key, [])))


def _known(parent: Profile, name: str) -> str:
    media = parent.find(name)
    if media is None:
        raise ValueError(f"unknown type {name!r}; describe it in [types.{name!r}]")
    return media.name


def _extensions(table: Mapping[str, Any]) -> frozenset[str]:
    with _at("extensions"):
        return frozenset(each.lower().lstrip(".") for each in _strings(table.get("extensions", [])))


def _max_sizes(table: Mapping[str, Any]) -> dict[Category, int]:
    """Read one size for all categories, or a table of sizes."""
    with _at("max_size"):
        sizes = table.get("max_size", {})
        if not isinstance(sizes, dict):
            return dict.fromkeys(Category, _size(sizes))
        return {_category(name): _size(size) for name, size in sizes.items()}


def _media_type(name: str, table: Mapping[str, Any]) -> MediaType:
    """Describe a type of the operator's own: its bytes may look like anything unspecific."""
    with _at(f"type {name}"):
        _only(table, _TYPE_KEYS)
        if not _TYPE_NAME.fullmatch(name) or canonical(name) is None:
            raise ValueError("a type is called like model/gltf-binary, in lower case")
        if by_name(name):
            raise ValueError("is known already")
        with _at("category"):
            category = _category(_string(table.get("category")))
        extensions = _extensions(table)
        with _at("aliases"):
            aliases = frozenset(each.lower() for each in _strings(table.get("aliases", [])))
        return MediaType(
            name,
            category,
            tuple(sorted(extensions)),
            aliases,
            resembles=UNSPECIFIC,
            active=bool(extensions),
        )


def _category(name: str) -> Category:
    try:
        return Category(name)
    except ValueError:
        known = ", ".join(Category)
        raise ValueError(f"{name!r} is none of {known}") from None


def _size(value: object) -> int:
    """Return bytes from 5000000, "5MB" (of 1000) or "5MiB" (of 1024)."""
    found = _SIZE.fullmatch(str(value).strip()) if type(value) in {int, str} else None
    if not found:
        raise ValueError(f"{value!r} is no size like 5000000, '5MB' or '5MiB'")
    number, prefix, binary = found.groups(default="")
    return int(float(number) * (1024 if binary else 1000) ** _POWERS[prefix.lower()])


def _tables(content: Mapping[str, Any], key: str) -> dict[str, dict[str, Any]]:
    tables = content.get(key, {})
    if not isinstance(tables, dict) or not all(isinstance(each, dict) for each in tables.values()):
        raise ValueError(f"{key}: holds tables, as [{key}.name]")
    return dict(tables)


def _only(table: Mapping[str, Any], known: frozenset[str]) -> None:
    unknown = sorted(table.keys() - known)
    if unknown:
        raise ValueError(f"{unknown[0]}: unknown key; there are {', '.join(sorted(known))}")


def _strings(value: object) -> list[str]:
    if not isinstance(value, list):
        raise ValueError(f"{value!r} is no list of strings")  # noqa: TRY004 - a fault of the file
    return [_string(each) for each in value]


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no string")  # noqa: TRY004 - a fault of the file
    return value


@contextmanager
def _at(place: str) -> Iterator[None]:
    """Say where an error is."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error
