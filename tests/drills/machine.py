"""Draws what happens to a few uploads, does it to the real services and to the model, and compares."""

from collections.abc import Callable
from functools import partial
from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from shared.model.upload import NewUpload
from tests.drills.asking import CALLER
from tests.drills.model import HOLDING, MOST_ATTEMPTS, Item
from tests.drills.ports import let_time_pass
from tests.drills.truths import Truths
from tests.drills.world import ADMIN, answered
from tests.support.streams import append as stream
from tests.support.workshop import Bytes

CHUNK: Final = 1000
_AT_ONCE: Final = 3  # uploads that hold something
_RARELY: Final = st.sampled_from([False, False, False, False, True])  # it leaves little to do
_CALLS: Final = 140  # about twice as many sides of calls as a job has
_HOW: Final = st.sampled_from(["whole", "whole", "other", "cut", "short"])
_NUMBERS: Final = st.integers(0, 2)
_WHICH: Final = st.integers(0, 99)


class Uploads(Truths):
    """Up to three uploads at once that hold something, and any number that have ended."""

    # Clients.

    @rule(chunks=st.integers(1, 3), more=st.integers(2, CHUNK), is_stream=st.booleans())
    def open(self, chunks: int, more: int, *, is_stream: bool) -> None:
        if sum(item.state in HOLDING for item in self.items.values()) < _AT_ONCE:
            size = None if is_stream else (chunks - 1) * CHUNK + more
            new = NewUpload("notes.txt", size=size, chunk_size=CHUNK)
            upload = self.world.factory.services.uploads.open(CALLER, new)
            self.items[upload.id] = Item(size, CHUNK)

    @precondition(lambda self: self.numbered)
    @rule(which=_WHICH, number=_NUMBERS, how=_HOW)
    def put(self, which: int, number: int, how: str) -> None:
        upload_id, item, number, body = self._chunk(which, number)
        if how == "short":
            wanted, sent = item.misplace(number), Bytes(body[:-1])
        else:
            body = body.upper() if how == "other" else body
            sent = Bytes(body, cut=len(body) // 2 if how == "cut" else None)
            wanted = item.put(number, body, is_cut=how == "cut")
        self._same(wanted, lambda: self._put(upload_id, number, sent))

    @precondition(lambda self: self.numbered)
    @rule(which=_WHICH, number=_NUMBERS, calls=st.integers(0, 30))
    def die_receiving(self, which: int, number: int, calls: int) -> None:
        """The web dies in a request; the client repeats it."""
        upload_id, item, number, body = self._chunk(which, number)
        self.world.until_death(calls, lambda: self._put(upload_id, number, Bytes(body)))
        self._same(item.put(number, body), lambda: self._put(upload_id, number, Bytes(body)))

    @precondition(lambda self: self.streams)
    @rule(which=_WHICH, behind=st.sampled_from([0, 0, 0, 1, 500]), length=st.integers(1, 2500))
    def append(self, which: int, behind: int, length: int) -> None:
        upload_id, item = self.streams[which % len(self.streams)]
        offset, body = max(0, len(item.content) - behind), b"z" * length
        services = self.world.factory.services
        self._same(
            item.append(offset, body),
            lambda: stream(services, CALLER, upload_id, offset, Bytes(body)),
        )

    @precondition(lambda self: self.some("receiving"))
    @rule(which=_WHICH)
    def fill(self, which: int) -> None:
        """Send all that is missing, as most clients do, and complete."""
        upload_id, item = self.one(which, "receiving")
        for number in range(0 if item.size is None else item.count):
            if item.state == "receiving" and number not in item.kept:
                body = item.place(number) * b"x"
                self._same(
                    item.put(number, body), partial(self._put, upload_id, number, Bytes(body))
                )
        uploads = self.world.factory.services.uploads
        self._same(item.complete(), lambda: uploads.complete(CALLER, upload_id))

    @precondition(lambda self: self.items)
    @rule(which=_WHICH)
    def complete(self, which: int) -> None:
        upload_id, item = self.one(which)
        uploads = self.world.factory.services.uploads
        self._same(item.complete(), lambda: uploads.complete(CALLER, upload_id))

    @precondition(lambda self: self.items)
    @rule(which=_WHICH, really=_RARELY)
    def cancel(self, which: int, *, really: bool) -> None:
        upload_id, item = self.one(which)
        uploads = self.world.factory.services.uploads
        if really:
            self._same(item.cancel(), lambda: uploads.cancel(CALLER, upload_id))

    @precondition(lambda self: self.some("ready"))
    @rule(which=_WHICH, hard=st.booleans())
    def delete(self, which: int, *, hard: bool) -> None:
        upload_id, item = self.one(which, "ready")
        files = self.world.factory.services.files
        self._same(item.delete(hard=hard), lambda: files.delete(CALLER, upload_id, hard=hard))

    @precondition(lambda self: self.some("failed", "processing", "ready"))
    @rule(which=_WHICH)
    def retry(self, which: int) -> None:
        upload_id, item = self.one(which, "failed", "processing", "ready")
        if item.has_job:
            jobs, job_id = self.world.factory.services.jobs, self.world.job_id(upload_id)
            if item.state == "failed":
                self.ends.pop(job_id, None)
            self._same(item.retry(), lambda: jobs.retry(ADMIN, job_id))

    # Workers, and what befalls them.

    @precondition(lambda self: self.world.redis.bell.processed)
    @rule()
    def work(self) -> None:
        if (job_id := self.world.rung()) is not None:
            self.of(job_id).work()
            self.world.work(job_id)

    @precondition(lambda self: self.world.redis.bell.processed)
    @rule()
    def work_without_store(self) -> None:
        if (job_id := self.world.rung()) is not None:
            self.of(job_id).work_without_store()
            with self.world.without_store():
                self.world.work(job_id)

    @precondition(lambda self: self.world.redis.bell.processed)
    @rule(calls=st.integers(0, _CALLS))
    def die_working(self, calls: int) -> None:
        if (job_id := self.world.rung()) is not None:
            self._die(job_id, calls)

    @precondition(lambda self: self.some("sealed", "processing"))
    @rule(which=_WHICH, calls=st.integers(5, 40))
    def poison(self, which: int, calls: int) -> None:
        """Whoever takes the job dies of it, until it is given up."""
        upload_id, _ = self.one(which, "sealed", "processing")
        for _ in range(MOST_ATTEMPTS):
            self.reconcile()
            self._die(self.world.job_id(upload_id), calls)
        self.reconcile()

    def _die(self, job_id: str, calls: int) -> None:
        item, before = self.of(job_id), self.world.job(job_id)
        if not self.world.until_death(calls, lambda: self.world.work(job_id)):
            item.work()
            return
        after = self.world.job(job_id)
        claimed, published = after["fence"] > before["fence"], after["state"] == "succeeded"
        item.die(claimed=claimed, published=published)

    @rule()
    def lose_redis(self) -> None:
        self.world.redis.lose()

    @rule()
    def reconcile(self) -> None:
        """Time passes, and somebody looks for what was forgotten."""
        let_time_pass(self.world.calm)
        self.world.factory.reconciler().round()
        for item in self.items.values():
            item.reconcile()

    @rule()
    def sweep(self) -> None:
        self.world.sweep()
        for item in self.items.values():
            item.let_time_pass()

    @precondition(lambda self: self.some("receiving"))
    @rule(which=_WHICH, really=_RARELY)
    def expire(self, which: int, *, really: bool) -> None:
        upload_id, item = self.one(which)
        if not really:
            return
        self.world.execute("UPDATE uploads SET expires_at = 0 WHERE id = :id", id=upload_id)
        self.world.factory.services.sweeps.run("expired-uploads")
        item.expire()

    def _same(self, wanted: str, ask: Callable[[], object]) -> None:
        got = answered(ask)
        assert got == wanted, f"the answer is {got}, and should be {wanted}"

    def _put(self, upload_id: str, number: int, body: Bytes) -> None:
        self.world.factory.services.chunks.put(CALLER, upload_id, number, body, None)

    def _chunk(self, which: int, number: int) -> tuple[str, Item, int, bytes]:
        """Return an upload, one of its chunks, and the bytes that it has unless they are others."""
        upload_id, item = self.numbered[which % len(self.numbered)]
        number %= item.count
        return upload_id, item, number, item.place(number) * b"x"
