"""What can be wrong with what has ended or waits: left, never counted, or far away in time."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from uuid_utils.compat import uuid7

from shared.services.auditing.findings import Kind
from tests.support.builders import a_delivery, a_webhook
from tests.support.grounds import CONTENT, DAY, HOUR, Found, Grounds
from tests.support.workshop import ALICE

_TEN_YEARS: Final = 3650 * DAY


def chunks_left(grounds: Grounds) -> Found:
    """Their rows came through the end of their upload, and with them their bytes."""
    upload = grounds.receiving()
    (path,) = grounds.staged(upload.id)
    with grounds.factory.records.read() as rows:
        chunks = rows.chunks.of(upload.id)
    grounds.factory.services.uploads.cancel(ALICE, upload.id)
    with grounds.factory.records.begin() as rows:
        rows.chunks.add(chunks)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(CONTENT)
    grounds.age("uploads", "updated_at", 30 * DAY, id=upload.id)
    return {(Kind.CHUNKS_LEFT, upload.id, True)}


def intent_left(grounds: Grounds) -> Found:
    owner, key = _meant(grounds)
    grounds.age("objects", "updated_at", 5 * DAY, key=key)
    return {(Kind.OBJECT_LEFT, owner, False)}


def deletion_left(grounds: Grounds) -> Found:
    owner, key = _condemned(grounds)
    grounds.age("objects", "updated_at", 5 * DAY, key=key)
    return {(Kind.OBJECT_LEFT, owner, False)}


def deletion_in_vain(grounds: Grounds) -> Found:
    """The sweep has asked for it each hour: its row is as young as the last time."""
    owner, key = _condemned(grounds)
    with grounds.factory.records.begin() as rows:
        rows.leases.sighted("deletion", [key], HOUR)
    grounds.age("sightings", "first_seen_at", 5 * DAY, name=key)
    return {(Kind.OBJECT_LEFT, owner, False)}


def quota_row_lost(grounds: Grounds) -> Found:
    """Of a tenant of its own, as all that is counted again."""
    file, tenant = grounds.file(), f"of-{uuid7()}"
    for table in ("files", "uploads"):
        grounds.sql(f"UPDATE {table} SET tenant = :to WHERE id = :id", to=tenant, id=file.id)  # noqa: S608  # names from here
    grounds.sql("UPDATE quotas SET used = used - :size WHERE tenant = 'default'", size=file.size)
    return {(Kind.QUOTA_WRONG, tenant, True)}


def room_not_reserved(grounds: Grounds) -> Found:
    upload = grounds.receiving()
    grounds.sql(
        "UPDATE quotas SET reserved = reserved - :size WHERE tenant = 'default'",
        size=upload.reserved,
    )
    move_out(grounds, upload.id, reserved=0)
    return {(Kind.RESERVATION_MISSING, upload.id, True)}


def lease_far_ahead(grounds: Grounds) -> Found:
    job = grounds.claimed().job
    grounds.age("jobs", "dispatched_at", HOUR, id=job.id)
    grounds.age("jobs", "lease_until", -_TEN_YEARS, id=job.id)
    return {(Kind.JOB_STUCK, job.id, True)}


def delivery_overtaken(grounds: Grounds) -> Found:
    """Its receiver is called, of what came later."""
    delivery_id = owe(grounds)
    grounds.age("deliveries", "due_at", 2 * DAY, id=delivery_id)
    _call_again(grounds, delivery_id)
    return {(Kind.DELIVERY_OVERDUE, delivery_id, True)}


def delivery_far_ahead(grounds: Grounds) -> Found:
    delivery_id = owe(grounds)
    grounds.age("deliveries", "updated_at", HOUR, id=delivery_id)
    grounds.age("deliveries", "due_at", -_TEN_YEARS, id=delivery_id)
    return {(Kind.DELIVERY_OVERDUE, delivery_id, True)}


def delivery_held_far_ahead(grounds: Grounds) -> Found:
    delivery_id = owe(grounds)
    with grounds.factory.records.begin() as rows:
        assert rows.webhooks.claim(delivery_id, HOUR)
    for column in ("due_at", "updated_at"):
        grounds.age("deliveries", column, 3 * HOUR, id=delivery_id)
    grounds.age("deliveries", "lease_until", -_TEN_YEARS, id=delivery_id)
    return {(Kind.DELIVERY_STUCK, delivery_id, True)}


DAMAGES_LEFT: Final[tuple[Callable[[Grounds], Found], ...]] = (
    chunks_left,
    intent_left,
    deletion_left,
    deletion_in_vain,
    quota_row_lost,
    room_not_reserved,
    lease_far_ahead,
    delivery_overtaken,
    delivery_far_ahead,
    delivery_held_far_ahead,
)


def move_out(grounds: Grounds, upload_id: str, *, reserved: int) -> None:
    """Give an upload a tenant of its own, and so much room: to count its quota again mends no other."""
    grounds.sql(
        "UPDATE uploads SET reserved = :reserved, tenant = :tenant WHERE id = :id",
        id=upload_id,
        reserved=reserved,
        tenant=a_quota(grounds, used=0, reserved=reserved),
    )


def a_quota(grounds: Grounds, *, used: int, reserved: int) -> str:
    """A quota of a tenant that has nothing; returns its name."""
    tenant = f"of-{uuid7()}"
    grounds.sql(
        "INSERT INTO quotas (tenant, used, reserved) VALUES (:tenant, :used, :reserved)",
        tenant=tenant,
        used=used,
        reserved=reserved,
    )
    return tenant


def owe(grounds: Grounds) -> str:
    """Owe an event to a webhook of its own; nobody was called for it."""
    webhook = a_webhook(tenant=f"of-{uuid7()}")
    delivery = a_delivery(webhook.id)
    with grounds.factory.records.begin() as rows:
        rows.webhooks.add(webhook)
        rows.webhooks.owe([delivery])
    return delivery.id


def _call_again(grounds: Grounds, delivery_id: str) -> None:
    """Call the receiver of a delivery, of something else."""
    found = grounds.factory.query(f"SELECT * FROM deliveries WHERE id = '{delivery_id}'")  # noqa: S608  # from here
    another = a_delivery(found[0]["webhook_id"])
    with grounds.factory.records.begin() as rows:
        rows.webhooks.owe([another])
    grounds.sql(
        "UPDATE deliveries SET state = 'delivered', attempts = 1 WHERE id = :id", id=another.id
    )


def _meant(grounds: Grounds) -> tuple[str, str]:
    """An object that was meant for an upload which has no row any more; returns both names."""
    owner = str(uuid7())
    key = f"2026/01/01/{owner}_meant.txt"
    with grounds.factory.records.begin() as rows:
        assert rows.objects.intend(key, owner)
    grounds.put(key, CONTENT, owner)
    return owner, key


def _condemned(grounds: Grounds) -> tuple[str, str]:
    owner, key = _meant(grounds)
    with grounds.factory.records.begin() as rows:
        assert rows.objects.condemn(key, owner)
    return owner, key


# What waits as it may.


def busy_receiver(grounds: Grounds) -> None:
    delivery_id = owe(grounds)
    grounds.age("deliveries", "due_at", 20 * HOUR, id=delivery_id)
    _call_again(grounds, delivery_id)


def longest_pause(grounds: Grounds) -> None:
    delivery_id = owe(grounds)
    grounds.age("deliveries", "updated_at", HOUR, id=delivery_id)
    grounds.age("deliveries", "due_at", timedelta(hours=-9), id=delivery_id)


def intent_of_two_days(grounds: Grounds) -> None:
    _, key = _meant(grounds)
    grounds.age("objects", "updated_at", 2 * DAY, key=key)


def intent_of_an_open_upload(grounds: Grounds) -> None:
    claim = grounds.claimed()
    grounds.factory.claims.intend(claim, [claim.upload.key])
    grounds.age("objects", "updated_at", 90 * DAY, key=claim.upload.key)


def parts_of_an_heir(grounds: Grounds) -> None:
    """An open upload is to replace a file, and its job has begun under the file's key."""
    file, heir = grounds.file(), grounds.receiving()
    store = grounds.factory.objects
    begun = store.begin_multipart(file.key, content_type="a/b", upload_id=heir.id)
    grounds.touch(grounds.factory.folder / "objects" / "parts" / f"{begun}.json", 3 * DAY)
    grounds.sql("UPDATE uploads SET key = :key WHERE id = :id", key=file.key, id=heir.id)


ODDITIES_LEFT: Final[tuple[Callable[[Grounds], None], ...]] = (
    busy_receiver,
    longest_pause,
    intent_of_two_days,
    intent_of_an_open_upload,
    parts_of_an_heir,
)
