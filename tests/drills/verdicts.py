"""The invariants of one story, held against the ports of this process instead of a stack's bucket."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Self

from shared.errors import AppError, NotFound
from shared.model.direct import Direct
from shared.model.lifecycle import JobState, UploadState
from shared.model.upload import Upload
from shared.ports import ObjectStore
from tests.drills.granted import pieces_of
from tests.drills.invariants import Judge
from tests.drills.ledger import Entry
from tests.drills.load import digest
from tests.drills.staged import StagedInFolder
from tests.drills.stories import Scene
from tests.support.factory import Factory

_HOLDING: Final = frozenset(
    {UploadState.RECEIVING, UploadState.SEALED, UploadState.PROCESSING, UploadState.FAILED}
)
_ENDS: Final = {
    "wrong": JobState.REJECTED,
    "spoiled": JobState.REJECTED,
    "cancelled": None,
    "recalled": JobState.CANCELLED,
    "revoked": None,
    "withdrawn": None,
    "weighed": None,
}
_SAID: Final = {
    "wrong": ["file.rejected"],
    "spoiled": ["file.rejected"],
    "cancelled": [],
    "recalled": [],
    "revoked": [],
    "withdrawn": [],
    "weighed": [],
    "deleted": ["file.deleted", "file.ready"],
    "replaced": ["file.deleted", "file.ready", "file.ready"],
    "retouched": ["file.deleted", "file.ready", "file.ready"],
}


@dataclass(frozen=True)
class PortJudge(Judge):
    """Looks into any store through its port."""

    objects: ObjectStore

    @classmethod
    def of(cls, factory: Factory) -> Self:
        staging = StagedInFolder(factory.folder / "staging")
        return cls(factory.records._engine, staging, factory.objects)

    def sizes(self) -> Mapping[str, int]:
        return {each.key: each.size for each in self.objects.listing()}

    def begun(self) -> Iterator[str]:
        return (each.key for each in self.objects.open_multiparts())

    def content(self, key: str) -> Iterator[bytes]:
        found = self.objects.find(key)
        if found is None:
            raise KeyError(key)
        try:
            yield from self.objects.read(key, 0, found.size)
        except NotFound:
            raise KeyError(key) from None


def staged(scene: Scene) -> Iterator[str]:
    """I1, right after the crash: what was acknowledged can be read back while its upload is open."""
    client, factory = scene.client, scene.factory
    if client.upload_id is None:
        return
    with factory.records.read() as rows:
        upload = rows.uploads.find(client.upload_id)
        chunks = rows.chunks.of(client.upload_id)
        direct = rows.direct.find(client.upload_id)
    if upload is None or upload.state not in _HOLDING:
        return
    if direct is not None:
        yield from _not_sent(scene, upload, direct)
    by_number: dict[int, bytes] = {}
    for chunk in chunks:
        try:
            body = b"".join(factory.staging.read(chunk, 64 * 1024))
        except AppError as error:
            yield f"I1: chunk {chunk.number} has a row and no bytes: {error}"
            continue
        by_number[chunk.number] = by_number.get(chunk.number, b"") + body
    yield from _not_kept(scene, upload, by_number)


def _not_sent(scene: Scene, upload: Upload, direct: Direct) -> Iterator[str]:
    """I1 of what never passed us: what was sealed lies in the store, the very bytes."""
    objects = scene.factory.objects
    if upload.state is UploadState.RECEIVING:
        yield from _parts_lost(scene, direct)
        return
    if "spoil" in scene.told.answers():
        return
    try:
        there = b"".join(objects.read(direct.key, 0, upload.received, etag=direct.etag))
    except AppError as error:
        yield f"I1: what was sent of {upload.id} was sealed and is not there: {error}"
        return
    if there != scene.client.content:
        yield f"I1: what was sealed of {upload.id} is not what was sent"


def _parts_lost(scene: Scene, direct: Direct) -> Iterator[str]:
    """I1 of what is not sealed yet: parts that the store has acknowledged are there, or are joined."""
    store = scene.factory.services.unsized.direct.store
    sent = pieces_of(scene.client)
    if not sent or direct.multipart_id is None or scene.factory.objects.find(direct.key):
        return
    try:
        there = {part.number: part.etag for part in store.parts(direct.key, direct.multipart_id)}
    except NotFound:
        there = {}
    for number in sorted(sent):
        if there.get(number) != sent[number]:
            yield f"I1: part {number} was acknowledged and is not in the store"


def _not_kept(scene: Scene, upload: Upload, by_number: dict[int, bytes]) -> Iterator[str]:
    for operation, facts in scene.told.answers().items():
        verb, _, which = operation.partition("-")
        if verb == "put" and by_number.get(int(which)) != scene.client.piece(int(which)):
            yield f"I1: {operation} was acknowledged and is not what was sent"
        if verb == "part" and by_number.get(int(which)) != scene.client.piece(int(which)):
            yield f"I1: {operation} was acknowledged and is not what was sent"
        if verb in {"append", "patch"}:
            there = by_number.get(0, b"")
            wanted = scene.client.content[: facts["received"]]
            if there[: len(wanted)] != wanted:
                yield f"I1: {operation} was acknowledged and is not what was sent"
        if verb == "submit" and by_number.get(0) != scene.client.content:
            yield f"I1: the submission {upload.id} was acknowledged and is not what was sent"


def ended(scene: Scene) -> Iterator[str]:
    """Everything, once the story is over and the sweeps have run twice."""
    judge = PortJudge.of(scene.factory)
    yield from judge.check([_entry(scene)]).breaches
    yield from _left(judge)
    yield from _ends(scene, judge)
    yield from _heard(scene, judge)


def _entry(scene: Scene) -> Entry:
    """The upload as its client knows it; what ends as no file is for `_ends` to judge."""
    client, answers = scene.client, scene.told.answers()
    entry = Entry(scene.kind.name, digest(client.content), len(client.content), client.upload_id)
    numbers = [int(each[4:]) for each in answers if each.startswith("put-")]
    entry.chunks = {number: digest(client.piece(number)) for number in numbers}
    last = "send-0" if scene.kind.is_adopted else "complete"
    entry.sealed = bool(answers.keys() & {last, "submit", "patch-1", "join", "finish", "post"})
    entry.cancelled = not scene.kind.is_file
    return entry


def _left(judge: PortJudge) -> Iterator[str]:
    """I3: no row of what was sent to the store that is nobody's any more."""
    for row in judge.rows("SELECT key FROM direct"):
        yield f"I3: the row of what was sent to {row['key']} is there for ever"


