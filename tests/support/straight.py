"""A store in a folder that clients send to by themselves, with links, as they do to S3."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final

from shared.adapters.objects_disk import DiskObjects
from shared.adapters.objects_disk_folders import keys_below
from shared.errors import NotFound, TooLarge
from shared.model.direct import Form
from shared.model.stored import PartSeen, StoredObject

_NOBODY: Final = ""  # a client's object says of no upload that it is its


class StraightObjects(DiskObjects):
    """Its links are words for `take`. What is sent again lies there in place of what was."""

    def take(self, link: str, body: bytes) -> str:
        """Store what a client sends to a link, or to a form's address and key; return its ETag."""
        kind, first, second, key = link.split(":", 3)
        if kind == "part":
            self._known(first)
            self._sent(first, int(second)).write_bytes(body)
            return _md5(body)
        if kind == "form" and not int(first) <= len(body) <= int(second):
            raise TooLarge("The form is for another size.", limit=int(second))
        there = self.find(key)
        over = None if there is None else there.etag
        return self.put(key, body, content_type="application/x-sent", upload_id=_NOBODY, over=over)

    def sign_put(
        self, key: str, lifetime: timedelta, *, size: int | None, content_type: str | None
    ) -> str:
        del lifetime, size, content_type
        return f"put:::{key}"

    def sign_form(
        self, key: str, lifetime: timedelta, *, least: int, most: int, content_type: str | None
    ) -> Form:
        del lifetime, content_type
        return Form(f"form:{least}:{most}:", {"key": key})

    def begin_parts(self, key: str, *, content_type: str | None) -> str:
        return self.begin_multipart(key, content_type=content_type or "", upload_id=_NOBODY)

    def sign_part(
        self, key: str, multipart_id: str, number: int, lifetime: timedelta, *, size: int | None
    ) -> str:
        del lifetime, size
        return f"part:{multipart_id}:{number}:{key}"

    def parts(self, key: str, multipart_id: str) -> Iterator[PartSeen]:
        del key
        self._known(multipart_id)
        for path in self._all_sent(multipart_id):
            body = path.read_bytes()
            yield PartSeen(int(path.suffix[1:]), len(body), _md5(body))

    def join_parts(self, key: str, multipart_id: str, parts: Sequence[PartSeen]) -> None:
        self._known(multipart_id)
        bodies = [self._sent(multipart_id, part.number).read_bytes() for part in parts]
        self._part_file(multipart_id).write_bytes(b"".join(bodies))
        self._completed(key, multipart_id, f"{_md5(b''.join(bodies))}-{len(parts)}")

    def abort_multipart(self, key: str, multipart_id: str) -> None:
        for path in self._all_sent(multipart_id):
            path.unlink(missing_ok=True)
        super().abort_multipart(key, multipart_id)

    def waiting(self, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        for key in keys_below(self._objects, ""):
            if key.startswith(prefix) and key > after and (found := self.find(key)) is not None:
                yield found

    def find(self, key: str) -> StoredObject | None:
        found = super().find(key)
        if found is None or found.upload_id != _NOBODY:
            return found
        return replace(found, metadata={})

    def _known(self, multipart_id: str) -> None:
        if not self._part_facts(multipart_id).exists():
            raise NotFound("object")

    def _sent(self, multipart_id: str, number: int) -> Path:
        return self._part_file(f"{multipart_id}.{number}")

    def _all_sent(self, multipart_id: str) -> list[Path]:
        found = self._part_file(multipart_id).parent.glob(f"{multipart_id}.*")
        return sorted(path for path in found if path.suffix[1:].isdigit())


def a_straight_store(folder: Path) -> StraightObjects:
    return StraightObjects(folder / "objects", base_url="http://sluice", secret="s" * 32)


def _md5(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()
