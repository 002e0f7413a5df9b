"""The auditor and the sweeps that want two looks: what is theirs still is no finding, what they leave is."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.errors import Unavailable
from shared.services.auditing.findings import Kind
from shared.services.claims import Claim
from shared.services.sweeps import SWEEPS, audits
from tests.support import damages
from tests.support.factory import a_factory
from tests.support.grounds import DAY, HOUR, Grounds, findings
from tests.support.straight import a_straight_store
from tests.support.workshop import ALICE

MINUTE = timedelta(minutes=1)


@pytest.fixture
def grounds(database_url: str, tmp_path: Path) -> Iterator[Grounds]:
    with a_factory(tmp_path, database_url, objects=a_straight_store(tmp_path)) as factory:
        yield Grounds(factory)


@pytest.mark.parametrize("order", [("orphaned", "swept"), ("swept", "orphaned")])
def test_old_bytes_that_are_nobodys_since_a_moment_ago_are_no_finding(
    grounds: Grounds, order: tuple[str, str]
) -> None:
    claim = failed_long_ago(grounds)
    for each in order:
        if each == "orphaned":
            orphan(grounds)
        else:
            assert grounds.run("staging-orphans")["removed"] == 0

    found = findings(grounds.run("audit"))

    assert found == []
    assert len(grounds.staged(claim.upload.id)) == 1


def test_bytes_that_their_sweep_has_seen_for_too_long_are_a_finding(grounds: Grounds) -> None:
    claim = failed_long_ago(grounds)
    orphan(grounds)
    grounds.run("staging-orphans")
    grounds.age("sightings", "first_seen_at", DAY + 5 * HOUR, kind="staging")

    in_time = findings(grounds.run("audit"))
    grounds.age("sightings", "first_seen_at", 2 * HOUR, kind="staging")
    late = findings(grounds.run("audit"))

    assert in_time == []
    assert late == [(Kind.STAGED_UNKNOWN, claim.upload.id, False)]


def test_old_bytes_that_no_sweep_looks_for_are_a_finding(grounds: Grounds) -> None:
    planted = damages.folder_without_row(grounds)
    grounds.run("staging-orphans", cap=0)
    grounds.sql("DELETE FROM sightings")

    capped = set(findings(grounds.run("audit")))
    grounds.run("staging-orphans")
    grounds.sql("DELETE FROM sightings")
    through = set(findings(grounds.run("audit")))
    grounds.age("leases", "finished_at", 3 * DAY, name="sweep:staging-orphans")
    dead = set(findings(grounds.run("audit")))

    assert (capped, through, dead) == (planted, set(), planted)


@pytest.mark.parametrize("is_swept", [True, False])
def test_an_old_multipart_of_an_upload_that_ended_just_now_is_no_finding(
    grounds: Grounds, *, is_swept: bool
) -> None:
    """A job was under way for days, while a part of ours was away."""
    claim = begun_long_ago(grounds)
    grounds.factory.services.uploads.cancel(ALICE, claim.upload.id)
    if is_swept:
        assert grounds.run("multiparts")["waiting"] == 1

    young = findings(grounds.run("audit"))
    grounds.age("uploads", "updated_at", 3 * DAY, id=claim.upload.id)
    seen = findings(grounds.run("audit"))
    grounds.age("sightings", "first_seen_at", 2 * DAY, kind="multipart")
    late = findings(grounds.run("audit"))

    expected = [(Kind.MULTIPART_LEFT, claim.upload.id, False)]
    assert young == []
    assert seen == ([] if is_swept else expected)
    assert late == expected


def test_a_short_grace_leaves_a_sweep_the_time_for_its_turns(grounds: Grounds) -> None:
    """It came an hour after the bytes were old enough, and again when a grace and that hour were over."""
    planted = damages.multipart_left(grounds, old=4 * HOUR - MINUTE)

    within = set(findings(grounds.run("audit", grace=HOUR)))
    grounds.touch(next(parts_of(grounds)), 2 * HOUR)
    grounds.sql("UPDATE uploads SET updated_at = 0")
    beyond = set(findings(grounds.run("audit", grace=HOUR)))

    assert (within, beyond) == (set(), planted)


def test_the_auditor_allows_for_two_turns_of_every_sweep_that_wants_two_looks() -> None:
    turns = {sweep.every for sweep in SWEEPS if sweep.name in {"multiparts", "staging-orphans"}}

    assert 2 * max(turns) < audits._LATE


def failed_long_ago(grounds: Grounds) -> Claim:
    """Return what failed so long ago that nothing of it is to be kept any more."""
    claim = grounds.failed()
    grounds.age("uploads", "updated_at", 8 * DAY, id=claim.upload.id)
    grounds.age("jobs", "updated_at", 8 * DAY, id=claim.job.id)
    for path in grounds.staged(claim.upload.id):
        grounds.touch(path, 8 * DAY)
        grounds.touch(path.parent, 8 * DAY)
    return claim


def orphan(grounds: Grounds) -> None:
    """Let the sweep of failed uploads die between their rows and their bytes."""
    service = grounds.sweeps()
    staging = type(service.sweeper.staging)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(staging, "clear", unplugged)
        assert service.run("failed-uploads")["failed"] == 1


def begun_long_ago(grounds: Grounds) -> Claim:
    claim = grounds.claimed()
    key, upload_id = claim.upload.key, claim.upload.id
    grounds.factory.claims.intend(claim, [key])
    begun = grounds.factory.objects.begin_multipart(key, content_type="a/b", upload_id=upload_id)
    grounds.factory.claims.started(claim, key, begun)
    for path in parts_of(grounds):
        grounds.touch(path, 3 * DAY)
    return claim


def parts_of(grounds: Grounds) -> Iterator[Path]:
    return (grounds.factory.folder / "objects" / "parts").glob("*.json")


def unplugged(*_: object) -> Any:
    raise Unavailable("staging", "It does not answer.")
