"""Which files are welcome: profiles, and the decision on one file.

A profile is an allow-list with a size limit for each category. `refuse_declaration` judges what a
client says before it sends a byte, `refuse_beginning` the first bytes, `decide` the whole file.
Only `decide` accepts, and nothing outside the profile.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NoReturn

from shared.errors import TooLarge, Unprocessable, Unsupported
from shared.model.media import (
    TEXT,
    TYPES,
    UNKNOWN,
    Category,
    MediaType,
    by_extension,
    by_name,
    canonical,
    extension,
    is_known_extension,
)
from shared.model.office import COMPOUND, ZIP

MIB: Final = 1024**2
GIB: Final = 1024**3
DEFAULT: Final[Mapping[Category, int]] = {
    Category.IMAGE: 100 * MIB,
    Category.AUDIO: 5 * GIB,
    Category.VIDEO: 50 * GIB,
    Category.DOCUMENT: 5 * GIB,
}

# What bytes look like when no signature says more, or not yet: their name may say it.
UNSPECIFIC: Final = frozenset({UNKNOWN, TEXT, ZIP, COMPOUND, "text/xml", "application/json"})


@dataclass(frozen=True, slots=True)
class Profile:
    """An allow-list of canonical types, and the largest size of each category in bytes.

    `extensions`, unless None, are the only ones a file name may have. `extra` describes types that
    the table does not know. Raises `ValueError` for a type that neither knows.
    """

    name: str
    types: frozenset[str]
    max_sizes: Mapping[Category, int]
    extensions: frozenset[str] | None = None
    extra: tuple[MediaType, ...] = field(default=())

    def __post_init__(self) -> None:
        unknown = sorted(name for name in self.types if self.find(name) is None)
        if unknown:
            raise ValueError(f"unknown types: {', '.join(unknown)}")
        if missing := [each.value for each in Category if each not in self.max_sizes]:
            raise ValueError(f"no size limit for {', '.join(missing)}")

    def find(self, name: str | None) -> MediaType | None:
        """Return the type called `name`, allowed or not, None when nothing knows it."""
        said = canonical(name)
        own = (each for each in self.extra if said in {each.name, *each.aliases})
        return by_name(said) or next(own, None)

    @property
    def allowed(self) -> tuple[MediaType, ...]:
        return tuple(each for each in (*TYPES, *self.extra) if each.name in self.types)


@dataclass(frozen=True, slots=True)
class Verdict:
    """An accepted file: what its bytes are, and what the client said they were."""

    content_type: str
    category: Category
    declared_type: str | None


def default_profile(max_sizes: Mapping[Category, int] = DEFAULT) -> Profile:
    """Return the profile of who names none. Categories missing in `max_sizes` keep their limit."""
    types = frozenset(each.name for each in TYPES if each.default)
    return Profile("default", types, {**DEFAULT, **max_sizes})


def tailored(
    profile: Profile,
    name: str,
    *,
    types: Iterable[str] | None = None,
    extensions: Iterable[str] | None = None,
    max_size: int | None = None,
) -> Profile:
    """Return `profile` as `name`, with these types and extensions only and one limit for all.

    Types in any spelling; with extensions alone, those of the profile that go by them. Raises
    `ValueError` for a type nobody knows.
    """
    if extensions is not None:
        extensions = frozenset(each.strip().lstrip(".").lower() for each in extensions)
    if types is not None:
        kept = frozenset(canonical(each) or UNKNOWN for each in types)
    elif extensions is not None:
        named = (each for each in profile.allowed if not extensions.isdisjoint(each.extensions))
        kept = frozenset(each.name for each in named)
    else:
        kept = profile.types
    sizes = profile.max_sizes if max_size is None else dict.fromkeys(Category, max_size)
    return replace(profile, name=name, types=kept, extensions=extensions, max_sizes=sizes)


def choose(profiles: Mapping[str, Profile], name: str) -> Profile:
    """Return the profile called `name`. Raises `Unprocessable` when there is none."""
    try:
        return profiles[name]
    except KeyError:
        raise Unprocessable(f"There is no profile {name!r}.", pointer="/profile") from None


def refuse_declaration(
    profile: Profile, *, filename: str, declared: str | None, size: int | None
) -> None:
    """Refuse what can be refused before a byte is sent.

    Raises `Unsupported` for a type outside the profile or an extension that stands for something
    outside it, `TooLarge` for a size above the limit of the declared category, or of the largest
    one when nothing says the category. An unknown extension is no reason to refuse.
    """
    _refuse_extension(profile, filename, declared)
    said = canonical(declared)
    if said is not None and not _candidates(profile, filename, declared):
        _refuse(profile, f"Files declared as {said} are not allowed here.", None, declared)
    if size is not None:
        _refuse_size(largest(profile, filename=filename, declared=declared), size)


def largest(profile: Profile, *, filename: str, declared: str | None) -> int:
    """Return the size of the largest file that can be welcome by this name and type, in bytes."""
    found = _candidates(profile, filename, declared)
    return max((profile.max_sizes[each.category] for each in found), default=0)


def refuse_beginning(
    profile: Profile, *, detected: str, filename: str, declared: str | None
) -> None:
    """Refuse a file for its first bytes alone. Raises `Unsupported` when no more could help.

    A beginning that may still turn out to be something else is let through: `decide` sees it again.
    """
    named = by_extension(filename, profile.allowed)
    if detected not in UNSPECIFIC and not _may_be(profile, detected, named):
        _refuse(profile, f"The file is {detected}, which is not allowed here.", detected, declared)


def decide(
    profile: Profile, *, detected: str, filename: str, declared: str | None, size: int | None
) -> Verdict:
    """Judge a file by what its bytes are (`container.refine`), in a profile.

    A declared type that disagrees is kept beside the detected one. Raises `Unsupported` for a type
    or extension outside the profile, `TooLarge` above the limit of its category.
    """
    _refuse_extension(profile, filename, declared)
    media = _allowed(profile, detected, filename, declared)
    if size is not None:
        _refuse_size(profile.max_sizes[media.category], size)
    return Verdict(media.name, media.category, declared)


def refuse_name(profile: Profile, *, filename: str, content_type: str) -> None:
    """Refuse a new name for a file that was accepted as `content_type`. Raises `Unsupported`."""
    _refuse_extension(profile, filename, content_type)
    media = profile.find(content_type)
    if media is not None and media.active and media not in by_extension(filename, profile.allowed):
        told = f"The file is {media.name}, which is not allowed under this name."
        _refuse(profile, told, media.name, None)


def _allowed(profile: Profile, detected: str, filename: str, declared: str | None) -> MediaType:
    """Return the allowed type of bytes that look like `detected`. Raises `Unsupported`."""
    named = by_extension(filename, profile.allowed)
    by_looks = next((each for each in named if detected in each.resembles), None)
    media = by_looks or profile.find(detected)
    if media is None or media.name not in profile.types:
        _refuse(profile, f"The file is {detected}, which is not allowed here.", detected, declared)
    if media.active and media not in named:
        told = f"The file is {media.name}, which is not allowed under this name."
        _refuse(profile, told, media.name, declared)
    return media


def _candidates(profile: Profile, filename: str, declared: str | None) -> tuple[MediaType, ...]:
    """Return the allowed types that a file may have of which this is said."""
    named, said = by_extension(filename, profile.allowed), canonical(declared)
    return (named or profile.allowed) if said is None else _may_be(profile, said, named)


def _may_be(profile: Profile, said: str, named: tuple[MediaType, ...]) -> tuple[MediaType, ...]:
    """Return the allowed types that a file may have which is called, or begins as, `said`."""
    media = profile.find(said)
    if media is None:
        return ()
    if media.name in profile.types:
        return (media,)
    # Browsers go by extension: they call a recorded voice in .webm or .mpeg a video.
    return tuple(each for each in named if set(each.extensions) & set(media.extensions))


def _refuse_extension(profile: Profile, filename: str, declared: str | None) -> None:
    last = extension(filename)
    if profile.extensions is not None and last not in profile.extensions:
        told = (
            f"Files named .{last} are not allowed here" if last else "The name needs an extension"
        )
        extensions = sorted(profile.extensions)
        _refuse(profile, f"{told}.", None, declared, allowed_extensions=extensions)
    if is_known_extension(filename) and not by_extension(filename, profile.allowed):
        _refuse(profile, f"Files named .{last} are not allowed here.", None, declared)


def _refuse_size(limit: int, size: int) -> None:
    if size > limit:
        told = f"The file has {size} bytes; at most {limit} are allowed."
        raise TooLarge(told, limit=limit, size=size)


def _refuse(
    profile: Profile, told: str, detected: str | None, declared: str | None, **facts: object
) -> NoReturn:
    allowed = sorted(profile.types)
    raise Unsupported(
        f"{told} Allowed: {', '.join(allowed)}.",
        detected=detected,
        declared=declared,
        allowed=allowed,
        **facts,
    )
