"""Whether the parts answer: each is asked at the same time, none for longer than two seconds."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillWaiting
from dataclasses import dataclass
from typing import Final

from shared.errors import AppError, Unavailable
from shared.ports import Board, ObjectStore, Staging
from shared.records import Records

_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Health:
    records: Records
    staging: Staging
    objects: ObjectStore
    board: Board
    floor: int

    def checks(self) -> dict[str, str | None]:
        """Return for each part why it is not well, or None."""
        parts: dict[str, Callable[[], None]] = {
            "database": self.records.check,
            "redis": self.board.check,
            "s3": self.objects.check,
            "staging": self._room,
            "worker": self._worker,
        }
        pool = ThreadPoolExecutor(len(parts))
        try:
            asked = {name: pool.submit(check) for name, check in parts.items()}
            said: dict[str, str | None] = {}
            for name, future in asked.items():
                try:
                    future.result(_SECONDS)
                    said[name] = None
                except StillWaiting:
                    said[name] = f"no answer in {_SECONDS:.0f} s"
                except AppError as error:
                    said[name] = str(error)
            return said
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _room(self) -> None:
        if self.staging.free_bytes() < self.floor:
            raise Unavailable("staging", "Less space is free than is to be kept.")

    def _worker(self) -> None:
        if not any(name.startswith("ingest") for name in self.board.workers()):
            raise Unavailable("board", "No worker has been heard of lately.")
