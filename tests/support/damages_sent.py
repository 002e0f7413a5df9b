"""What can be wrong with uploads straight to the store, and with those that nobody ends."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from uuid_utils.compat import uuid7

from shared.services.auditing.findings import Kind
from tests.support.grounds import CONTENT, DAY, Found, Grounds
from tests.support.workshop import ALICE

_PLACE: Final = ".staging/direct/"


def sent_bytes_lost(grounds: Grounds) -> Found:
    job, _ = grounds.sent()
    grounds.factory.objects.delete([_PLACE + job.upload_id])
    return {(Kind.SENT_MISSING, job.upload_id, False)}


def sent_bytes_lost_before_a_retry(grounds: Grounds) -> Found:
    job = grounds.sent_and_failed()
    grounds.factory.objects.delete([_PLACE + job.upload_id])
    return {(Kind.SENT_MISSING, job.upload_id, False)}


def sent_again_after_the_seal(grounds: Grounds) -> Found:
    job, link = grounds.sent()
    grounds.send(link, bytes(reversed(CONTENT)))
    return {(Kind.SENT_CHANGED, job.upload_id, False)}


def sent_bytes_left(grounds: Grounds) -> Found:
    upload, link = grounds.awaited()
    grounds.send(link, CONTENT)
    grounds.factory.services.uploads.cancel(ALICE, upload.id)
    grounds.age("uploads", "updated_at", 3 * DAY, id=upload.id)
    return {(Kind.SENT_LEFT, upload.id, False)}


def sent_row_left(grounds: Grounds) -> Found:
    """No link has worked for days, and what was there is gone: so is what the row is for."""
    upload, _ = grounds.awaited()
    grounds.factory.services.uploads.cancel(ALICE, upload.id)
    with grounds.factory.records.begin() as rows:
        rows.direct.cleared(upload.id)
    grounds.age("direct", "links_until", 5 * DAY, upload_id=upload.id)
    return {(Kind.SENT_LEFT, upload.id, False)}


def sent_without_row(grounds: Grounds) -> Found:
    owner = str(uuid7())
    grounds.put(_PLACE + owner, CONTENT, "")
    return {(Kind.OBJECT_UNKNOWN, owner, False)}


def sent_parts_without_row(grounds: Grounds) -> Found:
    owner, store = str(uuid7()), grounds.factory.objects
    begun = store.begin_multipart(_PLACE + owner, content_type="a/b", upload_id="")
    grounds.touch(grounds.factory.folder / "objects" / "parts" / f"{begun}.json", 3 * DAY)
    return {(Kind.MULTIPART_LEFT, owner, False)}


def never_expired(grounds: Grounds) -> Found:
    upload = grounds.receiving()
    grounds.age("uploads", "expires_at", 4 * DAY, id=upload.id)
    return {(Kind.UPLOAD_OVERDUE, upload.id, False)}


def never_given_up(grounds: Grounds) -> Found:
    claim = grounds.failed()
    grounds.age("uploads", "updated_at", timedelta(days=9), id=claim.upload.id)
    return {(Kind.UPLOAD_OVERDUE, claim.upload.id, False)}


DAMAGES_SENT: Final[tuple[Callable[[Grounds], Found], ...]] = (
    sent_bytes_lost,
    sent_bytes_lost_before_a_retry,
    sent_again_after_the_seal,
    sent_bytes_left,
    sent_row_left,
    sent_without_row,
    sent_parts_without_row,
    never_expired,
    never_given_up,
)


def every_state_of_what_is_sent(grounds: Grounds) -> None:
    """Awaited, here, sealed, failed, a file, and cancelled with a link that still works."""
    grounds.awaited()
    _, link = grounds.awaited()
    grounds.send(link, CONTENT)
    grounds.sent()
    grounds.sent_and_failed()
    grounds.factory.run(grounds.sent()[0])
    for is_swept in (True, False):
        upload, link = grounds.awaited()
        grounds.send(link, CONTENT)
        grounds.factory.services.uploads.cancel(ALICE, upload.id)
        if is_swept:
            grounds.run("direct-leftovers")
