"""What every database must do with grants to upload, and with the room that is left."""

from datetime import UTC, datetime, timedelta
from typing import Any

from shared.model.direct import Direct
from shared.model.grant import Grant
from shared.model.lifecycle import Event
from shared.model.resumable import Capability
from shared.model.upload import Transfer
from shared.records import Transaction
from tests.support.builders import an_upload

HOUR = timedelta(hours=1)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def a_grant() -> tuple[Grant, Capability]:
    capability = Capability.new(an_upload().id)
    hashed = capability.secret_sha256
    return Grant(capability.upload_id, "default", "alice", hashed, LONG_AGO, LONG_AGO), capability


def test_a_grant_is_in_force_for_its_time(rows: Transaction) -> None:
    grant, capability = a_grant()

    added = rows.grants.add(grant, HOUR)

    assert rows.grants.find(grant.id) == added
    assert added.expires_at - added.created_at == HOUR
    assert (added.opens_with(capability.secret), added.opens_with("other")) == (True, False)
    assert rows.grants.find(a_grant()[0].id) is None


def test_what_is_over_is_not_found_and_forgotten(rows: Transaction) -> None:
    (over, _), (dropped, _), (other, _) = a_grant(), a_grant(), a_grant()
    rows.grants.add(over, -HOUR)
    rows.grants.add(dropped, HOUR)

    rows.grants.drop(dropped.id)
    rows.grants.add(other, HOUR)

    found = [rows.grants.find(each.id) is not None for each in (over, dropped, other)]
    assert found == [False, False, True]


def test_a_grant_is_held_while_it_is_in_force(rows: Transaction) -> None:
    (grant, _), (over, _) = a_grant(), a_grant()
    added = rows.grants.add(grant, HOUR)
    rows.grants.add(over, -HOUR)

    held = [rows.grants.hold(each) for each in (grant.id, over.id, a_grant()[0].id)]

    assert held == [added.expires_at, None, None]


def test_what_is_open_without_a_size_is_counted_by_owner_and_grant(rows: Transaction) -> None:
    def opened(owner: str, grant_id: str | None, **said: Any) -> str:
        upload = an_upload(owner=owner, transfer=Transfer.DIRECT, **{"size": None, **said})
        rows.uploads.add(upload, HOUR)
        rows.direct.add(Direct(upload.id, f"k/{upload.id}", grant_id=grant_id))
        return upload.id

    mine = [opened("alice", None), opened("alice", None)]
    opened("alice", None, size=5)
    opened("alice", "g")
    opened("bob", None)
    rows.uploads.advance(mine[0], Event.CANCEL)

    counts = [
        rows.direct.unsized("default", owner, grant_id)
        for owner, grant_id in (("alice", None), ("alice", "g"), ("alice", "h"), ("bob", None))
    ]

    assert counts == [1, 1, 0, 1]


def test_what_comes_in_parts_of_any_size_is_gone_through_in_order(rows: Transaction) -> None:
    uploads = [an_upload(transfer=Transfer.DIRECT, size=None) for _ in range(4)]
    for upload in uploads:
        rows.uploads.add(upload, HOUR)
        rows.direct.add(Direct(upload.id, f"k/{upload.id}"))
    ids = sorted(each.id for each in uploads)
    for upload_id in ids[:3]:
        rows.direct.begun(upload_id, f"m-{upload_id}")
    rows.uploads.advance(ids[1], Event.CANCEL)

    def growing(after: str, limit: int) -> list[tuple[str, str | None]]:
        found = rows.direct.growing(after, limit)
        return [(upload.id, direct.multipart_id) for upload, direct in found]

    both = [(each, f"m-{each}") for each in (ids[0], ids[2])]
    assert growing("", 9) == both
    assert (growing("", 1), growing(ids[0], 9), growing(ids[2], 9)) == (both[:1], both[1:], [])


def test_there_is_all_the_room_where_nobody_set_a_limit(rows: Transaction) -> None:
    rows.quotas.reserve("default", 5)

    assert [rows.quotas.room(tenant) for tenant in ("default", "nobody")] == [None, None]
