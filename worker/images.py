"""Thumbnails of images nobody vouches for, made by a child process that may die of them.

Only what the image itself did is held against it: its own use of the processor, of the memory that
was granted, a crash of its decoder. A child that was killed, or had no processor to run on, says
nothing of the image: the attempt counts, and the next one may do.

`decode` streams a picture into `decoder.py` and reads the thumbnails back. What reading the blocks
raises passes through unchanged, and while they are being waited for the child's clock stands still.
"""

import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from shared.errors import AppError, Interrupted, Rejected, Unavailable
from shared.model.thumbnail import ThumbnailSpec
from worker.child import Clock, TimeIsUp, TooMuchSaid, child, collect, ended, feed

log = logging.getLogger(__name__)

# The types of which thumbnails are made, and the one decoder that may see each. libmagic's older
# name of BMP and both of animated PNG stand beside the registered ones.
FORMATS: Final[Mapping[str, str]] = {
    "image/apng": "PNG",
    "image/avif": "AVIF",
    "image/bmp": "BMP",
    "image/gif": "GIF",
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/tiff": "TIFF",
    "image/vnd.mozilla.apng": "PNG",
    "image/webp": "WEBP",
    "image/x-ms-bmp": "BMP",
}

MESSAGES: Final[Mapping[str, str]] = {
    "image_broken": "The image is damaged, or not of the type it claims to be.",
    "image_exhausted": "Decoding the image takes more memory than is allowed.",
    "image_timeout": "Decoding the image takes more time than is allowed.",
    "image_too_large": "The image is larger than is allowed.",
}

PROGRAM: Final = Path(__file__).resolve().with_name("decoder.py")
STOPPED_BY_SOMEBODY: Final = frozenset(
    {signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM}
)
FAULTS_OF_THE_IMAGE: Final[Mapping[int, str]] = {
    signal.SIGXCPU: "image_timeout",
    signal.SIGABRT: "image_broken",
    signal.SIGFPE: "image_broken",
    signal.SIGILL: "image_broken",
    signal.SIGSEGV: "image_broken",
    signal.SIGXFSZ: "image_broken",
}
LARGEST_VERDICT: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What one image may cost. 48 megapixels need 80 MiB as JPEG and 870 MiB as WebP.

    `cpu_seconds` are the image's own; `deadline_seconds` end a child that the host keeps waiting.
    """

    pixels: int = 50_000_000
    source_size: int = 384 * 1024 * 1024
    memory: int = 1024 * 1024 * 1024
    cpu_seconds: int = 15
    deadline_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Picture:
    """A thumbnail under its spec's name, without any of the original's metadata."""

    name: str
    width: int
    height: int
    body: bytes = field(repr=False)
    content_type: Literal["image/webp"] = "image/webp"


@dataclass(frozen=True, slots=True)
class Decoded:
    """An image's size as it is seen, orientation applied, and a thumbnail per spec."""

    width: int
    height: int
    thumbnails: tuple[Picture, ...]


def supports(content_type: str) -> bool:
    """Tell whether thumbnails are made of this type."""
    return content_type in FORMATS


def decode(
    blocks: Iterable[bytes],
    *,
    content_type: str,
    specs: Sequence[ThumbnailSpec],
    limits: Limits = Limits(),
    check: Callable[[], None] = lambda: None,
) -> Decoded:
    """Return the size and the thumbnails of the image made of `blocks`, in the order of `specs`.

    Raises `Rejected` when the image is at fault: `image_broken`, `image_too_large`,
    `image_timeout` or `image_exhausted`; `Unavailable` when the decoder is, `Interrupted` when the
    host killed or stalled it. A thumbnail is never larger than the original.
    `supports(content_type)` has to hold. `check` is called every second and may raise.
    """
    try:
        return _decode(blocks, FORMATS[content_type], specs, limits, check)
    except Rejected as refusal:
        reason = repr(refusal.__cause__)
        facts = {"code": refusal.code, "content_type": content_type, "reason": reason}
        log.info("image_refused", extra=facts)
        raise


def _decode(
    blocks: Iterable[bytes],
    form: str,
    specs: Sequence[ThumbnailSpec],
    limits: Limits,
    check: Callable[[], None],
) -> Decoded:
    order = {
        "format": form,
        "longer_sides": [spec.longer_side for spec in specs],
        "pixels": limits.pixels,
        "source_size": limits.source_size,
        "memory": limits.memory,
        "cpu_seconds": limits.cpu_seconds,
        "parent": os.getpid(),
    }
    # -I: neither the environment nor the user's folders decide what is imported.
    command = [sys.executable, "-I", str(PROGRAM), json.dumps(order)]
    clock = Clock(limits.deadline_seconds, check)
    try:
        with child(command) as decoder:
            feed(decoder.source, blocks, clock)
            answer = collect(decoder.answer, clock)
            status = ended(decoder.process, clock)
    except TimeIsUp as error:
        raise Interrupted("decoder", "The image decoder did not come to its end.") from error
    except TooMuchSaid as error:
        raise _refusal("image_broken") from error
    if status != 0:
        raise _cause_of_death(status)
    return _read(answer, specs)


def _cause_of_death(status: int) -> AppError:
    """Tell whose fault it is that the child ended without an answer."""
    if status > 0 or -status in STOPPED_BY_SOMEBODY:
        return Unavailable("decoder", f"The image decoder ended with status {status}.")
    if -status in FAULTS_OF_THE_IMAGE:
        return _refusal(FAULTS_OF_THE_IMAGE[-status], f"killed by signal {-status}")
    # The kernel kills for the memory of the whole host: this image may be innocent.
    return Interrupted("decoder", f"The image decoder was killed by signal {-status}.")


def _read(answer: bytes, specs: Sequence[ThumbnailSpec]) -> Decoded:
    """Read the answer, trusting the child as little as the picture that it has seen."""
    head, _, bodies = answer.partition(b"\n")
    try:
        verdict = json.loads(head[:LARGEST_VERDICT])
        if "refused" not in verdict:
            thumbnails = tuple(_pictures(verdict["thumbnails"], bodies, specs))
            return Decoded(_positive(verdict["width"]), _positive(verdict["height"]), thumbnails)
        facts = {fact: _positive(value) for fact, value in verdict.get("facts", {}).items()}
        refusal = _refusal(verdict["refused"], verdict.get("reason", ""), **facts)
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise _refusal("image_broken") from error
    raise refusal


def _pictures(
    sizes: Sequence[Sequence[object]], bodies: bytes, specs: Sequence[ThumbnailSpec]
) -> Iterator[Picture]:
    offset = 0
    for spec, (width, height, length) in zip(specs, sizes, strict=True):
        end = offset + _positive(length)
        body = bodies[offset:end]
        if end > len(bodies) or body[:4] != b"RIFF" or body[8:12] != b"WEBP":
            raise ValueError("not a thumbnail")
        yield Picture(spec.name, _positive(width), _positive(height), body)
        offset = end
    if offset != len(bodies):
        raise ValueError("more than was asked for")


def _positive(value: object) -> int:
    if not isinstance(value, int) or value < 1:
        raise ValueError("not a size")
    return value


def _refusal(code: str, reason: str = "", **facts: int) -> Rejected:
    """Make the answer for the client; the `reason` is the log's, for it quotes the picture."""
    refusal = Rejected(code, MESSAGES[code], **facts)
    refusal.__cause__ = ValueError(reason) if reason else None
    return refusal
