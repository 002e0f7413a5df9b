"""Which thumbnails an image gets: names that stand in URLs and keys, and sizes in pixels."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")
LONGEST_SIDE: Final = 16_383  # the largest WebP


@dataclass(frozen=True, slots=True)
class ThumbnailSpec:
    """One thumbnail: neither side is longer than `longer_side`, nor than the original's."""

    name: str
    longer_side: int

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} cannot name a thumbnail: use a-z, 0-9, - and _")
        if not 1 <= self.longer_side <= LONGEST_SIDE:
            raise ValueError(f"thumbnail {self.name} must measure 1 to {LONGEST_SIDE} pixels")


DEFAULT_SPECS: Final = (
    ThumbnailSpec("small", 150),
    ThumbnailSpec("medium", 400),
    ThumbnailSpec("large", 1024),
)


def parse(text: str) -> tuple[ThumbnailSpec, ...]:
    """Read `small=150,medium=400`; nothing means no thumbnails. Raises `ValueError`."""
    specs = tuple(_spec(item) for item in text.split(",") if item.strip())
    _refuse_twins(specs)
    return specs


def _spec(item: str) -> ThumbnailSpec:
    name, _, side = (part.strip() for part in item.partition("="))
    if not (side.isascii() and side.isdecimal()):
        raise ValueError(f"{item.strip()!r} is not of the form name=pixels")
    return ThumbnailSpec(name, int(side))


def _refuse_twins(specs: Sequence[ThumbnailSpec]) -> None:
    names = [spec.name for spec in specs]
    if twins := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"thumbnail named twice: {', '.join(twins)}")
