"""The requests of a story's client; those by a grant are in `granted`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from shared.errors import NotFound
from shared.model.caller import Caller, Scope
from shared.model.layout import Layout
from shared.model.lifecycle import JobState
from shared.model.upload import NewUpload, Transfer
from shared.services.copies import NewCopy
from shared.services.joining import Parts
from shared.wiring import Services
from tests.drills import granted
from tests.drills.kinds import Kind
from tests.drills.load import digest, pieces
from tests.drills.told import Told
from tests.support.straight import StraightObjects
from tests.support.streams import append
from tests.support.workshop import Bytes

CALLER: Final = Caller(
    "drill", scopes=frozenset({Scope.FILES_READ, Scope.FILES_WRITE, Scope.FILES_DELETE})
)
_KEY: Final = "drilled"
_BARE: Final = Layout("{name}")
_OPENING: Final = ("open", "submit", "begin", "join", "start", "form")
_BASE: Final = -1  # the seed of what is replaced


@dataclass(frozen=True)
class Client:
    """Sends one kind of upload, and notes what was answered."""

    kind: Kind
    content: bytes
    services: Services
    told: Told
    caller: Caller = CALLER

    def ask(self, operation: str) -> None:
        """Send one request; raises what refuses it."""
        verb, _, which = operation.partition("-")
        facts = _REQUESTS[verb](self, which)
        self.told.write("answered", operation=operation, **facts)

    @property
    def upload_id(self) -> str | None:
        answers = self.told.answers()
        first = next((answers[each] for each in _OPENING if each in answers), None)
        return None if first is None else str(first["upload_id"])

    def piece(self, number: int) -> bytes:
        return bytes(list(pieces(self.content, self.kind.chunk_size))[number])

    def _open(self, which: str) -> dict[str, Any]:
        del which
        new = NewUpload(
            self.kind.filename,
            size=None if self.kind.is_stream else len(self.content),
            chunk_size=self._chunk_size(),
            sha256=self._sha256(),
            layout=_BARE if self.kind.replaces else None,
            replace=self.kind.replaces,
            transfer=Transfer.DIRECT if self.kind.is_direct else Transfer.CHUNKED,
        )
        opened = self.services.uploads.open(CALLER, new, idempotency_key=_KEY)
        if opened.is_receiving_directly:
            self.services.targets.sign_first(CALLER, opened.id, is_kept=True)
        return {"upload_id": opened.id}

    def _sha256(self) -> str | None:
        if self.kind.is_spoiled:
            return None  # which would tell other bytes all the same
        return "0" * 64 if self.kind.wrong_sha256 else digest(self.content)

    def _chunk_size(self) -> int | None:
        is_one_put = self.kind.is_direct and not self.kind.has_parts
        return None if is_one_put else self.kind.chunk_size

    def _send(self, which: str) -> dict[str, Any]:
        """Ask for a link, and send to the store what it is for."""
        number = int(which)
        (target,) = self.services.targets.sign(CALLER, self.there(), numbers=[number]).targets
        body = self.piece(number) if self.kind.has_parts else self.content
        self.store.take(target.url, body)
        return {"length": len(body), "url": target.url}

    def _spoil(self, which: str) -> dict[str, Any]:
        """Send other bytes with a link that still works, after what was sent is sealed."""
        del which
        self.store.take(self.told.answers()["send-0"]["url"], self.content[::-1])
        return {}

    @property
    def store(self) -> StraightObjects:
        return cast("StraightObjects", self.services.objects)

    def _base(self, which: str) -> dict[str, Any]:
        """Send the file that is replaced later."""
        del which
        uploads, new = self.services.uploads, NewUpload(self.kind.filename, layout=_BARE)
        with uploads.begin_submission(CALLER, new.filename) as intake:
            intake.take(Bytes(self.kind.content(_BASE)))
            job = uploads.submit(CALLER, new, intake, idempotency_key="base")
        return {"job_id": job.id}

    def _put(self, which: str) -> dict[str, Any]:
        number = int(which)
        body = Bytes(self.piece(number))
        receipt = self.services.chunks.put(CALLER, self.there(), number, body, None)
        return {"length": receipt.length}

    def _append(self, which: str) -> dict[str, Any]:
        """Ask how far the stream came, and go on from there."""
        there = self.services.uploads.status(CALLER, self.there()).upload.received
        body = self.content[there : (int(which) + 1) * self.kind.chunk_size]
        if body:
            append(self.services, CALLER, self.there(), there, Bytes(body))
        return {"received": there + len(body)}

    def _begin(self, which: str) -> dict[str, Any]:
        """Open an upload that goes on at its offset."""
        del which
        new = NewUpload(self.kind.filename, len(self.content), transfer=Transfer.STREAM)
        new = replace(new, sha256=self._sha256())
        return {"upload_id": self.services.resuming.open(CALLER, new, None).capability.upload_id}

    def _patch(self, which: str) -> dict[str, Any]:
        """Ask for the offset and go on from there; a client that finds all there is content."""
        upload = self.services.uploads.status(CALLER, self.there()).upload
        there = upload.received
        body = self.content[there : (int(which) + 1) * self.kind.chunk_size]
        if body:
            self.services.resuming.append(CALLER, upload, there, Bytes(body))
        return {"received": there + len(body)}

    def _part(self, which: str) -> dict[str, Any]:
        body = self.piece(int(which))
        new = NewUpload("upload", len(body), transfer=Transfer.PART)
        opened = self.services.resuming.open(CALLER, new, None, Bytes(body))
        return {"part": opened.capability.upload_id}

    def _join(self, which: str) -> dict[str, Any]:
        del which
        answers = self.told.answers()
        parts = [answers[f"part-{number}"]["part"] for number in range(self.kind.parts)]
        new = NewUpload(self.kind.filename, sha256=self._sha256())
        opened = self.services.resuming.join(CALLER, new, None, Parts(parts, "final;…"))
        return {"upload_id": opened.capability.upload_id}

    def _complete(self, which: str) -> dict[str, Any]:
        del which
        return {"job_id": self.services.uploads.complete(CALLER, self.there()).id}

    def _submit(self, which: str) -> dict[str, Any]:
        del which
        uploads, new = self.services.uploads, NewUpload(self.kind.filename)
        with uploads.begin_submission(CALLER, new.filename) as intake:
            intake.take(Bytes(self.content))
            job = uploads.submit(CALLER, new, intake, idempotency_key=_KEY)
        return {"upload_id": job.upload_id, "job_id": job.id}

    def _cancel(self, which: str) -> dict[str, Any]:
        del which
        self.services.uploads.cancel(CALLER, self.there())
        return {}

    def _delete(self, which: str) -> dict[str, Any]:
        """Delete the file once its job has succeeded, which is when a client knows of it."""
        del which
        job = self.services.uploads.status(CALLER, self.there()).job
        assert job is not None
        if job.state is not JobState.SUCCEEDED:
            raise NotFound("file")
        was_tried = bool(self.told.lines("deleting"))
        self.told.write("deleting")
        try:
            self.services.files.delete(CALLER, self.there(), hard=True)
        except NotFound:
            if not was_tried:
                raise  # nobody can have deleted it before
        return {}

    def _copy(self, which: str) -> dict[str, Any]:
        """Copy the file once its job has succeeded; each repeat may make another copy."""
        del which
        job = self.services.uploads.status(CALLER, self.there()).job
        assert job is not None
        if job.state is not JobState.SUCCEEDED:
            raise NotFound("file")
        self.told.write("copying")
        made = self.services.copies.copy(CALLER, self.there(), NewCopy(filename="again.png"))
        return {"file_id": made.id}

    def there(self) -> str:
        upload_id = self.upload_id
        assert upload_id is not None
        return upload_id


_REQUESTS: Final[Mapping[str, Callable[[Client, str], dict[str, Any]]]] = {
    "base": Client._base,
    "open": Client._open,
    "put": Client._put,
    "send": Client._send,
    "spoil": Client._spoil,
    "append": Client._append,
    "begin": Client._begin,
    "patch": Client._patch,
    "part": Client._part,
    "join": Client._join,
    "complete": Client._complete,
    "submit": Client._submit,
    "cancel": Client._cancel,
    "delete": Client._delete,
    "copy": Client._copy,
    **granted.REQUESTS,
}
