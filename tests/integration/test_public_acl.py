"""Public files where `S3_PUBLIC_ACL` is on: their jobs end well, and their address is one that works."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
from click.testing import CliRunner
from sqlalchemy import text as sql

from cli.public_acls import public_acls
from shared.adapters.client_s3 import S3Place, s3_client
from shared.adapters.objects_s3 import S3Objects
from shared.model.file import File
from shared.model.layout import Layout
from shared.model.upload import NewUpload
from shared.ports import ObjectStore
from shared.services.describing import Describing
from shared.services.opening import set_acls
from shared.services.sweeping import SweepService
from tests.support import servers
from tests.support.factory import Factory, a_factory
from tests.support.late import as_store
from tests.support.pictures import a_png
from tests.support.waiting import eventually
from tests.support.weather import Call, an_error, weather_before
from tests.support.workshop import ALICE, BOB, Bytes

BARE = Layout("{name}")

BOTH = pytest.mark.parametrize(
    "content", [b"hello", b"hello, " * 1_300_000], ids=["whole", "in parts"]
)


@contextmanager
def a_factory_before(place: S3Place, folder: Path) -> Iterator[Factory]:
    url = f"sqlite:///{folder / 'sluice.db'}"
    servers.make_tables(url)
    with a_factory(folder, url, objects=S3Objects(place)) as made:
        yield made
        made.objects.delete(sorted(made.keys()))


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with servers.moto() as url:
        yield url


@pytest.fixture
def generous(moto: str) -> S3Place:
    """A bucket whose store lets anybody read what it has."""
    place = S3Place(f"test-{uuid4().hex}", "us-east-1", moto, None, "a", "s", public_acl=True)
    s3_client(place, moto).create_bucket(Bucket=place.bucket)
    return place


def published(
    factory: Factory, content: bytes, filename: str = "notes.txt", *, is_public: bool = True
) -> File:
    job = factory.received(content, filename, is_public=is_public)
    factory.run(job)
    file = factory.file(job)
    assert file is not None
    return file


def url_of(factory: Factory, file: File) -> str:
    return str(Describing("http://sluice", factory.objects).file(file)["url"])


def has_acl(call: Call) -> bool:
    return any(name.lower() == "x-amz-acl" for name in call.headers)


@BOTH
def test_a_store_that_refuses_acls_costs_no_job_and_the_address_is_ours(
    a_bucket: S3Place, tmp_path: Path, content: bytes
) -> None:
    with weather_before(replace(a_bucket, public_acl=True)) as sky:
        sky.brings(an_error(400, "AccessControlListNotSupported"), to=has_acl, times=None)
        with a_factory_before(sky.place, tmp_path) as factory:
            file = published(factory, content)

            assert factory.content(file.key) == content
            assert url_of(factory, file) == f"http://sluice/public/{file.id}/notes.txt"


def test_a_store_that_takes_acls_and_lets_nobody_read_is_found_out(
    a_bucket: S3Place, tmp_path: Path
) -> None:
    with a_factory_before(replace(a_bucket, public_acl=True), tmp_path) as factory:
        file = published(factory, b"hello")

        seen = {url_of(factory, file) for _ in range(200)}

    assert seen == {f"http://sluice/public/{file.id}/notes.txt"}


@BOTH
def test_where_acls_are_honoured_anybody_reads_the_file_at_the_stores_address(
    generous: S3Place, tmp_path: Path, content: bytes
) -> None:
    with a_factory_before(generous, tmp_path) as factory:
        file = published(factory, content)

        eventually(lambda: url_of(factory, file).startswith(generous.endpoint or ""), timeout=10)
        answer = requests.get(url_of(factory, file), timeout=10)

    assert answer.content == content
    assert url_of(factory, file) == f"{generous.endpoint}/{generous.bucket}/{file.key}"


def test_the_thumbnails_of_a_public_picture_stay_private(a_bucket: S3Place, tmp_path: Path) -> None:
    with weather_before(replace(a_bucket, public_acl=True)) as sky:
        with a_factory_before(sky.place, tmp_path) as factory:
            file = published(factory, a_png(), "photo.png")
        opened = {call.path for call, _ in sky.calls if has_acl(call)}

    small = {f"/{a_bucket.bucket}/{each.key}" for each in file.thumbnails}
    assert f"/{a_bucket.bucket}/{file.key}" in opened
    assert small
    assert not small & opened


def test_files_from_before_are_opened_by_hand_and_closed_again(
    generous: S3Place, tmp_path: Path
) -> None:
    with a_factory_before(replace(generous, public_acl=False), tmp_path) as factory:
        public, private = published(factory, b"1"), published(factory, b"2", is_public=False)
        store = S3Objects(generous)

        assert set_acls(factory.records, store) == 1
        assert (readers(generous, public), readers(generous, private)) == ({"AllUsers"}, set())

        assert set_acls(factory.records, store) == 1
        assert set_acls(factory.records, store, remove=True) == 1
        assert readers(generous, public) == set()


def test_a_file_that_becomes_private_meanwhile_is_not_left_open(
    generous: S3Place, tmp_path: Path
) -> None:
    with a_factory_before(generous, tmp_path) as factory:
        file = published(factory, b"1")
        store = S3Objects(generous)

        class Slow:
            """A store whose first request comes after somebody else's."""

            def __getattr__(self, name: str) -> Any:
                return getattr(store, name)

            def set_public(self, key: str, *, is_public: bool) -> None:
                if is_public:
                    with factory.records._engine.begin() as connection:
                        connection.execute(sql("UPDATE files SET is_public = false"))
                    store.set_public(key, is_public=False)
                store.set_public(key, is_public=is_public)

        set_acls(factory.records, as_store(Slow()))

        assert readers(generous, file) == set()


