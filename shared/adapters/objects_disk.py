"""Objects in a folder, for one box without S3 (`STORAGE_BACKEND=local`).

An object is a file below `objects/`, or a folder of another name on that disk, linked into place so
that creating is exclusive; its facts lie below `facts/` and are there first. Both are put there, and
removed, under a lock of the folder, so that nobody rewrites or takes the facts of an object that is
there, and what was seen of it decides.
Links for outsiders are our own, signed and expiring.
"""

import contextlib
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from io import BytesIO, FileIO
from pathlib import Path
from typing import Any, Final

from shared.adapters import objects_disk_facts as facts_of
from shared.adapters.durable import sync
from shared.adapters.objects_disk_faults import begun, translated
from shared.adapters.objects_disk_folders import (
    blocks,
    expected_etag,
    keys_below,
    lies_at,
    link_over,
    make_folder,
)
from shared.adapters.objects_disk_links import DiskLinks
from shared.adapters.objects_disk_lock import LONGEST_SECONDS, locked
from shared.errors import Conflict, KeyTaken, NotFound, Unavailable
from shared.model.digest import crc64
from shared.model.naming import HIGH_WATER
from shared.model.stored import UPLOAD_ID, OpenMultipart, Part, StoredObject, Written

_IN_THE_WAY: Final = (FileExistsError, IsADirectoryError, NotADirectoryError)
_BLOCK: Final = 1024**2


