"""The seams: what the services need of the outside, as Protocols.

An adapter implements a protocol and lets no foreign exception past itself: what does not answer is
`Unavailable`. The rows of the database have their own module, `shared.records`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO
from typing import Protocol

from shared.model.caller import Caller
from shared.model.job import JobStatus, Shown
from shared.model.rate import Standing
from shared.model.stored import OpenMultipart, Part, StoredObject, Written
from shared.model.upload import Chunk


class Clock(Protocol):
    """The wall clock of this host: for names and signatures, never for leases."""

    def now(self) -> datetime: ...

    def monotonic(self) -> float:
        """Return seconds that never go back, from any beginning: for how long something takes."""
        ...

    def wait(self, seconds: float) -> None: ...


class Sniffer(Protocol):
    def sniff(self, head: bytes) -> str:
        """Return the media type that the first bytes (at most 8 KiB are looked at) suggest."""
        ...


class Body(Protocol):
    """The bytes of a request as they arrive.

    `length` is what the client declared, if it did; `is_cut` says after the end that it was not
    the body's own. A server may show a cut body as a normal end: compare with `length`, too.
    """

    @property
    def length(self) -> int | None: ...

    @property
    def is_cut(self) -> bool: ...

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, b"" at the end, whichever end it is."""
        ...


class ChunkWriter(Protocol):
    """An attempt to store one chunk under a name of its own."""

    @property
    def name(self) -> str: ...

    def write(self, block: bytes, /) -> None: ...

    def keep(self) -> None:
        """Return once the bytes are on durable storage."""
        ...

    def drop(self) -> None: ...  # forgets the bytes, kept or not


@dataclass(frozen=True, slots=True)
class StagedChunk:
    """What lies in staging, whatever the rows say of it. `size` in bytes."""

    upload_id: str
    name: str
    size: int
    touched_at: datetime

    @property
    def place(self) -> str:
        return self.upload_id

    @property
    def path(self) -> str:
        """What it is called among all that is staged, also where its sightings are noted."""
        return f"{self.upload_id}/{self.name}"


class Staging(Protocol):
    """Bytes before publish. A name is written once and never touched again.

    Removing what is not there is success. A read of what is not there raises `Damaged`.
    Raises `StorageFull` when there is no room, otherwise `Unavailable`.
    """

    largest: int  # the most bytes that one name takes
    is_remote: bool  # whoever asks may wait for a store that does not answer

    def writer(self, upload_id: str, number: int, offset: int, length: int | None) -> ChunkWriter:
        """Begin a chunk; `length` bytes are set aside for it when that is known."""
        ...

    def read(self, chunk: Chunk, block_size: int, *, most: int | None = None) -> Iterator[bytes]:
        """Yield the bytes of a chunk, or the first `most` of them."""
        ...

    def discard(self, upload_id: str, names: Iterable[str]) -> None: ...

    def clear(self, *upload_ids: str) -> None: ...

    def listing(self) -> Iterator[StagedChunk]: ...

    def sizes(self, upload_id: str) -> dict[str, int]:
        """Return what lies there of one upload: names and their bytes."""
        ...

    def free_bytes(self) -> int: ...


