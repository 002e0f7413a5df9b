"""The ways of an upload that a drill tells: its content, and its operations in order."""

import random
from dataclasses import dataclass
from typing import Final

from tests.support.pictures import a_jpeg, a_png

PART_BYTES: Final = 64 * 1024  # where a drill cuts S3's parts, so that a small file has several
_AFTER: Final = ("work", "ring", "sweep")


@dataclass(frozen=True)
class Kind:
    """One way of an upload: its operations in order, and whether it ends as a file."""

    name: str
    operations: tuple[str, ...]
    filename: str = "notes.txt"
    chunk_size: int = 1000
    is_file: bool = True
    wrong_sha256: bool = False
    replaces: bool = False
    is_direct: bool = False

    @property
    def is_stream(self) -> bool:
        return "append-0" in self.operations

    @property
    def is_adopted(self) -> bool:
        return "adopt" in self.operations

    @property
    def is_spoiled(self) -> bool:
        return "spoil" in self.operations

    @property
    def opens_anew(self) -> bool:
        """Say whether a repeat opens another upload: tus has no idempotency keys."""
        return "begin" in self.operations or self.parts > 0

    @property
    def is_granted(self) -> bool:
        """Say whether it comes by a grant: a repeat opens another upload there, too."""
        return "grant" in self.operations

    @property
    def parts(self) -> int:
        return sum(each.startswith("part-") for each in self.operations)

    @property
    def has_parts(self) -> bool:
        return "send-1" in self.operations

    def content(self, seed: int) -> bytes:
        said = random.Random(f"{seed}/{self.name}")  # noqa: S311  # replayed from it
        if self.filename.endswith(".png"):
            return a_png(40, 30) + said.randbytes(16)
        if self.filename.endswith(".jpg"):
            return a_jpeg(40, 30) + said.randbytes(16)
        size = 3 * PART_BYTES + 77 if self.chunk_size > PART_BYTES else 2500
        return said.randbytes(size).hex().encode()[:size]


_PUTS: Final = ("put-1", "put-0", "put-2")
_STARTED: Final = ("grant", "start", "piece-1", "piece-0")
_POSTED: Final = ("grant", "form", "post")
_LARGE: Final = PART_BYTES + 10_001
KINDS: Final[dict[str, Kind]] = {
    kind.name: kind
    for kind in (
        Kind("text", ("open", *_PUTS, "complete", *_AFTER)),
        Kind("stream", ("open", "append-0", "append-1", "complete", *_AFTER), chunk_size=1700),
        Kind("png", ("open", "put-0", "complete", *_AFTER), "photo.png", 1024**2),
        Kind("submit", ("submit", *_AFTER), "photo.jpg", 1024**2),
        Kind("large", ("open", *_PUTS, "complete", *_AFTER), chunk_size=_LARGE),
        Kind(
            "wrong",
            ("open", *_PUTS, "complete", *_AFTER),
            is_file=False,
            wrong_sha256=True,
            chunk_size=_LARGE,
        ),
        Kind("cancelled", ("open", "put-0", "cancel", "sweep"), is_file=False),
        Kind("recalled", ("open", *_PUTS, "complete", "cancel", *_AFTER), is_file=False),
        Kind(
            "deleted",
            ("open", *_PUTS, "complete", "work", "ring", "delete", "ring-again", "sweep"),
            is_file=False,
        ),
        Kind(
            "copied",
            ("open", "put-0", "complete", "work", "ring", "copy", "ring-again", "sweep"),
            "photo.png",
            1024**2,
        ),
        Kind(
            "replaced",
            ("base", "work-base", "open", *_PUTS, "complete", *_AFTER),
            chunk_size=_LARGE,
            replaces=True,
        ),
        Kind(
            "retouched",
            ("base", "work-base", "open", "put-0", "complete", *_AFTER),
            "photo.png",
            1024**2,
            replaces=True,
        ),
        Kind("resumed", ("begin", "patch-0", "patch-1", *_AFTER), chunk_size=1700),
        Kind("joined", ("part-1", "part-0", "part-2", "join", *_AFTER), chunk_size=_LARGE),
        Kind("direct", ("open", "send-0", "complete", *_AFTER), is_direct=True),
        Kind(
            "parted",
            ("open", "send-1", "send-0", "send-2", "complete", *_AFTER),
            chunk_size=_LARGE,
            is_direct=True,
        ),
        Kind(
            "spoiled",
            ("open", "send-0", "complete", "spoil", *_AFTER),
            is_file=False,
            is_direct=True,
        ),
        Kind("adopted", ("open", "send-0", "adopt", *_AFTER), "photo.png", is_direct=True),
        Kind(
            "unsized",
            (*_STARTED, "piece-2", "finish", *_AFTER),
            chunk_size=_LARGE,
            is_direct=True,
        ),
        Kind("formed", (*_POSTED, "adopt", *_AFTER), is_direct=True),
        Kind(
            "revoked",
            (*_STARTED, "revoke", "late", "sweep"),
            chunk_size=_LARGE,
            is_file=False,
            is_direct=True,
        ),
        Kind(
            "withdrawn",
            (*_POSTED, "revoke", "adopt", "sweep", "late"),
            is_file=False,
            is_direct=True,
        ),
        Kind(
            "weighed",
            (*_STARTED, "weigh", "sweep"),
            chunk_size=_LARGE,
            is_file=False,
            is_direct=True,
        ),
    )
}
