"""Objects of public files: the ACL, and stores that take it, refuse it, or think nothing of it."""

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from typing import Any
from uuid import uuid4

import pytest
import requests

from shared.adapters.client_s3 import S3Place, s3_client
from shared.adapters.objects_s3 import S3Objects
from shared.errors import KeyTaken, Unavailable
from tests.support import servers
from tests.support.objects import KEY, content
from tests.support.waiting import eventually
from tests.support.weather import Call, Weather, an_error, weather_before

REFUSALS = [(400, "AccessControlListNotSupported"), (403, "AccessDenied"), (501, "NotImplemented")]


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with servers.moto() as url:
        yield url


@pytest.fixture
def generous(moto: str) -> S3Place:
    """A bucket whose store keeps ACLs and lets anybody read what it has."""
    place = S3Place(f"test-{uuid4().hex}", "us-east-1", moto, None, "a", "s", public_acl=True)
    s3_client(place, moto).create_bucket(Bucket=place.bucket)
    return place


@pytest.fixture
def refusing(bucket: S3Place) -> Iterator[Weather]:
    with weather_before(replace(bucket, public_acl=True)) as proxy:
        yield proxy


def put(store: S3Objects, key: str = KEY, *, is_public: bool = True) -> str:
    return store.put(key, b"hello", content_type="a/b", upload_id="u", is_public=is_public)


def put_in_parts(store: S3Objects, *, is_public: bool = True) -> None:
    begun = store.begin_multipart(KEY, content_type="a/b", upload_id="u", is_public=is_public)
    part = store.put_part(KEY, begun, 1, 0, BytesIO(b"hello"))
    store.complete_multipart(KEY, begun, [part])


def readers(place: S3Place, key: str = KEY) -> set[str]:
    """Return who may read an object beside its owner."""
    said = s3_client(place, place.endpoint).get_object_acl(Bucket=place.bucket, Key=key)
    return {each["Grantee"].get("URI", "").rsplit("/", 1)[-1] for each in said["Grants"]} - {""}


def has_acl(call: Call) -> bool:
    return any(name.lower() == "x-amz-acl" for name in call.headers)


def public_url(store: S3Objects) -> str:
    return str(eventually(lambda: store.public_url(KEY), timeout=10))


@pytest.mark.parametrize("write", [put, put_in_parts])
def test_a_public_object_is_everybodys(generous: S3Place, write: Any) -> None:
    write(S3Objects(generous), is_public=True)

    assert readers(generous) == {"AllUsers"}


@pytest.mark.parametrize("write", [put, put_in_parts])
def test_of_a_private_object_no_acl_is_said(refusing: Weather, write: Any) -> None:
    write(S3Objects(refusing.place), is_public=False)

    assert [call for call, _ in refusing.calls if has_acl(call)] == []


def test_no_acl_is_set_unless_the_setting_says_so(generous: S3Place) -> None:
    store = S3Objects(replace(generous, public_acl=False))

    put(store)
    store.set_public(KEY, is_public=True)

    assert readers(generous) == set()
    assert store.public_url(KEY) is None


def test_an_object_becomes_public_and_private_again(generous: S3Place) -> None:
    store = S3Objects(generous)
    put(store, is_public=False)

    store.set_public(KEY, is_public=True)
    assert readers(generous) == {"AllUsers"}

    store.set_public(KEY, is_public=False)
    assert readers(generous) == set()


def test_where_acls_are_honoured_the_address_is_the_stores_and_anybody_reads_it(
    generous: S3Place,
) -> None:
    store = S3Objects(generous)
    put(store)

    url = public_url(store)

    assert url == f"{generous.endpoint}/{generous.bucket}/{KEY}"
    assert requests.get(url, timeout=10).content == b"hello"
    assert [each.key for each in store.listing()] == [KEY]


def test_where_they_are_not_there_is_no_address_and_the_question_leaves_nothing(
    bucket: S3Place,
) -> None:
    store = S3Objects(replace(bucket, public_acl=True))
    put(store)

    eventually(lambda: asked(store), timeout=10)

    assert requests.get(store.url(KEY), timeout=10).status_code == 403
    assert store.public_url(KEY) is None
    assert [each.key for each in store.listing()] == [KEY]


def test_nobody_waits_for_a_store_that_is_away() -> None:
    nobody = f"http://127.0.0.1:{servers.free_port()}"
    store = S3Objects(S3Place("b", "us-east-1", nobody, None, "a", "s", public_acl=True))

    assert {store.public_url(KEY) for _ in range(1000)} == {None}


@pytest.mark.parametrize(("status", "code"), REFUSALS)
@pytest.mark.parametrize("write", [put, put_in_parts])
def test_a_store_that_refuses_acls_is_asked_once_and_gets_the_object_all_the_same(
    refusing: Weather, status: int, code: str, write: Any
) -> None:
    refusing.brings(an_error(status, code), to=has_acl, times=None)
    store = S3Objects(refusing.place)

    write(store)
    put(store, "another")

    assert content(store) == b"hello"
    assert len([call for call, _ in refusing.calls if has_acl(call)]) == 1
    assert store.public_url(KEY) is None


@pytest.mark.parametrize(("status", "code"), REFUSALS)
def test_to_refuse_acls_is_not_to_refuse_conditions(
    refusing: Weather, status: int, code: str
) -> None:
    refusing.brings(an_error(status, code), to=has_acl, times=None)
    store = S3Objects(refusing.place)
    put(store)

    with pytest.raises(KeyTaken):
        put(store)

    last, _ = refusing.calls[-1]
    assert last.headers["If-None-Match"] == "*"


def test_a_store_that_refuses_everything_has_not_refused_the_acl(refusing: Weather) -> None:
    refusing.brings(an_error(403, "AccessDenied"), times=2)
    store = S3Objects(refusing.place)
    with pytest.raises(Unavailable):
        put(store)

    put(store)

    last, _ = refusing.calls[-1]
    assert has_acl(last)


def test_a_taken_key_is_not_made_public(generous: S3Place) -> None:
    store = S3Objects(generous)
    put(store, is_public=False)

    with pytest.raises(KeyTaken):
        put(store, is_public=True)

    assert readers(generous) == set()


def test_what_can_not_be_made_private_again_is_said(refusing: Weather) -> None:
    store = S3Objects(refusing.place)
    put(store)
    refusing.brings(an_error(403, "AccessDenied"), to=has_acl, times=None)

    with pytest.raises(Unavailable):
        store.set_public(KEY, is_public=False)


@pytest.mark.parametrize(("status", "code"), REFUSALS)
def test_what_can_not_be_made_public_stays_as_it_is(
    refusing: Weather, status: int, code: str
) -> None:
    store = S3Objects(refusing.place)
    put(store, is_public=False)
    refusing.brings(an_error(status, code), to=has_acl, times=None)

    store.set_public(KEY, is_public=True)

    assert content(store) == b"hello"


def asked(store: S3Objects) -> bool:
    store.public_url(KEY)
    return store._acls._honoured is not None
