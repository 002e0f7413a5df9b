"""A file inside the pipeline: what the steps have found out so far, and what they work with."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Self

from shared.model.checked import Checked
from shared.model.file import Thumbnail
from shared.model.naming import thumbnail_key
from shared.model.policy import Verdict
from shared.model.stored import Copied, Part
from shared.model.thumbnail import ThumbnailSpec
from shared.ports import ObjectStore
from shared.ports_joining import Joiner
from shared.services.claims import Claim, ClaimService
from shared.services.screening import Screening
from worker.images import Decoded, Limits
from worker.source import Source
from worker.watch import Stopping, Watch

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Draft:
    """Each step returns it with more known.

    `body` is a small file's whole content; `copied` is what the store is to copy by itself.
    """

    claim: Claim
    verdict: Verdict | None = None
    sha256: str | None = None
    body: bytes | None = None
    multipart_id: str | None = None
    parts: Sequence[Part] = ()
    copied: Copied | None = None
    decoded: Decoded | None = None
    etag: str | None = None

    def checked(self) -> Checked:
        """Return what the file will be. Raises `ValueError` before `inspect` and `assemble`."""
        if self.verdict is None or self.sha256 is None:
            raise ValueError("a file is known after inspect and assemble")
        upload, decoded = self.claim.upload, self.decoded
        small = tuple(
            Thumbnail(
                name=picture.name,
                key=thumbnail_key(upload.id, picture.name),
                width=picture.width,
                height=picture.height,
                content_type=picture.content_type,
                size=len(picture.body),
            )
            for picture in (decoded.thumbnails if decoded else ())
        )
        return Checked(
            size=upload.received,
            content_type=self.verdict.content_type,
            declared_type=self.verdict.declared_type,
            category=self.verdict.category,
            sha256=self.sha256,
            width=decoded.width if decoded else None,
            height=decoded.height if decoded else None,
            thumbnails=small,
        )


class Undo:
    """What takes back what a run has begun in the store, the last first, unless it publishes.

    As well as may be: that it fails is logged and never in place of why the run ended, for the sweep
    of multiparts finds what is left. A worker that is to stop has its job to hand back first, and
    then `hurry`.
    """

    def __init__(self) -> None:
        self._work: list[Callable[[], object]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        del kind, trace
        if not isinstance(error, Stopping):
            self.run()

    def callback(self, work: Callable[..., object], *said: Any) -> None:
        self._work.append(partial(work, *said))

    def pop_all(self) -> None:
        """Forget it all: it is to stay."""
        self._work.clear()

    def hurry(self, seconds: float) -> None:
        """Take back what can be in that time; what hangs is left to the end of the process."""
        thread = threading.Thread(target=self.run, name="undo", daemon=True)
        thread.start()
        thread.join(seconds)

    def run(self) -> None:
        """Take back what was begun until now; what begins after it is taken back by the next."""
        while self._work:
            try:
                self._work.pop()()
            except Exception:  # why the run ended decides how its job ends, not this
                log.warning("undo_failed", exc_info=True)


@dataclass(frozen=True, slots=True)
class Workbench:
    """What the steps may use. `undo` runs what was pushed on it unless the job publishes.

    `joiner` is staging, where that lies in the object store itself.
    """

    claims: ClaimService
    source: Source
    objects: ObjectStore
    screening: Screening
    watch: Watch
    undo: Undo
    thumbnails: Sequence[ThumbnailSpec]
    limits: Limits
    parallel_parts: int
    joiner: Joiner | None = None
