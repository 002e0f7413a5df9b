"""What an operator lists: the only types and extensions, and the largest size, of a profile."""

from collections.abc import Sequence
from dataclasses import replace

from shared.model.media import TYPES, MediaType, by_extension
from shared.model.policy import Profile, tailored


def narrowed(
    profile: Profile,
    *,
    types: Sequence[str] = (),
    extensions: Sequence[str] = (),
    most: int | None = None,
) -> Profile:
    """Return the profile with what is listed alone; what is not said stays as it is.

    A listed extension stands for its types in the profile, or if there is none for those of all
    that are known. `most` bytes only lower limits. Raises `ValueError` for what nobody knows.
    """
    ends = [each.lstrip(".").lower() for each in extensions]
    meant = {end: _meant(profile, end) for end in ends}
    strange = [each for each in types if profile.find(each) is None]
    strange += [f".{end}" for end, found in meant.items() if not found]
    if strange:
        raise ValueError(f"nothing is known of {', '.join(strange)}")
    kept: list[str] | None = list(types) or None
    if kept is None and ends:
        kept = sorted({each.name for found in meant.values() for each in found})
    made = tailored(profile, profile.name, types=kept, extensions=ends or None)
    if most is None:
        return made
    sizes = {category: min(most, own) for category, own in made.max_sizes.items()}
    return replace(made, max_sizes=sizes)


def _meant(profile: Profile, end: str) -> tuple[MediaType, ...]:
    name = f"file.{end}"
    return by_extension(name, profile.allowed) or by_extension(name, (*TYPES, *profile.extra))