class Open:
    """A store that notes what it gives to anybody; before it first does, something else happens."""

    gives_away = True

    def __init__(self, inner: ObjectStore) -> None:
        self._inner = inner
        self.keys: set[str] = set()
        self.meanwhile: list[Callable[[], object]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def set_public(self, key: str, *, is_public: bool) -> None:
        if is_public and self.meanwhile:
            self.meanwhile.pop()()
        (self.keys.add if is_public else self.keys.discard)(key)


@pytest.mark.parametrize("what", ["made private", "replaced", "half replaced", "another's"])
def test_what_became_private_while_it_was_opened_is_closed_again(
    tmp_path: Path, what: str, sqlite_url: str
) -> None:
    with a_factory(tmp_path, sqlite_url) as factory:
        store = Open(factory.objects)
        files = replace(factory.services.files, objects=as_store(store))
        changes = replace(factory.services.changes, files=files)
        file = factory.received(b"the first", layout=BARE)
        factory.run(file)
        heir = factory.received(b"the second", layout=BARE, replace=True)

        def anothers() -> None:
            factory.services.files.delete(ALICE, file.upload_id, hard=True)
            upload = factory.services.uploads.open(BOB, NewUpload("notes.txt", layout=BARE))
            factory.services.chunks.put(BOB, upload.id, 0, Bytes(b"Bob's"), None)
            assert factory.run(factory.services.uploads.complete(BOB, upload.id)).error is None

        def half() -> None:
            """Write over the old object; the rows do not say so before all is over."""
            with factory.records.read() as rows:
                old = rows.files.under("notes.txt")
            assert old is not None
            factory.objects.put(
                "notes.txt", b"the second", over=old.etag,
                content_type="text/plain", upload_id=heir.upload_id,
            )  # fmt: skip

        happens: dict[str, Callable[[], object]] = {
            "made private": lambda: changes.change(ALICE, file.upload_id, {"is_public": False}),
            "replaced": lambda: factory.run(heir),
            "half replaced": half,
            "another's": anothers,
        }
        store.meanwhile.append(happens[what])

        changes.change(ALICE, file.upload_id, {"is_public": True})

        assert (store.meanwhile, store.keys) == ([], set())


def test_who_makes_a_file_private_closes_what_was_opened_meanwhile(
    tmp_path: Path, sqlite_url: str
) -> None:
    with a_factory(tmp_path, sqlite_url) as factory:
        job = factory.received(b"hello", is_public=True)
        factory.run(job)
        store = Open(factory.objects)
        close = store.set_public

        def closed(key: str, *, is_public: bool) -> None:
            """Close it, and let another open it before the row says that it is private."""
            close(key, is_public=is_public)
            if len(asked) == 0:
                close(key, is_public=True)
            asked.append(is_public)

        asked: list[bool] = []
        store.set_public = closed  # type: ignore[method-assign]
        files = replace(factory.services.files, objects=as_store(store))
        changes = replace(factory.services.changes, files=files)

        changes.change(ALICE, job.upload_id, {"is_public": False})

        assert store.keys == set()


@contextmanager
def an_open_file(folder: Path, **said: Any) -> Iterator[tuple[Factory, Open, File]]:
    """A public file of a store that notes that it is open; the sweeps ask that store, too."""
    url = f"sqlite:///{folder / 'sluice.db'}"
    servers.make_tables(url)
    with a_factory(folder, url) as factory:
        job = factory.received(b"hello", is_public=True, **said)
        factory.run(job)
        file = factory.file(job)
        assert file is not None
        store = Open(factory.objects)
        store.keys.add(file.key)
        yield factory, store, file


def test_a_public_file_that_expires_is_closed_in_the_store(tmp_path: Path) -> None:
    with an_open_file(tmp_path, expires_in=60) as (factory, store, file):
        factory.shift("files", "expires_at", -timedelta(hours=1), id=file.id)
        sweeper = replace(factory.services.sweeps.sweeper, objects=as_store(store))

        SweepService(sweeper).run("expired-files")

        assert store.keys == set()


def test_a_public_file_that_is_restored_is_open_again_and_a_hidden_one_never_is(
    tmp_path: Path,
) -> None:
    with an_open_file(tmp_path) as (factory, store, file):
        files = replace(factory.services.files, objects=as_store(store))
        factory.services.files.delete(ALICE, file.id, hard=False)

        assert set_acls(factory.records, as_store(store)) == 0
        assert store.keys == set()

        replace(factory.services.changes, files=files).restore(ALICE, file.id)
        assert store.keys == {file.key}


def test_a_public_file_that_is_deleted_softly_is_closed_in_the_store(
    generous: S3Place, tmp_path: Path
) -> None:
    with a_factory_before(generous, tmp_path) as factory:
        file, other = published(factory, b"1"), published(factory, b"2", is_public=False)
        assert readers(generous, file) == {"AllUsers"}

        refused = factory.services.files.delete_many(ALICE, [file.id, other.id], hard=False)

        assert (refused, readers(generous, file)) == ({}, set())


def test_a_file_that_can_t_be_closed_is_not_deleted_and_keeps_no_other_from_it(
    generous: S3Place, tmp_path: Path
) -> None:
    with weather_before(generous) as sky, a_factory_before(sky.place, tmp_path) as factory:
        file, other = published(factory, b"1"), published(factory, b"2", is_public=False)
        sky.brings(an_error(503, "SlowDown"), to=lambda call: "?acl" in call.path, times=None)

        refused = factory.services.files.delete_many(ALICE, [file.id, other.id], hard=False)

        assert {each: error.code for each, error in refused.items()} == {
            file.id: "objects_unavailable"
        }
        assert factory.services.files.find(ALICE, file.id).deleted_at is None


def test_a_file_that_was_deleted_while_it_was_opened_is_closed_again(tmp_path: Path) -> None:
    with an_open_file(tmp_path) as (factory, store, file):
        files = replace(factory.services.files, objects=as_store(store))
        changes = replace(factory.services.changes, files=files)
        store.meanwhile.append(lambda: files.delete(ALICE, file.id, hard=False))

        changes.change(ALICE, file.id, {"is_public": True})

        assert (store.meanwhile, store.keys) == ([], set())


def test_without_acls_nobody_asks_the_store_about_a_public_file(
    a_bucket: S3Place, tmp_path: Path
) -> None:
    with weather_before(a_bucket) as sky, a_factory_before(sky.place, tmp_path) as factory:
        file = published(factory, b"hello")
        services = factory.services
        sky.calls.clear()

        services.changes.change(ALICE, file.id, {"is_public": False})
        services.changes.change(ALICE, file.id, {"is_public": True})
        services.files.delete(ALICE, file.id, hard=False)
        services.changes.restore(ALICE, file.id)

        assert sky.calls == []


def test_files_that_are_hidden_are_closed_before_the_setting_goes(tmp_path: Path) -> None:
    with an_open_file(tmp_path) as (factory, store, file):
        factory.services.files.delete(ALICE, file.id, hard=False)

        assert set_acls(factory.records, as_store(store), remove=True) == 1
        assert store.keys == set()


def test_a_file_whose_object_is_lost_does_not_stop_the_others(
    generous: S3Place, tmp_path: Path
) -> None:
    with a_factory_before(generous, tmp_path) as factory:
        lost, _ = published(factory, b"1"), published(factory, b"2")
        factory.objects.delete([lost.key])

        assert set_acls(factory.records, S3Objects(generous)) == 1


def test_without_the_setting_the_command_does_nothing(environment: dict[str, str]) -> None:
    result = CliRunner(env=environment).invoke(public_acls)

    assert (result.exit_code, result.stderr) == (2, "S3_PUBLIC_ACL is not set.\n")


def test_the_command_says_what_it_did(environment: dict[str, str]) -> None:
    result = CliRunner(env=environment | {"S3_PUBLIC_ACL": "true"}).invoke(public_acls)

    assert (result.exit_code, result.stdout) == (0, "0 public files opened\n")


def readers(place: S3Place, file: File) -> set[str]:
    """Return who may read a file's object beside its owner."""
    said = s3_client(place, place.endpoint).get_object_acl(Bucket=place.bucket, Key=file.key)
    return {each["Grantee"].get("URI", "").rsplit("/", 1)[-1] for each in said["Grants"]} - {""}
