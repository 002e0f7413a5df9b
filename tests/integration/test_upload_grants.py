"""Grants to upload: what is opened, signed and ended by them, and by whom at the same time."""

import base64
import json
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from sqlalchemy import text as sql

from shared.adapters.client_s3 import S3Place
from shared.adapters.objects_s3 import S3Objects
from shared.errors import (
    AccessDenied,
    Conflict,
    Forbidden,
    Limited,
    NotFound,
    NotReceiving,
    QuotaExceeded,
    TooLarge,
    Unavailable,
)
from shared.model import policy
from shared.model.caller import Scope
from shared.model.direct import SignedForm
from shared.model.grant import Grant, Holder
from shared.model.lifecycle import JobState
from shared.model.media import Category
from shared.model.policy import GIB, MIB
from shared.model.upload import NewUpload
from shared.services.unsized import UnsizedService
from tests.integration.test_unsized import limited, sent
from tests.support.factory import UPLOADS, Factory, a_factory
from tests.support.objects import FIVE
from tests.support.races import waiting_for_locks
from tests.support.straight import StraightObjects
from tests.support.waiting import eventually
from tests.support.weather import (
    Answer,
    Call,
    Weather,
    an_error,
    completes,
    the_answer_is_lost,
)
from tests.support.workshop import ALICE

STAGED: Final = replace(UPLOADS, staging_prefix=".staging/")
NEW: Final = NewUpload("notes.txt", content_type="text/plain")
MINUTE: Final = timedelta(minutes=1)

Open = Callable[[UnsizedService, Holder], object]
WAYS: Final[dict[str, Open]] = {
    "form": lambda unsized, holder: unsized.open_form(holder, NEW),
    "put": lambda unsized, holder: unsized.open_put(holder, NEW),
    "parts": lambda unsized, holder: unsized.open_parts(holder, NEW),
}


@pytest.fixture
def unsized(far: Factory) -> UnsizedService:
    return far.services.unsized


def given(far: Factory, lifetime: timedelta | None = None) -> Grant:
    _, capability = far.services.grants.give(ALICE, lifetime)
    return far.services.grants.enter(capability)


def states(far: Factory) -> list[str]:
    return [row["state"] for row in far.query("SELECT state FROM uploads")]


def begins(call: Call) -> bool:
    return call.method == "POST" and call.path.endswith("?uploads")


def test_no_link_outlives_the_grant_that_it_was_asked_by(
    far: Factory, unsized: UnsizedService
) -> None:
    grant = given(far, MINUTE)

    form = unsized.open_form(grant.holder, NEW)
    _, put = unsized.open_put(grant.holder, NEW)
    opened = unsized.open_parts(grant.holder, NEW)
    parts = unsized.sign_parts(grant.holder, opened, [1, 2])
    by_the_owner = unsized.sign_parts(Holder(ALICE), opened, [1])

    slack = timedelta(seconds=2)
    for expires_at in (form.expires_at, put.expires_at, parts.expires_at):
        assert expires_at <= grant.expires_at + slack
    for url in (put.targets[0].url, parts.targets[1].url):
        assert int(url.partition("X-Amz-Expires=")[2].partition("&")[0]) <= 60
    assert by_the_owner.expires_at > grant.expires_at + MINUTE


def test_a_grant_that_is_over_signs_nothing_more(far: Factory, unsized: UnsizedService) -> None:
    grant = given(far)
    opened = unsized.open_parts(grant.holder, NEW)
    far.shift("grants", "expires_at", -timedelta(days=2), id=grant.id)

    with pytest.raises(NotFound):
        unsized.sign_parts(grant.holder, opened, [1])


@pytest.mark.parametrize("way", WAYS)
def test_a_grant_that_is_over_opens_nothing(
    far: Factory, unsized: UnsizedService, way: str
) -> None:
    grant = given(far)  # who asks has been let in
    far.services.grants.revoke(ALICE, grant.id)

    with pytest.raises(NotFound):
        WAYS[way](unsized, grant.holder)

    assert (states(far), far.multiparts()) == ([], [])


def test_what_is_begun_while_its_grant_is_revoked_does_not_stay_open(
    far: Factory, sky: Weather, unsized: UnsizedService
) -> None:
    grant = given(far)

    def revoked(call: Call) -> Answer:
        far.services.grants.revoke(ALICE, grant.id)
        return call.forward()

    sky.brings(revoked, to=begins)

    with pytest.raises(NotReceiving):
        unsized.open_parts(grant.holder, NEW)

    assert (states(far), far.multiparts()) == (["cancelled"], [])


def begun(looking: psycopg.Connection[Any], work: Callable[[], None]) -> threading.Thread:
    """Start a thread, and return it once it waits for a lock."""
    before, thread = waiting_for_locks(looking), threading.Thread(target=work)
    thread.start()
    eventually(lambda: waiting_for_locks(looking) > before)
    return thread


