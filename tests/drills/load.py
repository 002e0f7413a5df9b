"""Clients that upload through whatever happens, as good clients do: they repeat until answered."""

import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import count as counted
from typing import Any, Final

import requests

from tests.drills.ledger import Entry, Ledger
from tests.support.pictures import a_png
from tests.support.waiting import eventually

PATIENCE_SECONDS: Final = 120.0
_REQUEST_SECONDS: Final = 30.0
# What a service says whose parts die: done, or not now. Anything else is a fault, though clients repeat it.
ANSWERS: Final = frozenset({200, 201, 202, 503})
_REPEATED: Final = frozenset({429, 500, 502, 503, 504, 507})
_CHUNK: Final = 64 * 1024


@dataclass(frozen=True)
class Clients:
    """`statuses` counts what was answered, by status; no answer at all counts as 0.

    `took` has for each request when it began, by the monotonic clock, and its seconds.
    """

    base_url: str
    token: str
    ledger: Ledger
    seed: int
    statuses: dict[int, int] = field(default_factory=dict)
    took: list[tuple[float, float]] = field(default_factory=list)
    large_chunk: int = 4 * 1024 * 1024  # bytes, of a file that is large
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def upload_all(
        self, count: int, *, at_once: int = 8, first: int = 0, large: int = 0
    ) -> list[Entry]:
        """Upload `count` files of several kinds; every `large`-th takes more than one S3 part."""
        with ThreadPoolExecutor(at_once) as pool:
            works = [
                pool.submit(self.upload, number, is_large=large > 0 and number % large == 0)
                for number in range(first, first + count)
            ]
            wait(works, return_when=FIRST_EXCEPTION)
            pool.shutdown(wait=False, cancel_futures=True)  # one that fails is enough
            return [work.result() for work in works if not work.cancelled()]

    def upload_until(
        self,
        is_enough: Callable[[], bool],
        *,
        at_least: int,
        at_once: int = 8,
        first: int = 0,
        large: int = 0,
        may_go_on: Callable[[], bool] = lambda: True,
    ) -> list[Entry]:
        """Upload files of several kinds: so many, and further ones until it is enough.

        Each client waits until it may go on, so that a load need not run ahead of the workers.
        """
        numbers = counted(first)

        def work() -> list[Entry]:
            done = []
            while (number := next(numbers)) < first + at_least or not is_enough():
                is_large = large > 0 and number % large == 0
                done.append(self.upload(number, is_large=is_large))
                eventually(may_go_on, PATIENCE_SECONDS, says="the workers are not heard of")
            return done

        with ThreadPoolExecutor(at_once) as pool:
            works = [pool.submit(work) for _ in range(at_once)]
            return [entry for each in works for entry in each.result()]

    def upload(self, number: int, *, is_large: bool = False) -> Entry:
        """Open, send in chunks in any order, and seal one upload."""
        said = random.Random(f"{self.seed}/{number}")  # noqa: S311  # a drill is replayed from it
        filename, content = a_file(said, is_large=is_large)
        entry = self.ledger.begin(f"{number}-{filename}", digest(content), len(content))
        chunk_size = self.large_chunk if is_large else _CHUNK
        with requests.Session() as session:
            session.trust_env = False
            opened = self._until(
                session,
                entry,
                "open",
                "POST",
                "/api/v1/uploads",
                json={"filename": entry.name, "size": len(content), "chunk_size": chunk_size},
                headers={"Idempotency-Key": f"{self.seed}-{entry.name}"},
            )
            entry.upload_id = opened["id"]
            chunks = list(enumerate(pieces(content, chunk_size)))
            said.shuffle(chunks)
            for index, chunk in chunks:
                path = f"/api/v1/uploads/{entry.upload_id}/chunks/{index}"
                self._until(session, entry, f"chunk {index}", "PUT", path, data=chunk)
                entry.chunks[index] = digest(chunk)
            path = f"/api/v1/uploads/{entry.upload_id}/complete"
            entry.job_id = self._until(session, entry, "complete", "POST", path, json={})["id"]
            entry.sealed = True
        return entry

    def _until(
        self, session: requests.Session, entry: Entry, op: str, method: str, path: str, **said: Any
    ) -> dict[str, Any]:
        """Repeat a request until it is answered for good; return the answer's body."""

        def once() -> (
            tuple[requests.Response] | None
        ):  # a refusal is false, and an answer all the same
            try:
                response = self._send(session, method, path, **said)
            except requests.RequestException:
                self._count(0)
                return None
            self._count(response.status_code)
            return None if response.status_code in _REPEATED else (response,)

        with self.ledger.asked(entry, op):
            answer = eventually(once, PATIENCE_SECONDS, every=0.1, says=f"{entry.name}: no {op}")
            assert answer is not None
            (response,) = answer
            assert response.ok, (
                f"{op} of {entry.name}: {response.status_code} {response.text[:300]}"
            )
        body: dict[str, Any] = response.json()
        return body

    def _send(
        self, session: requests.Session, method: str, path: str, **said: Any
    ) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}", **said.pop("headers", {})}
        began = time.monotonic()
        try:
            response = session.request(
                method, f"{self.base_url}{path}", timeout=_REQUEST_SECONDS, headers=headers, **said
            )
        finally:
            self.took.append((began, time.monotonic() - began))
        has_length = "Content-Length" in response.headers
        if not has_length and response.status_code != HTTPStatus.NO_CONTENT:
            # http.client takes a connection that broke within the head for the head's end.
            raise requests.ConnectionError("The answer was cut in its head.")
        return response

    def _count(self, status: int) -> None:
        with self._lock:
            self.statuses[status] = self.statuses.get(status, 0) + 1


