"""The judge's own test: each damage is a breach of its invariant, and what is well is none."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from uuid_utils.compat import uuid7

from shared.errors import Rejected
from tests.drills.ledger import Entry
from tests.drills.load import digest
from tests.drills.verdicts import PortJudge
from tests.support.factory import a_factory
from tests.support.grounds import CONTENT, Grounds
from tests.support.straight import a_straight_store
from tests.support.workshop import ALICE

NAME: Final = "notes.txt"  # of every upload on these grounds
Entries = list[Entry]
Plant = Callable[[Grounds], Entries | None]  # it returns what clients know of


@pytest.fixture
def grounds(tmp_path: Path, sqlite_url: str) -> Iterator[Grounds]:
    with a_factory(tmp_path, sqlite_url, objects=a_straight_store(tmp_path)) as factory:
        yield Grounds(factory)


def begun(grounds: Grounds) -> Entry:
    """Send half of an upload that has room for more."""
    upload = grounds.receiving()
    return Entry(NAME, digest(CONTENT * 2), 2 * len(CONTENT), upload.id, None, {0: digest(CONTENT)})


def failed(grounds: Grounds) -> Entry:
    upload_id = grounds.failed().upload.id
    return Entry(NAME, digest(CONTENT), len(CONTENT), upload_id, None, {0: digest(CONTENT)})


def bytes_of_a_chunk_lost(grounds: Grounds) -> Entries:
    entry = begun(grounds)
    grounds.factory.staging.clear(str(entry.upload_id))
    return [entry]


def bytes_of_a_chunk_flipped(grounds: Grounds) -> Entries:
    entry = begun(grounds)
    (path,) = grounds.staged(str(entry.upload_id))
    path.write_bytes(CONTENT[::-1])
    return [entry]


def chunk_of_what_can_be_tried_again_lost(grounds: Grounds) -> Entries:
    entry = failed(grounds)
    grounds.factory.staging.clear(str(entry.upload_id))
    grounds.sql("DELETE FROM chunks")
    return [entry]


def bytes_of_what_nobody_told_of_cut(grounds: Grounds) -> None:
    (path,) = grounds.staged(grounds.receiving().id)
    path.write_bytes(CONTENT[:-1])


def other_bytes_than_were_sent(grounds: Grounds) -> Entries:
    """Rows and staging agree, and are both wrong."""
    entry = begun(grounds)
    entry.chunks[0] = digest(CONTENT[::-1])
    return [entry]


def chunk_without_row(grounds: Grounds) -> Entries:
    entry = begun(grounds)
    grounds.factory.staging.clear(str(entry.upload_id))
    grounds.sql("DELETE FROM chunks")
    return [entry]


def opened_twice(grounds: Grounds) -> Entries:
    grounds.receiving()
    return [begun(grounds)]


def opened_twice_and_never_answered(grounds: Grounds) -> Entries:
    grounds.receiving()
    grounds.receiving()
    return [Entry(NAME, digest(CONTENT), len(CONTENT))]


def staged_by_nobody(grounds: Grounds) -> None:
    upload_id = str(uuid7())
    writer = grounds.factory.staging.writer(upload_id, 0, 0, len(CONTENT))
    writer.write(CONTENT)
    writer.keep()


def staged_beside_its_chunk(grounds: Grounds) -> None:
    (path,) = grounds.staged(grounds.receiving().id)
    path.with_name("00000000.000000000000000.second").write_bytes(CONTENT)


def staged_with_another(grounds: Grounds) -> None:
    """Under its own name, where its row does not look."""
    (path,) = grounds.staged(grounds.receiving().id)
    (other,) = grounds.staged(grounds.receiving().id)
    (other.parent / path.name).write_bytes(CONTENT)


def object_intended_by_nobody(grounds: Grounds) -> None:
    grounds.file()
    grounds.sql("UPDATE objects SET state = 'intended', key = 'another'")


def object_intended_by_what_has_ended(grounds: Grounds) -> None:
    grounds.file()
    grounds.sql("UPDATE objects SET state = 'intended'")


def object_never_deleted(grounds: Grounds) -> None:
    grounds.file()
    grounds.sql("UPDATE objects SET state = 'deleting'")


def object_linked_to_nothing(grounds: Grounds) -> None:
    file = grounds.file()
    grounds.sql("DELETE FROM files")
    grounds.sql("UPDATE quotas SET used = 0")
    grounds.factory.objects.delete([file.key])


def thumbnail_lost(grounds: Grounds) -> None:
    grounds.factory.objects.delete([grounds.picture().thumbnails[0].key])


def thumbnail_of_another_size(grounds: Grounds) -> None:
    file = grounds.picture()
    grounds.overwrite(file.thumbnails[0].key, b"z", file.id)


def object_of_other_bytes(grounds: Grounds) -> None:
    file = grounds.file()
    grounds.overwrite(file.key, CONTENT[::-1], file.id)


def quota_of_files_lost(grounds: Grounds) -> None:
    grounds.file()
    grounds.sql("DELETE FROM uploads")
    grounds.sql("DELETE FROM quotas")


def quota_of_uploads_lost(grounds: Grounds) -> None:
    grounds.receiving()
    grounds.sql("DELETE FROM quotas")


def quota_wrong(grounds: Grounds) -> None:
    grounds.file()
    grounds.sql("UPDATE quotas SET used = used + 1")


def open_without_room(grounds: Grounds) -> None:
    grounds.receiving()
    grounds.sql("UPDATE uploads SET reserved = 0")
    grounds.sql("UPDATE quotas SET reserved = 0")


def open_with_too_little_room(grounds: Grounds) -> None:
    grounds.receiving()
    grounds.sql("UPDATE uploads SET reserved = reserved - 1")
    grounds.sql("UPDATE quotas SET reserved = reserved - 1")


DAMAGES: Final[list[tuple[Plant, str]]] = [
    (bytes_of_a_chunk_lost, "I1"),
    (bytes_of_a_chunk_flipped, "I1"),
    (chunk_of_what_can_be_tried_again_lost, "I1"),
    (bytes_of_what_nobody_told_of_cut, "I1"),
    (other_bytes_than_were_sent, "I1"),
    (chunk_without_row, "I1"),
    (opened_twice, "I2"),
    (opened_twice_and_never_answered, "I2"),
    (staged_by_nobody, "I3"),
    (staged_beside_its_chunk, "I3"),
    (staged_with_another, "I3"),
    (object_intended_by_nobody, "I3"),
    (object_intended_by_what_has_ended, "I3"),
    (object_never_deleted, "I3"),
    (object_linked_to_nothing, "I3"),
    (thumbnail_lost, "I4"),
    (thumbnail_of_another_size, "I4"),
    (object_of_other_bytes, "I4"),
    (quota_of_files_lost, "I8"),
    (quota_of_uploads_lost, "I8"),
    (quota_wrong, "I8"),
    (open_without_room, "I8"),
    (open_with_too_little_room, "I8"),
]


@pytest.mark.parametrize(("plant", "broken"), DAMAGES)
def test_a_damage_is_a_breach(grounds: Grounds, plant: Plant, broken: str) -> None:
    entries = plant(grounds) or []

    breaches = PortJudge.of(grounds.factory).check(entries).breaches

    assert any(said.startswith(f"{broken}: ") for said in breaches), breaches


def test_what_is_well_is_no_breach(grounds: Grounds) -> None:
    half, whole = begun(grounds), grounds.file(CONTENT * 3)
    grounds.picture()
    grounds.sql("UPDATE uploads SET filename = 'whole.txt' WHERE id = :id", id=whole.id)
    done = Entry("whole.txt", digest(CONTENT * 3), 3 * len(CONTENT), whole.id, sealed=True)
    done.chunks[0] = digest(CONTENT * 3)

    assert PortJudge.of(grounds.factory).check([half, done]).breaches == []


def test_what_waits_to_be_tried_again_is_no_breach(grounds: Grounds) -> None:
    assert PortJudge.of(grounds.factory).check([failed(grounds)]).breaches == []


def test_of_all_states_only_what_has_not_ended_is_a_breach(grounds: Grounds) -> None:
    services = grounds.factory.services
    grounds.joined()
    grounds.queued()
    grounds.claimed()
    grounds.factory.claims.reject(grounds.claimed(), Rejected("bad", "It is bad."))
    services.uploads.cancel(ALICE, grounds.receiving().id)
    for hard in (False, True):
        services.files.delete(ALICE, grounds.file().id, hard=hard)

    breaches = PortJudge.of(grounds.factory).check([]).breaches

    assert breaches
    assert [said for said in breaches if not said.startswith("I5: ")] == []