class ObjectStore(Protocol):
    """Bytes after publish. Writes are create-only: a taken key raises `KeyTaken`.

    With `over`, an ETag, a write replaces what has that ETag, and nothing else: `KeyTaken` otherwise,
    also when nothing lies there any more. Directly before each attempt at a write `asking.ask` is called.

    Deleting or aborting what is not there is success. What does not answer raises `Unavailable`, as
    does a multipart upload that is gone: it has to begin again.
    """

    @property
    def gives_away(self) -> bool:
        """Whether objects of public files are given to anybody; else `set_public` does nothing."""

    def put(
        self,
        key: str,
        body: bytes,
        *,
        content_type: str,
        upload_id: str,
        is_public: bool = False,
        over: str | None = None,
    ) -> str:
        """Store a small object with its checksum verified; return its ETag without quotes.

        One that `is_public` the store may itself give to anybody; see `public_url`.
        """
        ...

    def begin_multipart(
        self, key: str, *, content_type: str, upload_id: str, is_public: bool = False
    ) -> str: ...

    def put_part(
        self, key: str, multipart_id: str, number: int, offset: int, body: BytesIO
    ) -> Part:
        """Store all of `body`, which stays the caller's to use again."""
        ...

    def complete_multipart(
        self, key: str, multipart_id: str, parts: Sequence[Part], *, over: str | None = None
    ) -> str:
        """Make the object of its parts, in order; return its ETag without quotes.

        Raises `NotJoined` when it is refused and some of the parts were copied.
        """
        ...

    def abort_multipart(self, key: str, multipart_id: str) -> None: ...

    def copy(
        self,
        source: str,
        key: str,
        *,
        etag: str,
        size: int,
        content_type: str,
        upload_id: str,
        is_public: bool = False,
        note: Callable[[str], object] | None = None,
        check: Callable[[], object] | None = None,
    ) -> str:
        """Copy an object of this ETag and size inside the store; return the copy's ETag.

        The copy has the type and the upload that are given here, none of the source's. It is there
        whole or not at all. Raises `NotFound` when the source is gone or another by now; of a source
        that is written over meanwhile no byte gets in.

        A copy in parts tells `note` of its multipart upload before there is a part, and asks `check`
        at least every second; what that raises ends the copy. It aborts what it has begun, unless
        that was no `AppError`: then whoever heard of it does.
        """
        ...

    def holds(self, key: str, upload_id: str, written: Written) -> str | None:
        """Return the ETag of what lies under `key` if it is this upload's and has these bytes."""
        ...

    def find(self, key: str) -> StoredObject | None:
        """Return what lies there, None for nothing; of a bucket that is gone `Unavailable` is raised."""
        ...

    def read(self, key: str, start: int, stop: int, *, etag: str | None = None) -> Iterator[bytes]:
        """Yield the bytes `[start, stop)`. Raises `NotFound` before the first one.

        With `etag` only of the object that has it, `KeyTaken` for any other.
        """
        ...

    def delete(self, keys: Sequence[str]) -> None:
        """Delete whatever lies there, now or late: only for keys that nobody else will ever have."""
        ...

    def delete_seen(self, seen: StoredObject) -> bool:
        """Delete an object if it is still the one that `find` returned.

        True when it is gone for good. False when it is another by now, or when a request stayed
        without an answer and may yet be obeyed: then the key is nobody's to use yet.
        """
        ...

    def listing(self, *, after: str = "") -> Iterator[StoredObject]:
        """Yield the objects whose keys come after `after`, in the order of keys.

        All but those below `naming.HIGH_WATER`, which are nobody's files.
        """
        ...

    def open_multiparts(self) -> Iterator[OpenMultipart]: ...

    def presign(
        self, key: str, lifetime: timedelta, *, disposition: str, content_type: str
    ) -> str: ...

    def set_public(self, key: str, *, is_public: bool) -> None:
        """Let the store give an object to anybody from now on, where it can do that, or to nobody."""
        ...

    def url(self, key: str) -> str: ...

    def public_url(self, key: str) -> str | None:
        """Return where anybody reads a public object, None if the store gives it to nobody."""
        ...

    def check(self) -> None:
        """Return if the store answers for its bucket, else raise `Unavailable`."""
        ...


class Cdn(Protocol):
    def url(self, key: str, *, is_public: bool) -> str:
        """Return where the object is read through the network; by who has a signature, if private."""
        ...


class Board(Protocol):
    """Where clients poll jobs. A cache: never ahead of the database, never going back.

    It never raises: a board that does not answer is an empty one.
    """

    def put(self, status: JobStatus) -> None:
        """Show `status` unless a newer version is there."""
        ...

    def find(self, job_ids: Sequence[str]) -> dict[str, Shown]: ...

    def forget(self, job_ids: Sequence[str]) -> None:
        """Show nothing of them, not even what is put within seconds: it was read before."""
        ...

    def beat(self, worker: str) -> None: ...

    def workers(self) -> list[str]:
        """Return the names of the workers that beat in the last half minute."""
        ...

    def check(self) -> None:
        """Return if the board answers, else raise `Unavailable`. The only verb that raises."""
        ...


class Rates(Protocol):
    def count(self, name: str, caller: Caller) -> Standing | None:
        """Count a request of `caller`, unless it is one too many.

        None where nothing limits what is called `name`, and when nobody can say: then it goes on.
        """
        ...


class Dispatcher(Protocol):
    """Says "look now" to the workers. Best effort: False when it could not be said."""

    def process(self, job_id: str) -> bool: ...

    def deliver(self, delivery_id: str) -> bool: ...

    def backlog(self, queue: str) -> int | None:
        """Return how many messages wait in `ingest` or `webhooks`, None when nobody answers."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What a webhook's receiver said: a status, or in `error` why there is none."""

    status: int | None
    error: str | None
    retry_after: timedelta | None


class Notifier(Protocol):
    def refuse(self, url: str) -> str | None:
        """Return why `url` may not be called (scheme, port, a private address), or None."""
        ...

    def send(self, url: str, body: bytes, headers: dict[str, str]) -> Answer:
        """POST `body` without following redirects; never raises for what the receiver does."""
        ...
