"""Chunks that wait in the bucket: web hosts that share no disk, and a file by each dialect."""

import hashlib
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import requests

from tests.dialects import sessions
from tests.dialects.test_gateway import uploaded as uploaded_at_the_gateway
from tests.dialects.test_numbered import PDF
from tests.dialects.test_numbered import uploaded as uploaded_with_a_number
from tests.dialects.test_storage import enveloped
from tests.dialects.test_storage import upload as upload_in_an_envelope
from tests.e2e.test_direct import sent as sent_straight
from tests.support.api import Api, answered, refused
from tests.support.companion import Companion
from tests.support.pictures import a_jpeg
from tests.support.quick import a_quick_stack
from tests.support.samples import mp3, picture
from tests.support.servers import postgresql_database
from tests.support.stack import Stack
from tests.support.tus import Tus, metadata
from tests.support.waiting import eventually

MIB: Final = 1024**2
ROOT: Final = ".staging/chunks/"
MARK: Final = f"{ROOT}.sluice"
SHARED: Final = (
    "REDIS_URL",
    "S3_ENDPOINT_URL",
    "S3_BUCKET_NAME",
    "S3_ACCESS_KEY_ID",
    "S3_SECRET_ACCESS_KEY",
    "JWT_SECRET_KEY",
)


@pytest.fixture(scope="module")
def two(postgres_server: str) -> Iterator[tuple[Stack, Stack]]:
    """Two copies on two data folders; the second uses the first one's store and broker."""
    with (
        postgresql_database(postgres_server) as url,
        a_quick_stack(DATABASE_URL=url, STAGING_BACKEND="s3") as first,
    ):
        shared = {name: first.env[name] for name in SHARED}
        with a_quick_stack(DATABASE_URL=url, STAGING_BACKEND="s3", **shared) as second:
            yield first, second
        for each in (first, second):
            assert [line for line in each.log if "request_failed" in line] == []


@pytest.fixture
def first(two: tuple[Stack, Stack]) -> Stack:
    return two[0]


@pytest.fixture
def client(first: Stack) -> Iterator[Api]:
    with a_client(first, "alice") as made:
        yield made


def a_client(stack: Stack, sub: str, tenant: str | int | None = None) -> Api:
    own = tenant or f"t-{uuid4().hex[:12]}"
    token = stack.signed(sub=sub, tenant=own, exp=int(time.time()) + 3600)
    return Api(stack.base_url, token, sub=sub, tenant=str(own))


def lying(stack: Stack, prefix: str = ROOT) -> list[str]:
    """Return what lies in staging, but for the mark."""
    found = stack.s3.list_objects_v2(Bucket=stack.env["S3_BUCKET_NAME"], Prefix=prefix)
    return [each["Key"] for each in found.get("Contents", []) if each["Key"] != MARK]