@pytest.mark.parametrize("way", ["put", "parts"])
def test_who_ends_a_grant_waits_for_who_opens_by_it_and_ends_that_too(
    postgres_rows: str, tmp_path: Path, way: str
) -> None:
    store = StraightObjects(tmp_path / "objects", base_url="http://sluice", secret="s" * 32)
    with (
        a_factory(tmp_path, postgres_rows, objects=store, uploads=STAGED) as factory,
        psycopg.connect(postgres_rows) as holding,
        psycopg.connect(postgres_rows, autocommit=True) as looking,
    ):
        with factory.records.begin() as rows:
            rows.quotas.reserve("default", 0)
        grant = given(factory)
        holding.execute("SELECT 1 FROM quotas FOR UPDATE")

        def opens() -> None:
            with suppress(NotFound, NotReceiving):
                WAYS[way](factory.services.unsized, grant.holder)

        def revokes() -> None:
            factory.services.grants.revoke(ALICE, grant.id)

        threads = [begun(looking, work) for work in (opens, revokes)]
        holding.commit()
        for thread in threads:
            thread.join()

        assert states(factory) == ["cancelled"]
        assert factory.quota() == (0, 0)


# What is open, and how much of it.


def test_of_too_many_open_at_once_the_last_is_refused_and_a_grant_counts_for_itself(
    far: Factory, unsized: UnsizedService
) -> None:
    few = replace(unsized, most_open=2)
    grants = [given(far).holder for _ in range(2)]
    first = few.open_parts(grants[0], NEW)
    few.open_form(grants[0], NEW)

    for way in WAYS.values():
        with pytest.raises(Limited):
            way(few, grants[0])

    assert states(far) == ["receiving"] * 2
    few.open_put(grants[1], NEW)
    few.open_put(Holder(ALICE), NEW)
    far.services.uploads.cancel(ALICE, first.upload.id)
    few.open_put(grants[0], NEW)


def test_who_may_not_write_reaches_no_upload(unsized: UnsizedService) -> None:
    opened = unsized.open_parts(Holder(ALICE), NEW)
    reader = Holder(replace(ALICE, scopes=frozenset({Scope.FILES_READ})))

    with pytest.raises(Forbidden):
        unsized.find(reader, opened.upload.id)


def test_what_comes_whole_is_not_taken_in_parts(far: Factory, unsized: UnsizedService) -> None:
    form = unsized.open_form(Holder(ALICE), NEW)
    opened = unsized.find(Holder(ALICE), form.form.fields["key"].rpartition("/")[2])

    for refused in (
        lambda: unsized.sign_parts(Holder(ALICE), opened, [1]),
        lambda: unsized.parts(opened),
        lambda: unsized.complete(Holder(ALICE), opened, {1: "x"}),
    ):
        with pytest.raises(Conflict):
            refused()
    assert far.multiparts() == []


def bounds(form: SignedForm) -> list[Any]:
    said = json.loads(base64.b64decode(form.form.fields["policy"]))
    found = (each for each in said["conditions"] if "content-length-range" in each)
    return list(next(found)[1:])


def test_a_form_takes_no_more_than_its_type_may_have_and_there_is_room_for(
    far: Factory, unsized: UnsizedService
) -> None:
    image = NewUpload("a.png", content_type="image/png")
    text, picture = unsized.open_form(Holder(ALICE), NEW), unsized.open_form(Holder(ALICE), image)
    limited(far, 1000)
    little = unsized.open_form(Holder(ALICE), image)
    limited(far, 0)

    for way in WAYS.values():
        with pytest.raises(QuotaExceeded):
            way(unsized, Holder(ALICE))

    assert [bounds(each) for each in (text, picture, little)] == [
        [1, 5 * GIB], [1, 100 * MIB], [1, 1000],
    ]  # fmt: skip
    assert states(far) == ["receiving"] * 3


def test_parts_are_signed_as_far_as_their_type_may_go(unsized: UnsizedService) -> None:
    opened = unsized.open_parts(Holder(ALICE), NewUpload("a.png", content_type="image/png"))

    assert unsized.sign_parts(Holder(ALICE), opened, [20]).targets
    with pytest.raises(TooLarge):
        unsized.sign_parts(Holder(ALICE), opened, [21])


