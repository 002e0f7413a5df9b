"""What lies where clients send to and no row names: parts that nobody noted, objects of lost uploads."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from uuid_utils.compat import uuid7

from shared.adapters.objects_s3 import S3Objects
from tests.integration.test_direct import FIVE, TEXT, opened, sent
from tests.support.factory import Factory
from tests.support.workshop import ALICE

LONG_AGO: Final = timedelta(days=9)  # since the last link that may have been handed out


def begun(far: Factory, key: str) -> str:
    assert isinstance(far.objects, S3Objects)
    return far.objects.begin_parts(key, content_type=None)


def staged(upload_id: str) -> str:
    return f".staging/direct/{upload_id}"


def swept_later(far: Factory, name: str, later: timedelta) -> Mapping[str, Any]:
    """Run a sweep as it would be run later."""
    sweeper = far.services.sweeps.sweeper
    rules = replace(sweeper.rules, grace=-later)
    return replace(far.services.sweeps, sweeper=replace(sweeper, rules=rules)).run(name)


def test_parts_that_no_row_names_are_aborted_while_the_upload_is_open(far: Factory) -> None:
    upload = opened(far, size=2 * FIVE, chunk_size=FIVE)
    stray = begun(far, staged(upload.id))
    far.services.targets.sign(ALICE, upload.id)

    audited = swept_later(far, "audit", timedelta(hours=2))
    seen, swept = (far.services.sweeps.run("multiparts") for _ in range(2))

    assert audited["findings"] == {"multipart_left": 1}
    assert (seen["removed"], swept["removed"], swept["active"]) == (0, 1, 1)
    assert stray not in far.multiparts()
    assert len(far.multiparts()) == 1


def test_young_parts_may_yet_be_noted(far: Factory) -> None:
    upload = opened(far, size=2 * FIVE, chunk_size=FIVE)
    stray = begun(far, staged(upload.id))

    for _ in range(2):
        swept_later(far, "multiparts", -timedelta(hours=1))

    assert far.multiparts() == [stray]


def test_parts_of_an_upload_that_has_no_row_any_more_are_aborted(far: Factory) -> None:
    begun(far, staged(str(uuid7())))
    others = begun(far, ".staging/direct/notes.txt")

    seen, swept = (far.services.sweeps.run("multiparts") for _ in range(2))

    assert (seen["removed"], swept["removed"], swept["foreign"]) == (0, 1, 1)
    assert far.multiparts() == [others]


def test_what_lies_there_without_a_row_goes_when_no_link_can_work_any_more(far: Factory) -> None:
    lost, others, upload = staged(str(uuid7())), ".staging/direct/notes.txt", opened(far)
    sent(far, upload)
    for key in (lost, others):
        far.objects.put(key, TEXT, content_type="text/plain", upload_id="")

    early = [swept_later(far, "object-orphans", timedelta(days=1)) for _ in range(2)]
    late = [swept_later(far, "object-orphans", LONG_AGO) for _ in range(2)]

    assert [each["removed"] for each in (*early, *late)] == [0, 0, 0, 1]
    assert far.keys() == {others, staged(upload.id)}