def _ends(scene: Scene, judge: PortJudge) -> Iterator[str]:
    """I2 and I5: the job ended as it had to, and there is one file, or none."""
    kind = scene.kind
    states = [row["state"] for row in judge.rows("SELECT state FROM jobs")]
    end = _ENDS.get(kind.name, JobState.SUCCEEDED)
    count = 1 + kind.replaces
    if states != ([] if end is None else [end] * count):
        yield f"I5: the job is {states}, not {end}"
    files, copies = judge.rows("SELECT id, sha256 FROM files"), _copies(judge)
    if len(files) - len(copies) != kind.is_file:
        yield f"I2: {len(files) - len(copies)} files of one upload"
    answer, tries = scene.told.answers().get("copy"), len(scene.told.lines("copying"))
    if answer is not None and answer["file_id"] not in copies:
        yield "I1: a copy was acknowledged and is not there"
    if len(copies) > tries or {row["sha256"] for row in files} - {digest(scene.client.content)}:
        yield f"I2: {len(copies)} copies of {tries} requests, or of something else"
    if kind.is_granted:
        yield from _granted(scene, judge)
        return
    # What a client never heard of waits until it expires.
    some = " WHERE state NOT IN ('receiving', 'joined')" if kind.opens_anew else ""
    uploads = judge.rows(f"SELECT id FROM uploads{some}")  # noqa: S608  # from here
    if len(uploads) != count:
        yield f"I2: {len(uploads)} uploads of {count} requests"


def _granted(scene: Scene, judge: PortJudge) -> Iterator[str]:
    """I2 and I5 of what came by a grant: its upload ended so, and all that nobody heard of."""
    end = UploadState.READY if scene.kind.is_file else UploadState.CANCELLED
    states = {row["id"]: row["state"] for row in judge.rows("SELECT id, state FROM uploads")}
    if states.pop(scene.client.upload_id or "", None) != end:
        yield f"I5: the upload is not {end}"
    for upload_id, state in states.items():
        if state not in {UploadState.EXPIRED, UploadState.CANCELLED}:
            yield f"I2: {upload_id}, which nobody heard of, is {state}"
    revoked = scene.told.answers().get("revoke", {}).get("grant_id")
    if revoked in {row["id"] for row in judge.rows("SELECT id FROM grants")}:
        yield "I5: the grant was revoked and is in force"


def _copies(judge: PortJudge) -> list[str]:
    """Return the files that nobody sent."""
    found = judge.rows("SELECT id FROM files WHERE id NOT IN (SELECT id FROM uploads)")
    return [row["id"] for row in found]


def _heard(scene: Scene, judge: PortJudge) -> Iterator[str]:
    """I7: every event was owed once and heard at least once."""
    rows = judge.rows("SELECT type, state, event_id FROM deliveries ORDER BY type")
    heard = {line["event"] for line in scene.told.lines("heard")}
    said = [row["type"] for row in rows]
    expected = _SAID.get(scene.kind.name, ["file.ready"] * (1 + len(_copies(judge))))
    if said != expected:
        yield f"I7: what was owed is {said}"
    for row in rows:
        if row["state"] != "delivered" or row["event_id"] not in heard:
            yield f"I7: {row['type']} is {row['state']}, and was not heard"


def robbed(scene: Scene) -> Iterator[str]:
    """I10: who lost its job to another changed nothing of it any more."""
    for line in scene.told.lines("robbed"):
        with scene.factory.records.read() as rows:
            job = rows.jobs.find(line["job_id"])
        now = None if job is None else (job.state, job.version)
        if now != (JobState.RUNNING, line["version"]):
            yield f"I10: a worker that had lost its job changed it: {now}, was {line['version']}"
