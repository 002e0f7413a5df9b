"""What every database must do with uploads that go straight to the object store."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.model.direct import Direct
from shared.model.lifecycle import Event, UploadState
from shared.model.upload import Transfer, Upload
from shared.records import AuditedDirect, Transaction
from tests.support.builders import an_upload

NOW = timedelta()
HOUR = timedelta(hours=1)


def an_open_one(rows: Transaction, **said: Any) -> tuple[Upload, Direct]:
    upload = rows.uploads.add(an_upload(transfer=Transfer.DIRECT, **said), HOUR)
    direct = Direct(upload.id, f".staging/direct/{upload.id}")
    rows.direct.add(direct)
    return upload, direct


def test_a_row_comes_back_as_it_was_put_in(rows: Transaction) -> None:
    upload, direct = an_open_one(rows)

    assert rows.direct.find(upload.id) == direct
    found = rows.uploads.find(upload.id)
    assert found is not None
    assert (found.transfer, found.is_receiving_directly) == (Transfer.DIRECT, True)
    assert rows.direct.find(an_upload().id) is None


@pytest.mark.parametrize(
    ("state", "reserved", "is_alive"),
    [
        (UploadState.SEALED, 0, True),
        (UploadState.FAILED, 10, True),
        (UploadState.FAILED, 0, False),
        (UploadState.CANCELLED, 10, False),
    ],
)
def test_the_auditor_reads_whether_anybody_may_work_on_it(
    rows: Transaction, state: UploadState, reserved: int, *, is_alive: bool
) -> None:
    upload, direct = an_open_one(rows, state=state, reserved=reserved)
    rows.direct.signed(upload.id, HOUR)
    rows.direct.seal(upload.id, "etag")
    known = rows.direct.find(upload.id)

    (found,) = rows.audits.directs("", 10)

    assert known is not None
    assert found == AuditedDirect(
        upload_id=upload.id,
        key=direct.key,
        etag="etag",
        is_cleared=False,
        links_until=known.links_until,
        state=state,
        updated_at=upload.updated_at,
        is_alive=is_alive,
    )
    assert rows.audits.directs(upload.id, 10) == []


def test_of_two_multipart_uploads_the_first_stays(rows: Transaction) -> None:
    upload, _ = an_open_one(rows)

    noted = [rows.direct.begun(upload.id, name) for name in ("first", "second")]

    known = rows.direct.find(upload.id)
    assert noted == [True, False]
    assert known is not None
    assert known.multipart_id == "first"


def test_the_latest_link_counts_whichever_was_handed_out_last(rows: Transaction) -> None:
    upload, _ = an_open_one(rows)

    def until() -> Any:
        found = rows.direct.find(upload.id)
        return found and found.links_until

    rows.direct.signed(upload.id, HOUR)
    longest = until()
    rows.direct.signed(upload.id, NOW)

    assert until() == longest
    rows.direct.signed(upload.id, 2 * HOUR)
    assert until() > longest


def test_only_what_is_receiving_is_awaited_and_found_by_its_key(rows: Transaction) -> None:
    assert not rows.direct.is_awaited()
    upload, direct = an_open_one(rows)
    other, theirs = an_open_one(rows)
    keys = [direct.key, theirs.key, ".staging/direct/unknown"]

    assert rows.direct.is_awaited()
    rows.uploads.advance(other.id, Event.SEAL)
    assert [found.id for found in rows.direct.receiving(keys)] == [upload.id]
    rows.uploads.advance(upload.id, Event.EXPIRE)
    assert rows.direct.receiving(keys) == []
    assert not rows.direct.is_awaited()


@pytest.mark.parametrize(
    ("state", "reserved", "is_over"),
    [
        (UploadState.RECEIVING, 10, False),
        (UploadState.SEALED, 10, False),
        (UploadState.PROCESSING, 10, False),
        (UploadState.FAILED, 10, False),  # it can be retried
        (UploadState.FAILED, 0, True),
        (UploadState.READY, 0, True),
        (UploadState.REJECTED, 0, True),
        (UploadState.CANCELLED, 0, True),
        (UploadState.EXPIRED, 0, True),
    ],
)
def test_what_lies_there_is_needed_until_its_upload_has_ended(
    rows: Transaction, state: UploadState, reserved: int, *, is_over: bool
) -> None:
    upload, direct = an_open_one(rows, state=state, reserved=reserved)

    assert rows.direct.ended(HOUR, "", 10) == ([direct] if is_over else [])
    # An upload whose bytes may lie somewhere is not forgotten.
    ids = [each.id for each in rows.uploads.ended(NOW, 10)]
    assert upload.id not in ids


def test_what_was_cleared_is_looked_at_again_when_its_links_are_over(rows: Transaction) -> None:
    upload, _ = an_open_one(rows, state=UploadState.READY, reserved=0)
    rows.direct.signed(upload.id, HOUR)

    def due(slack: timedelta) -> Sequence[str]:
        return [direct.upload_id for direct in rows.direct.ended(slack, "", 10)]

    rows.direct.cleared(upload.id)
    rows.direct.forget(upload.id, NOW)
    assert due(NOW) == []
    assert due(-2 * HOUR) == [upload.id]
    rows.direct.forget(upload.id, -2 * HOUR)
    assert rows.direct.find(upload.id) is None
    assert [each.id for each in rows.uploads.ended(NOW, 10)] == [upload.id]


def test_what_is_to_be_cleared_is_read_on_from_where_it_was_left(rows: Transaction) -> None:
    ended = [an_open_one(rows, state=UploadState.READY, reserved=0)[0].id for _ in range(3)]

    first = rows.direct.ended(NOW, "", 2)
    rest = rows.direct.ended(NOW, first[-1].upload_id, 2)

    assert [each.upload_id for each in [*first, *rest]] == sorted(ended)


def test_rows_are_known_by_their_keys_and_keep_the_longest_etag(rows: Transaction) -> None:
    upload, direct = an_open_one(rows)

    rows.direct.seal(upload.id, "e" * 255)

    known = rows.direct.known([direct.key, ".staging/direct/unknown"])
    assert known == {direct.key: replace(direct, etag="e" * 255)}


def test_a_row_goes_with_its_upload(rows: Transaction) -> None:
    upload, _ = an_open_one(rows)

    rows.uploads.drop([upload.id])

    assert rows.direct.find(upload.id) is None


def test_what_can_still_come_is_awaited_for_as_long_as_links_work(rows: Transaction) -> None:
    upload, _ = an_open_one(rows)
    rows.direct.signed(upload.id, HOUR)
    rows.uploads.advance(upload.id, Event.CANCEL)

    assert rows.direct.is_awaited()
    assert not rows.direct.is_awaited(-2 * HOUR)


def test_keys_are_over_when_nobody_works_on_their_uploads_any_more(rows: Transaction) -> None:
    ended = {
        *(UploadState.READY, UploadState.CANCELLED, UploadState.EXPIRED, UploadState.REJECTED),
        UploadState.JOINED,
    }
    keys = {}
    for state in UploadState:
        reserved = 0 if state in ended else 10
        keys[state] = an_open_one(rows, state=state, reserved=reserved)[1].key
    given_up = an_open_one(rows, state=UploadState.FAILED, reserved=0)[1].key

    over = rows.direct.over([*keys.values(), given_up, ".staging/direct/unknown"])

    assert set(over) == {*(keys[state] for state in ended), given_up}


@pytest.mark.parametrize("state", list(UploadState))
def test_a_digest_is_agreed_on_while_no_job_compares(rows: Transaction, state: UploadState) -> None:
    upload, _ = an_open_one(rows, state=state, sha256=None)

    agreed = [rows.uploads.agree(upload.id, each * 64) for each in "ab"]

    found = rows.uploads.find(upload.id)
    waits = state in {UploadState.SEALED, UploadState.FAILED}
    assert agreed == [waits, False]
    assert found is not None
    assert found.sha256 == ("a" * 64 if waits else None)