def noise(size: int) -> bytes:
    """Return bytes of a text that no two chunks have in common."""
    drawn = random.Random(size).randbytes(size // 2 + 1)  # noqa: S311  # no secret
    return drawn.hex().encode()[:size]


def test_chunks_sent_to_two_webs_in_turn_are_one_file(two: tuple[Stack, Stack]) -> None:
    content, length = noise(41 * MIB + 12_345), 3 * MIB
    clients = [a_client(stack, "alice", "of-both") for stack in two]
    opened = clients[0].open_upload(size=len(content), chunk_size=length)
    pieces = [content[start : start + length] for start in range(0, len(content), length)]

    def put(number: int) -> None:
        client = clients[number % 2]
        answered(client.put_chunk(opened["id"], number, pieces[number]), 200)

    for number in range(len(pieces) - 1):
        put(number)
    waiting = lying(two[0], f"{ROOT}{opened['id']}/")
    status = answered(clients[0].get(f"/api/v1/uploads/{opened['id']}"), 200)
    put(len(pieces) - 1)
    job = clients[1].ended(clients[1].complete(opened["id"])["id"], 60)

    assert len(waiting) == len(pieces) - 1
    assert status["missing"] == [len(pieces) - 1]
    assert job["state"] == "succeeded"
    assert job["file"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert all(client.download(opened["id"]).content == content for client in clients)
    assert answered(clients[0].get(f"/api/v1/uploads/{opened['id']}"), 200)["state"] == "ready"
    assert eventually(lambda: not lying(two[0], f"{ROOT}{opened['id']}/"), 20)
    assert not any(stack.staging.exists() for stack in two)


def test_the_same_chunk_sent_to_both_at_once_is_there_once(two: tuple[Stack, Stack]) -> None:
    content = a_jpeg(640, 480)
    clients = [a_client(stack, "alice", "of-both") for stack in two]
    opened = clients[0].open_upload("beach.jpg", size=len(content))

    def put(client: Api) -> requests.Response:
        return client.put_chunk(opened["id"], 0, content)

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(put, clients))
    other = clients[1].put_chunk(opened["id"], 0, content[::-1])

    assert [each.status_code for each in answers] == [200, 200]
    assert other.status_code in {409, 415}
    assert len(lying(two[0], f"{ROOT}{opened['id']}/")) == 1
    assert clients[1].ended(clients[0].complete(opened["id"])["id"])["state"] == "succeeded"


def test_a_chunk_longer_than_what_memory_is_for_it_is_several_objects(
    first: Stack, client: Api
) -> None:
    content = noise(20 * MIB)
    opened = client.open_upload(size=len(content), chunk_size=len(content))

    answered(client.put_chunk(opened["id"], 0, content), 200)
    again = answered(client.put_chunk(opened["id"], 0, content), 200)
    waiting = lying(first, f"{ROOT}{opened['id']}/")
    job = client.ended(client.complete(opened["id"])["id"], 60)

    assert again["length"] == len(content)
    assert len(waiting) == 3
    assert job["file"]["sha256"] == hashlib.sha256(content).hexdigest()


def test_what_is_cancelled_or_refused_leaves_no_object(first: Stack, client: Api) -> None:
    opened = client.open_upload(size=2000, chunk_size=1000)
    answered(client.put_chunk(opened["id"], 0, b"x" * 1000), 200)

    wrong = client.put_chunk(opened["id"], 1, b"y" * 1000, Content_Digest=f"sha-256=:{'A' * 43}=:")
    before = lying(first, f"{ROOT}{opened['id']}/")
    cancelled = client.delete(f"/api/v1/uploads/{opened['id']}")

    refused(wrong, 400, "digest_mismatch")
    assert len(before) == 1
    assert cancelled.status_code == 204
    assert lying(first, f"{ROOT}{opened['id']}/") == []


def test_a_photo_in_one_request(client: Api) -> None:
    photo = a_jpeg(800, 600)

    file = client.stored(photo, "photo.jpg")

    assert [each["name"] for each in file["thumbnails"]] == ["small", "medium", "large"]
    assert client.download(file["id"]).content == photo


def test_a_file_in_the_envelope(first: Stack) -> None:
    customer = uuid4().int % 10**9
    content = picture("JPEG")
    with a_client(first, "alice", customer) as client:
        answer = upload_in_an_envelope(client, content, "file.jpg", customerId=str(customer))
        url = enveloped(answer, 200)["data"]["url"]

    assert requests.get(url, timeout=10).content == content


def test_a_file_with_a_number(first: Stack) -> None:
    with a_client(first, str(uuid4().int % 10**9)) as client:
        number = uploaded_with_a_number(client)["file_id"]
        link = client.post("/api/files/presigned-url", json={"file_id": number}).json()

    assert requests.get(link["presigned_url"], timeout=10).content == PDF


def test_a_file_of_the_gateway(client: Api) -> None:
    body = uploaded_at_the_gateway(client, PDF)

    assert client.get(f"/api/v1/upload/download/{body['file_id']}").content == PDF


def test_a_file_in_the_chunks_of_a_form(client: Api) -> None:
    content = mp3()

    opened, _ = sessions.stored(client, content)

    assert client.download(opened).content == content


def test_a_file_over_tus(client: Api) -> None:
    tus, content = Tus(client), noise(11 * MIB)
    url = tus.create(len(content), None, Upload_Metadata=metadata(filename="notes.txt"))

    tus.sent(url, content[: 9 * MIB])
    offset = tus.offset(url)
    tus.sent(url, content[offset:], offset)
    job = tus.job(url)

    assert offset == 9 * MIB
    assert job["file"]["sha256"] == hashlib.sha256(content).hexdigest()


def test_parallel_uploads_of_tus_to_two_webs_are_joined(two: tuple[Stack, Stack]) -> None:
    content = noise(19 * MIB)
    clients = [Tus(a_client(stack, "alice", "of-both")) for stack in two]
    pieces = [content[: 6 * MIB], content[6 * MIB : 13 * MIB], content[13 * MIB :]]
    parts = [clients[0].create(len(piece), Upload_Concat="partial") for piece in pieces]
    paths = [urlsplit(part).path for part in parts]

    for number in (2, 0, 1):
        client = clients[number % 2]
        client.sent(client.api.base_url + paths[number], pieces[number])
    url = clients[1].create(
        Upload_Concat=f"final;{' '.join(paths)}", Upload_Metadata=metadata(filename="notes.txt")
    )
    job = clients[1].job(url)

    assert job["state"] == "succeeded"
    assert job["file"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert clients[0].api.download(job["file"]["id"]).content == content
    for path in paths:
        upload_id = path.rpartition("/")[2][:36]
        assert eventually(lambda each=upload_id: not lying(two[0], f"{ROOT}{each}/"), 20)  # type: ignore[misc]


def test_a_file_straight_to_the_store(client: Api) -> None:
    photo = a_jpeg(320, 240)
    said = {"filename": "beach.jpg", "transfer": "direct", "size": len(photo)}
    upload = answered(client.post("/api/v1/uploads", json=said), 201)

    assert sent_straight(upload["targets"][0], photo).ok
    job = client.ended(client.complete(upload["id"])["id"])

    assert job["file"]["sha256"] == hashlib.sha256(photo).hexdigest()


def test_a_file_by_uppys_s3_plugin(client: Api) -> None:
    companion, content = Companion(client), noise(7 * MIB)
    upload = companion.opened()
    parts = [
        companion.sent(upload, 1, content[: 6 * MIB]),
        companion.sent(upload, 2, content[6 * MIB :]),
    ]

    told = answered(companion.complete(upload, parts), 200)

    assert client.ended(told["job_id"])["file"]["sha256"] == hashlib.sha256(content).hexdigest()


def test_it_is_ready_and_what_waits_is_nobodys_finding(first: Stack, client: Api) -> None:
    opened = client.open_upload(size=2000, chunk_size=1000)
    answered(client.put_chunk(opened["id"], 0, b"x" * 1000), 200)

    ready = requests.get(f"{first.base_url}/readyz", timeout=10)
    audited = first.command("audit")

    assert ready.status_code == 200, ready.text
    assert "staging" in ready.json()["checks"]
    assert "all is well" in audited
    assert len(lying(first, f"{ROOT}{opened['id']}/")) == 1
