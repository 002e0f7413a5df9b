"""What every database must do with grants to upload, and with the room that is left."""

from datetime import UTC, datetime, timedelta

from shared.model.grant import Grant
from shared.model.resumable import Capability
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


def test_there_is_all_the_room_where_nobody_set_a_limit(rows: Transaction) -> None:
    rows.quotas.reserve("default", 5)

    assert [rows.quotas.room(tenant) for tenant in ("default", "nobody")] == [None, None]
