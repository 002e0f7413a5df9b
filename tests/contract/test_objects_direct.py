"""What a real S3 store lets clients do by themselves, with requests that we have signed."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import boto3
import pytest
import requests

from shared.adapters.client_s3 import S3Place
from shared.adapters.objects_s3 import S3Objects
from shared.errors import AccessDenied, NotFound
from tests.support.objects import FIVE, content
from tests.support.waiting import eventually

KEY = ".staging/direct/one"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def store(bucket: S3Place) -> S3Objects:
    return S3Objects(bucket)


def put(url: str, body: bytes, content_type: str | None = None) -> int:
    headers = {} if content_type is None else {"Content-Type": content_type}
    return requests.put(url, data=body, headers=headers, timeout=10).status_code


def test_a_signed_put_writes_under_its_key(store: S3Objects) -> None:
    url = store.sign_put(KEY, MINUTE, size=5, content_type="text/plain")

    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in url
    assert put(url, b"hello", "text/plain") == 200
    assert content(store, KEY) == b"hello"
    assert [each.key for each in store.waiting(".staging/")] == [KEY]
    assert list(store.waiting(".staging/direct/two")) == []


def test_what_was_signed_can_not_be_changed(store: S3Objects) -> None:
    url = store.sign_put(KEY, MINUTE, size=5, content_type="text/plain")

    refused = [
        put(url, b"hello!", "text/plain"),
        put(url, b"hello", "text/html"),
        put(url.replace("direct/one", "direct/two"), b"hello", "text/plain"),
        requests.get(url, timeout=10).status_code,
        requests.delete(url, timeout=10).status_code,
    ]

    assert refused == [403] * 5
    assert store.find(KEY) is None


def test_without_a_size_and_a_type_any_will_do(store: S3Objects) -> None:
    url = store.sign_put(KEY, MINUTE, size=None, content_type=None)

    assert [put(url, b"hello"), put(url, b"hello, again", "text/html")] == [200, 200]
    assert content(store, KEY) == b"hello, again"


def test_a_signed_request_ends(store: S3Objects) -> None:
    url = store.sign_put(KEY, timedelta(seconds=1), size=None, content_type=None)

    eventually(lambda: put(url, b"late") == 403, every=0.5)


def test_parts_are_listed_as_they_come_and_joined_once(store: S3Objects) -> None:
    multipart_id = store.begin_parts(KEY, content_type="text/plain")
    sizes = {1: FIVE, 2: 3}
    urls = {
        number: store.sign_part(KEY, multipart_id, number, MINUTE, size=size)
        for number, size in sizes.items()
    }

    assert put(urls[2], b"end") == 200
    assert [(part.number, part.length) for part in store.parts(KEY, multipart_id)] == [(2, 3)]
    assert put(urls[1], b"a" * (FIVE - 1)) == 403
    assert put(urls[1], b"a" * FIVE) == 200
    parts = list(store.parts(KEY, multipart_id))
    store.join_parts(KEY, multipart_id, parts)

    assert content(store, KEY) == b"a" * FIVE + b"end"
    assert put(urls[2], b"END") == 404
    with suppress(NotFound):  # S3 says so, SeaweedFS that it is done
        store.join_parts(KEY, multipart_id, parts)
    assert content(store, KEY) == b"a" * FIVE + b"end"
    with pytest.raises(NotFound):
        list(store.parts(KEY, multipart_id))


def test_a_list_goes_on_behind_a_key(store: S3Objects) -> None:
    keys = [f".staging/direct/{name}" for name in ("a", "b", "c")]
    for key in (*keys, ".staging/other", "z"):
        put(store.sign_put(key, MINUTE, size=None, content_type=None), b"x")

    found = [each.key for each in store.waiting(".staging/direct/", after=keys[0])]

    assert found == keys[1:]
    assert [each.key for each in store.waiting(".staging/", after=keys[2])] == [".staging/other"]


def test_a_form_takes_one_file_of_its_type_and_size(store: S3Objects) -> None:
    form = store.sign_form(KEY, MINUTE, least=1, most=10, content_type="text/plain")

    def post(body: bytes, **fields: str) -> int:
        parts: list[Any] = [
            (name, (None, text)) for name, text in {**form.fields, **fields}.items()
        ]
        return requests.post(
            form.url, files=[*parts, ("file", ("x", body))], timeout=10
        ).status_code

    refused = [
        post(b""),
        post(b"0123456789a"),
        post(b"hello", key=f"{KEY}x"),
        post(b"hello", **{"Content-Type": "text/html"}),
    ]

    assert [status in {400, 403} for status in refused] == [True] * 4, refused
    assert store.find(KEY) is None
    assert post(b"hello") == 201
    assert content(store, KEY) == b"hello"


def test_a_part_of_no_announced_size_has_any(store: S3Objects) -> None:
    multipart_id = store.begin_parts(KEY, content_type=None)
    url = store.sign_part(KEY, multipart_id, 1, MINUTE, size=None)

    assert [put(url, b"one"), put(url, b"another")] == [200, 200]
    store.join_parts(KEY, multipart_id, list(store.parts(KEY, multipart_id)))
    assert content(store, KEY) == b"another"


# What nobody has signed: a header turns a PUT into a copy of another's file, or gives it away.
UNSIGNED: dict[str, dict[str, str]] = {
    "a copy": {"x-amz-copy-source": "/{bucket}/secret.txt"},
    "a copy without a slash": {"X-Amz-Copy-Source": "{bucket}/secret.txt"},
    "a copy with metadata of its own": {
        "x-amz-copy-source": "/{bucket}/secret.txt",
        "x-amz-metadata-directive": "REPLACE",
    },
    "a part of a copy": {
        "x-amz-copy-source": "/{bucket}/secret.txt",
        "x-amz-copy-source-range": "bytes=0-3",
    },
    "an ACL": {"x-amz-acl": "public-read"},
    "a grant": {"x-amz-grant-read": "uri=http://acs.amazonaws.com/groups/global/AllUsers"},
    "tags": {"x-amz-tagging": "team=7"},
    "metadata": {"x-amz-meta-upload-id": "another"},
    "a storage class": {"x-amz-storage-class": "GLACIER"},
    "a legal hold": {"x-amz-object-lock-legal-hold": "ON"},
    "a redirect": {"x-amz-website-redirect-location": "https://elsewhere.example"},
    "a key of encryption": {"x-amz-server-side-encryption": "aws:kms"},
}


@pytest.mark.parametrize("named", UNSIGNED)
@pytest.mark.parametrize("way", ["put", "put of a size", "part", "part of a size"])
def test_a_link_to_write_takes_no_header_that_is_not_signed(
    store: S3Objects, bucket: S3Place, way: str, named: str
) -> None:
    store.put("secret.txt", b"another's", content_type="text/plain", upload_id="another")
    size = 5 if way.endswith("size") else None
    multipart_id = None
    if way.startswith("part"):
        multipart_id = store.begin_parts(KEY, content_type=None)
        url = store.sign_part(KEY, multipart_id, 1, MINUTE, size=size)
    else:
        url = store.sign_put(KEY, MINUTE, size=size, content_type=None)
    said = {name: text.format(bucket=bucket.bucket) for name, text in UNSIGNED[named].items()}

    answers = [
        requests.put(url, data=body, headers=said, timeout=10).status_code
        for body in (b"hello", b"")
    ]

    assert answers == [403, 403]
    assert store.find(KEY) is None
    assert multipart_id is None or list(store.parts(KEY, multipart_id)) == []


@pytest.mark.parametrize(
    "more",
    ["acl", "tagging", "retention", "partNumber=1&uploadId=x", "x-amz-acl=public-read"],
)
def test_a_link_to_write_takes_no_parameter_that_is_not_signed(store: S3Objects, more: str) -> None:
    url = store.sign_put(KEY, MINUTE, size=None, content_type=None)

    assert put(f"{url}&{more}", b"hello") == 403
    assert store.find(KEY) is None


def test_what_a_form_says_beside_its_policy_gives_nothing_away(store: S3Objects) -> None:
    form = store.sign_form(KEY, MINUTE, least=1, most=10, content_type="text/plain")

    def post(**fields: str) -> None:
        parts: list[Any] = [
            (name, (None, text)) for name, text in {**form.fields, **fields}.items()
        ]
        files = [*parts, ("file", ("x", b"hello"))]
        requests.post(form.url, files=files, timeout=10, allow_redirects=False)

    for fields in ({"acl": "public-read"}, {"x-amz-meta-upload-id": "another"}):
        post(**fields)  # SeaweedFS takes no notice of the first, others refuse it

    there = store.find(KEY)
    assert there is None or there.metadata == {}
    assert requests.get(f"{form.url}/{KEY}", timeout=10).status_code == 403


def test_who_has_no_credentials_signs_nothing_and_is_told_so(
    bucket: S3Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    nobody = replace(bucket, access_key_id=None, secret_access_key=None, session=boto3.Session())
    store = S3Objects(nobody)

    for sign in (
        lambda: store.sign_put(KEY, MINUTE, size=None, content_type=None),
        lambda: store.sign_part(KEY, "x", 1, MINUTE, size=None),
        lambda: store.sign_form(KEY, MINUTE, least=1, most=2, content_type=None),
        lambda: store.presign(KEY, MINUTE, disposition="inline", content_type="text/plain"),
    ):
        with pytest.raises(AccessDenied):
            sign()