class DiskObjects(DiskLinks):
    def __init__(
        self,
        root: Path,
        *,
        base_url: str,
        secret: str,
        folder: Path | None = None,
        lock_seconds: float = LONGEST_SECONDS,
    ) -> None:
        self._root, self._lock_seconds = root, lock_seconds
        self._objects = folder or root / "objects"
        super().__init__(base_url, secret)
        for each in (self._objects.parent, root, self._objects, root / "facts", root / "parts"):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)

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
        del is_public
        multipart_id = self.begin_multipart(key, content_type=content_type, upload_id=upload_id)
        try:
            part = self.put_part(key, multipart_id, 1, 0, BytesIO(body))
            return self.complete_multipart(key, multipart_id, [part], over=over)
        finally:
            self.abort_multipart(key, multipart_id)

    def begin_multipart(
        self, key: str, *, content_type: str, upload_id: str, is_public: bool = False
    ) -> str:
        del is_public
        multipart_id = secrets.token_hex(16)
        facts = {"key": key, "content_type": content_type, "upload_id": upload_id}
        with begun(), translated():
            self._part_file(multipart_id).touch(mode=0o600)
            self._part_facts(multipart_id).write_text(json.dumps(facts))
        return multipart_id

    def put_part(
        self, key: str, multipart_id: str, number: int, offset: int, body: BytesIO
    ) -> Part:
        del key
        with body.getbuffer() as content:
            with begun(), translated(), self._part_file(multipart_id).open("r+b") as target:
                target.seek(offset)
                target.write(content)
            etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
            return Part(number, offset, len(content), etag, crc64(content))

    def complete_multipart(
        self, key: str, multipart_id: str, parts: Sequence[Part], *, over: str | None = None
    ) -> str:
        return self._completed(key, multipart_id, expected_etag(parts), over)

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
        note: object = None,
        check: object = None,
    ) -> str:
        del is_public, note, check  # nobody else copies files of such a size here
        multipart_id = self.begin_multipart(key, content_type=content_type, upload_id=upload_id)
        try:
            with translated():
                self._refuse_taken(key, None)  # before it costs anything
                with self._locked():  # so that the facts are of these bytes
                    there, original = self.find(source), self._object_file(source).open("rb")
            with original:
                if there is None or (there.etag, there.size) != (etag, size):
                    raise NotFound("object")
                with begun(), translated(), self._part_file(multipart_id).open("r+b") as target:
                    shutil.copyfileobj(original, target, _BLOCK)
            return self._completed(key, multipart_id, etag)
        finally:
            self.abort_multipart(key, multipart_id)

    def abort_multipart(self, key: str, multipart_id: str) -> None:
        del key
        with translated():
            for path in (
                self._part_file(multipart_id),
                self._part_facts(multipart_id, "link"),
                self._part_facts(multipart_id, "fresh"),
                self._part_facts(multipart_id),
            ):
                path.unlink(missing_ok=True)

    def holds(self, key: str, upload_id: str, written: Written) -> str | None:
        there = self.find(key)
        if there is None or there.upload_id != upload_id:
            return None
        return there.etag if there.etag == expected_etag(written) else None

    def find(self, key: str) -> StoredObject | None:
        try:
            with translated():
                body, facts = facts_of.look(self._object_file(key), self._facts_file(key))
        except NotFound:
            return None
        return StoredObject(
            key,
            body.st_size,
            facts["etag"],
            facts["content_type"],
            datetime.fromtimestamp(body.st_mtime, UTC),
            {UPLOAD_ID: facts["upload_id"]},
        )

    def read(self, key: str, start: int, stop: int, *, etag: str | None = None) -> Iterator[bytes]:
        with translated():
            source = self._opened(key, etag)
            if source is None:  # or it is being written over just now
                with self._locked():
                    source = self._opened(key, etag)
        if source is None:
            raise NotFound("object") if self.find(key) is None else KeyTaken("This is another.")
        return blocks(source, start, stop)

    def delete(self, keys: Sequence[str]) -> None:
        with translated(), self._locked():
            for key in keys:
                self._remove(key)

    def delete_seen(self, seen: StoredObject) -> bool:
        with translated(), self._locked():
            if is_same := (self.find(seen.key) == seen):
                self._remove(seen.key)
        return is_same

    def listing(self, *, after: str = "") -> Iterator[StoredObject]:
        for key in keys_below(self._objects, ""):
            if key > after and not key.startswith(HIGH_WATER) and (found := self.find(key)):
                yield found

    def open_multiparts(self) -> Iterator[OpenMultipart]:
        for said in (self._root / "parts").glob("*.json"):
            # Gone meanwhile, or not written yet.
            with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
                started_at = datetime.fromtimestamp(said.stat().st_mtime, UTC)
                yield OpenMultipart(json.loads(said.read_text())["key"], said.stem, started_at)

    def check(self) -> None:
        with translated():
            if not os.access(self._objects, os.W_OK):
                raise Unavailable("objects", "The folder of objects can't be written.")

    def _completed(self, key: str, multipart_id: str, etag: str, over: str | None = None) -> str:
        with begun(), translated():
            self._refuse_taken(key, over)  # before it costs anything
            facts = json.loads(self._part_facts(multipart_id).read_text()) | {"etag": etag}
            facts_of.save(self._part_facts(multipart_id, "fresh"), facts)
            sync(self._part_file(multipart_id))
            self._put_in_place(key, multipart_id, facts, over)
        self.abort_multipart(key, multipart_id)
        return etag

    def _opened(self, key: str, etag: str | None) -> FileIO | None:
        with contextlib.suppress(FileNotFoundError):
            source = self._object_file(key).open("rb", buffering=0)
            found = self.find(key)
            is_it = found is not None and etag in {None, found.etag}
            if is_it and lies_at(self._object_file(key), source):  # it was found of these bytes
                return source
            source.close()
        return None

    def _put_in_place(
        self, key: str, multipart_id: str, facts: dict[str, Any], over: str | None
    ) -> None:
        object_file, facts_file = self._object_file(key), self._facts_file(key)
        source, fresh = self._part_file(multipart_id), self._part_facts(multipart_id, "fresh")
        with self._locked():
            self._refuse_taken(key, over)
            if over is not None:
                facts_of.save(fresh, facts_of.over(object_file, facts_file, facts))
            try:
                for target in (facts_file, object_file):
                    make_folder(target.parent)
                fresh.replace(facts_file)
                sync(facts_file.parent)
                if over is None:
                    os.link(source, object_file)
                else:
                    link_over(source, self._part_facts(multipart_id, "link"), object_file)
                sync(object_file.parent)
            except _IN_THE_WAY as error:
                raise Conflict("The key lies below an object, or above one.") from error

    def _refuse_taken(self, key: str, over: str | None) -> None:
        if over is None:
            is_taken = self._object_file(key).is_file()
        else:
            there = self.find(key)
            is_taken = there is None or there.etag != over
        if is_taken:
            raise KeyTaken("There is another object under this key, or none.", key=key)

    def _remove(self, key: str) -> None:
        for path in (self._object_file(key), self._facts_file(key)):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                path.unlink()

    def _locked(self) -> AbstractContextManager[None]:
        return locked(self._root / "lock", self._lock_seconds)

    def _part_file(self, multipart_id: str) -> Path:
        return self._root / "parts" / multipart_id

    def _part_facts(self, multipart_id: str, kind: str = "json") -> Path:
        return self._root / "parts" / f"{multipart_id}.{kind}"

    def _object_file(self, key: str) -> Path:
        return self._objects / key

    def _facts_file(self, key: str) -> Path:
        return self._root / "facts" / f"{key}.json"