@pytest.mark.parametrize("why", ["quota", "profile"])
def test_parts_that_have_become_too_large_are_gone_after_a_round(
    far: Factory, unsized: UnsizedService, why: str
) -> None:
    kind = NewUpload("a.png", content_type="image/png") if why == "profile" else NEW
    opened, small = unsized.open_parts(Holder(ALICE), kind), unsized.open_parts(Holder(ALICE), NEW)
    for number in (1, 2):
        sent(unsized, opened, number, bytes([number]) * FIVE)
    sent(unsized, small, 1, b"small")
    if why == "quota":
        limited(far, 2 * FIVE - 1)
        adoption = far.services.adoption
    else:
        least = replace(policy.default_profile(), max_sizes=dict.fromkeys(Category, FIVE))
        adoption = far.services.adoption
        screening = replace(adoption.weighing.screening, profiles={"default": least})
        weighing = replace(adoption.weighing, screening=screening)
        adoption = replace(adoption, weighing=weighing)

    adoption.round()

    found = {row["id"]: row["state"] for row in far.query("SELECT id, state FROM uploads")}
    assert (found[opened.upload.id], found[small.upload.id]) == ("cancelled", "receiving")
    assert len(far.multiparts()) == 1
    with pytest.raises(NotReceiving):
        sent(unsized, opened, 1)


def test_a_profile_that_is_gone_keeps_nobody_from_being_weighed(
    far: Factory, unsized: UnsizedService
) -> None:
    limited(far, 2 * FIVE - 1)
    gone, heavy = unsized.open_parts(Holder(ALICE), NEW), unsized.open_parts(Holder(ALICE), NEW)
    with far.records._engine.begin() as connection:
        of_it = {"id": gone.upload.id}
        connection.execute(sql("UPDATE uploads SET profile = 'gone' WHERE id = :id"), of_it)
    for number in (1, 2):
        sent(unsized, heavy, number, bytes([number]) * FIVE)

    far.services.adoption.round()

    found = {row["id"]: row["state"] for row in far.query("SELECT id, state FROM uploads")}
    assert found == {gone.upload.id: "receiving", heavy.upload.id: "cancelled"}


def test_what_is_sent_again_counts_once(far: Factory, unsized: UnsizedService) -> None:
    limited(far, FIVE + 10)
    opened = unsized.open_parts(Holder(ALICE), NEW)
    for _ in range(2):
        sent(unsized, opened, 1, bytes([1]) * FIVE)

    far.services.adoption.round()

    assert states(far) == ["receiving"]


def test_a_store_that_fails_keeps_nobody_from_being_weighed(
    far: Factory, sky: Weather, unsized: UnsizedService
) -> None:
    limited(far, 10)
    uploads = [unsized.open_parts(Holder(ALICE), NEW) for _ in range(2)]
    for opened in uploads:
        sent(unsized, opened, 1, b"more than there is room for")
    first = min(each.key for each in uploads)
    sky.brings(
        an_error(503, "SlowDown"),
        to=lambda call: call.method == "GET" and first.rpartition("/")[2] in call.path,
        times=None,
    )

    far.services.adoption.round()

    assert sorted(states(far)) == ["cancelled", "receiving"]


# What fails on the way leaves nothing.


@pytest.mark.parametrize("way", WAYS)
def test_what_can_not_be_signed_leaves_no_upload_open(
    far: Factory, a_bucket: S3Place, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    keyless = replace(a_bucket, access_key_id=None, secret_access_key=None)
    direct = replace(far.services.unsized.direct, direct_store=S3Objects(keyless))
    targets = replace(far.services.targets, direct=direct)
    unsized = replace(far.services.unsized, targets=targets, direct=direct)

    with pytest.raises(AccessDenied):
        WAYS[way](unsized, Holder(ALICE))

    assert (states(far), far.multiparts()) == (["cancelled"], [])
    assert far.quota() == (0, 0)


# Who heard nothing of the end.


def test_parts_are_still_told_of_when_the_answer_to_their_joining_was_lost(
    far: Factory, sky: Weather, unsized: UnsizedService
) -> None:
    opened = unsized.open_parts(Holder(ALICE), NEW)
    etags = {1: sent(unsized, opened, 1, b"a" * FIVE), 2: sent(unsized, opened, 2)}
    sky.brings(the_answer_is_lost, to=completes, times=None)
    with pytest.raises(Unavailable):
        unsized.complete(Holder(ALICE), opened, etags)
    sky.clears()

    joined = unsized.parts(opened)
    job = unsized.complete(Holder(ALICE), opened, {part.number: part.etag for part in joined})
    now = unsized.find(Holder(ALICE), opened.upload.id)

    assert [part.number for part in joined] == [1, 2]
    assert unsized.parts(now) == joined
    assert unsized.complete(Holder(ALICE), now, {1: "x"}).id == job.id
    assert far.run(job).state is JobState.SUCCEEDED
    assert unsized.parts(unsized.find(Holder(ALICE), opened.upload.id)) == joined


def test_no_parts_are_told_of_what_was_cancelled(far: Factory, unsized: UnsizedService) -> None:
    opened = unsized.open_parts(Holder(ALICE), NEW)
    sent(unsized, opened, 1)
    far.services.uploads.cancel(ALICE, opened.upload.id)

    with pytest.raises(NotReceiving):
        unsized.parts(unsized.find(Holder(ALICE), opened.upload.id))
