"""Sabotages of jobs, the board, deliveries and bodies; and troubles that break no defence."""

import os
import signal
import threading
from datetime import timedelta
from random import SystemRandom
from typing import Any, Final

POISONED: Final = "poison"
_DAWDLES_SECONDS: Final = 0.1
_LINGERS_SECONDS: Final = 0.6
_LATE_SECONDS: Final = 0.6
_CHANCE: Final = SystemRandom()


def attempts_not_counted() -> None:
    """A job that kills its workers is tried for ever."""
    from sqlalchemy import update

    from shared.adapters.records_sql_jobs import SqlJobRows
    from shared.adapters.tables import jobs

    counted = SqlJobRows.claim

    def claim(self: SqlJobRows, job_id: str, *said: Any) -> Any:
        job = counted(self, job_id, *said)
        self._connection.execute(update(jobs).where(jobs.c.id == job_id).values(attempts=0))
        return job

    SqlJobRows.claim = claim  # type: ignore[method-assign, assignment]  # it passes on what it got


def unfenced() -> None:
    """Whoever has held a job once may write it, whoever holds it now."""
    from shared.adapters.records_sql_jobs import SqlJobRows

    beat, note, advance = SqlJobRows.beat, SqlJobRows.note, SqlJobRows.advance

    def newest(self: SqlJobRows, job_id: str, fence: int) -> int:
        job = self.find(job_id)
        return fence if job is None else job.fence

    def any_beat(self: SqlJobRows, job_id: str, fence: int, lease: timedelta) -> bool:
        return beat(self, job_id, newest(self, job_id, fence), lease)

    def any_note(self: SqlJobRows, job_id: str, fence: int, step: str, done: int) -> Any:
        return note(self, job_id, newest(self, job_id, fence), step, done)

    def any_advance(self: SqlJobRows, job_id: str, event: Any, **changes: Any) -> Any:
        if "fence" in changes:
            changes["fence"] = newest(self, job_id, changes["fence"])
        return advance(self, job_id, event, **changes)

    SqlJobRows.beat = any_beat  # type: ignore[method-assign]
    SqlJobRows.note = any_note  # type: ignore[method-assign]
    SqlJobRows.advance = any_advance  # type: ignore[method-assign]


def hand_back_off() -> None:
    """A worker that is told to stop leaves its job to its lease."""
    from shared.services.claims import ClaimService

    ClaimService.hand_back = lambda self, claim: None  # type: ignore[method-assign]


def board_goes_back() -> None:
    """The board takes a status whatever it shows already."""
    from shared.adapters import board_redis

    check = "if shown and shown > tonumber(ARGV[1]) then return 0 end"
    assert check in board_redis._PUT
    board_redis._PUT = board_redis._PUT.replace(check, "")  # type: ignore[misc]


def any_answer_is_good() -> None:
    """A delivery counts as made whatever the receiver said."""
    from shared.services import deliveries

    deliveries._error = lambda answer: None


def sealed_afterwards() -> None:
    """A stream that is all here is sealed in a transaction of its own, after the last byte's."""
    from shared.services import resuming
    from shared.services.joining import queued
    from shared.services.resuming import ResumeService

    append = ResumeService.append

    def late(self: ResumeService, caller: Any, upload: Any, *said: Any, **more: Any) -> Any:
        receipt = append(self, caller, upload, *said, **more)
        with self.records.begin() as rows:
            now = rows.uploads.find(upload.id)
            is_whole = now is not None and now.received == now.size
            job = queued(rows, upload.id, self.jobs) if is_whole else None
        if job is not None:
            self.jobs.announce(job)
        return receipt

    vars(resuming)["arrived"] = lambda rows, upload, jobs: None
    ResumeService.append = late  # type: ignore[method-assign]


def cut_bodies_taken() -> None:
    """What came of a body is taken for all of it."""
    from shared.errors import BodyCut
    from shared.services.intake import Intake

    def refuse_empty(intake: Any, body: Any, expected: Any) -> None:
        del body, expected
        if intake.length == 0:
            raise BodyCut("A chunk has at least one byte.")

    Intake.refuse_cut = refuse_empty  # type: ignore[method-assign,assignment]
    Intake.refuse_other = lambda self, checksum: None  # type: ignore[method-assign]


def poison() -> None:
    """A file of a certain name kills whoever works at it."""
    from shared.services.claims import ClaimService

    begin_step = ClaimService.begin_step

    def deadly(self: ClaimService, claim: Any, step: str, done: int) -> None:
        begin_step(self, claim, step, done)
        if step == "assemble" and claim.upload.filename.startswith(POISONED):
            os.kill(os.getpid(), signal.SIGKILL)

    ClaimService.begin_step = deadly  # type: ignore[method-assign]


def signing() -> None:
    """A claim says which process has it, so that a drill knows whose death lost it."""
    from shared.services.claims import ClaimService

    claim = ClaimService.claim

    def signed(self: ClaimService, job_id: str, worker: str) -> Any:
        return claim(self, job_id, f"{worker}:{os.getpid()}")

    ClaimService.claim = signed  # type: ignore[method-assign]


def dawdling() -> None:
    """A step may take a while, so that what happens to a worker happens in mid-job."""
    _slow_down(_DAWDLES_SECONDS)


def lingering() -> None:
    """A step may take so long that two workers are at one job for sure."""
    _slow_down(_LINGERS_SECONDS)


def _slow_down(seconds: float) -> None:
    from shared.services.claims import ClaimService

    begin_step = ClaimService.begin_step

    def slow(self: ClaimService, claim: Any, step: str, done: int) -> None:
        begin_step(self, claim, step, done)
        threading.Event().wait(_CHANCE.uniform(0, seconds))

    ClaimService.begin_step = slow  # type: ignore[method-assign]


def late_puts() -> None:
    """What was read from the rows may reach the board late."""
    from shared.adapters.board_redis import RedisBoard

    put = RedisBoard.put

    def late(self: RedisBoard, status: Any) -> None:
        if not status.job.is_final:
            threading.Thread(target=_put_late, args=(put, self, status), daemon=True).start()
        else:
            put(self, status)

    RedisBoard.put = late  # type: ignore[method-assign]


def _put_late(put: Any, board: Any, status: Any) -> None:
    threading.Event().wait(_CHANCE.uniform(0, _LATE_SECONDS))
    put(board, status)


def hurried_webhooks() -> None:
    """The schedule of deliveries in seconds; a call may take one at most."""
    from shared.adapters.notify_http import HttpNotifier
    from shared.model import webhook
    from shared.services import deliveries

    pauses = tuple(timedelta(seconds=each) for each in (0.3, 0.5, 0.5, 1, 1, 1, 1))
    assert len(pauses) == len(webhook.RETRY_PAUSES)
    webhook.RETRY_PAUSES = pauses  # type: ignore[misc, assignment]
    deliveries.LEASE = timedelta(seconds=5)  # type: ignore[attr-defined]
    defaults: Any = HttpNotifier.__init__.__kwdefaults__
    defaults["deadline_seconds"] = 1.0