@dataclass
class Poller:
    """Polls jobs all the while; `breaches` says where a status went back, or could not be read."""

    clients: Clients
    breaches: list[str] = field(default_factory=list)
    polls: int = 0

    def run(self, over: threading.Event) -> None:
        """Poll all jobs there are, a hundred in a request, until `over`."""
        seen: dict[str, tuple[bool, str]] = {}
        with requests.Session() as session:
            session.trust_env = False
            while not over.wait(0.2):
                ids = [each.job_id for each in self.clients.ledger.entries if each.job_id]
                for batch in pieces(ids, 100):
                    try:
                        self._look(session, batch, seen)
                    except requests.RequestException as error:
                        self.breaches.append(f"a poll was not answered: {error!r}")

    def _look(
        self, session: requests.Session, ids: list[str], seen: dict[str, tuple[bool, str]]
    ) -> None:
        said = self.clients._send(session, "GET", f"/api/v1/jobs?ids={','.join(ids)}")
        if not said.ok:
            self.breaches.append(f"a poll was answered {said.status_code}")
            return
        for job in said.json()["items"]:
            self.polls += 1
            before = seen.get(job["id"], (False, ""))
            now = (job["state"] in {"succeeded", "rejected", "failed", "cancelled"}, job["state"])
            if before[0] and now != before:
                self.breaches.append(f"{job['id']} went from {before[1]} to {now[1]}")
            seen[job["id"]] = now


def a_file(said: random.Random, *, is_large: bool = False) -> tuple[str, bytes]:
    """Return a name and content that no other seed makes: text, picture, or more than 8 MiB of text."""
    if is_large:
        line = said.randbytes(24).hex().encode() + b"\n"
        return "large.txt", line * (9 * 1024 * 1024 // len(line)) + said.randbytes(8).hex().encode()
    if said.random() < 0.2:  # a fifth
        picture = a_png(said.randrange(20, 60), said.randrange(20, 60))
        return "picture.png", picture + said.randbytes(16)
    size = said.choice([1, 100, 5_000, 70_000, 200_000])
    return "text.txt", said.randbytes(size).hex().encode()[:size]


def pieces(content: Any, size: int) -> Iterator[Any]:
    return (content[start : start + size] for start in range(0, len(content), size))


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


Work = Callable[[threading.Event], None]


def ending(done: threading.Event, work: Work) -> Work:
    """Do the work, and then say so: whoever waits for that hears of it when it failed, too."""

    def ended(over: threading.Event) -> None:
        try:
            work(over)
        finally:
            done.set()

    return ended


def meanwhile(*works: Work) -> "Meanwhile":
    return Meanwhile(works)


class Meanwhile:
    """Threads that go on until the block ends; what one of them raised is raised then."""

    def __init__(self, works: tuple[Work, ...]) -> None:
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(max(1, len(works)))
        self._works = works

    def __enter__(self) -> None:
        self._running = [self._pool.submit(work, self._over) for work in self._works]

    def __exit__(self, *why: object) -> None:
        self._over.set()
        self._pool.shutdown()
        for work in self._running:
            work.result()
