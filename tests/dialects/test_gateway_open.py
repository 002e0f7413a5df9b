"""The gateway without tokens: its document's own examples, and what its log tells at DEBUG."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest
import requests

from shared.adapters.client_s3 import S3Place, s3_client
from shared.adapters.objects_s3 import S3Objects
from tests.drills.storms import Storm, storm_before
from tests.support import weather
from tests.support.api import Api
from tests.support.examples import Desk
from tests.support.quick import a_quick_stack
from tests.support.samples import picture
from tests.support.stack import Stack
from tests.support.waiting import eventually
from tests.support.weather import Weather, weather_before

PREFIX: Final = "/api/v1/upload"
QUICK: Final = {"503", "500", "reset", "answer lost"}  # the rest of a storm is the drills'
PHOTO: Final = picture("JPEG")

HEALTH: Final = "curl http://localhost:8000/api/v1/upload/health"
DIRECT: Final = 'curl -X POST -F "file=@test.jpg" http://localhost:8000/api/v1/upload/direct'
PYTHON: Final = """\
import requests
import json

# Upload file directly
with open('example.jpg', 'rb') as f:
    files = {'file': f}
    response = requests.post('http://localhost:8000/api/v1/upload/direct', files=files)
    result = response.json()
    print(f"File uploaded: {result['file_url']}")

# Generate presigned upload URL
upload_data = {
    "filename": "example.jpg",
    "content_type": "image/jpeg"
}
response = requests.post('http://localhost:8000/api/v1/upload/presigned', json=upload_data)
result = response.json()

# Upload directly to S3 using presigned URL
with open('example.jpg', 'rb') as f:
    response = requests.put(result['upload_url'], data=f, headers={'Content-Type': 'image/jpeg'})
    print(f"File uploaded to S3: {result['file_url']}")
"""
PRESIGNED: Final = """\
curl -X POST -H "Content-Type: application/json" \\
     -d '{"filename":"test.jpg","content_type":"image/jpeg"}' \\
     http://localhost:8000/api/v1/upload/presigned
"""
# The document has this in one block with the one above, where `response` would be declared twice.
JAVASCRIPT_PRESIGNED: Final = """\
// Generate presigned upload URL
const uploadData = {
  filename: 'example.jpg',
  content_type: 'image/jpeg'
};

const response = await fetch('/api/v1/upload/presigned', {
  method: 'POST',
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify(uploadData)
});

const result = await response.json();

// Upload directly to S3
const file = fileInput.files[0];
await fetch(result.upload_url, {
  method: 'PUT',
  body: file,
  headers: { 'Content-Type': 'image/jpeg' }
});

console.log('File uploaded to S3:', result.file_url);
"""
JAVASCRIPT: Final = """\
// Upload file directly
const formData = new FormData();
formData.append('file', fileInput.files[0]);

const response = await fetch('/api/v1/upload/direct', {
  method: 'POST',
  body: formData
});

const result = await response.json();
console.log('File uploaded:', result.file_url);
"""


@pytest.fixture(scope="module")
def sky(s3_place: S3Place) -> Iterator[Weather]:
    place = replace(s3_place, bucket=f"gateway-{uuid4().hex[:12]}")
    client = s3_client(place, place.endpoint)
    client.create_bucket(Bucket=place.bucket)
    with weather_before(place) as proxy:
        yield proxy
    left = S3Objects(place)
    left.delete([each.key for each in left.listing()])
    client.delete_bucket(Bucket=place.bucket)


@pytest.fixture(scope="module")
def open_stack(sky: Weather) -> Iterator[Stack]:
    """A copy that serves guests, as the document's services did; its store is behind weather."""
    with a_quick_stack(
        GATEWAY_ALLOW_ANONYMOUS="true",
        ADOPT_SECONDS="1",
        LOG_LEVEL="DEBUG",
        S3_ENABLED="true",
        S3_ENDPOINT_URL=sky.place.endpoint or "",
        S3_BUCKET_NAME=sky.place.bucket,
        S3_REGION=sky.place.region,
        S3_ACCESS_KEY_ID=sky.place.access_key_id or "",
        S3_SECRET_ACCESS_KEY=sky.place.secret_access_key or "",
    ) as running:
        yield running
        assert [line for line in running.log if "request_failed" in line] == []


@pytest.fixture
def desk(open_stack: Stack, tmp_path: Path) -> Desk:
    for name in ("test.jpg", "example.jpg"):
        (tmp_path / name).write_bytes(PHOTO)
    return Desk(tmp_path, open_stack.base_url, open_stack.environment)


@pytest.fixture
def guest(open_stack: Stack) -> Iterator[Api]:
    with Api(open_stack.base_url) as client:
        yield client


def answered(response: requests.Response, status: int = 200) -> Any:
    assert response.status_code == status, response.text
    return response.json()


def keys(client: Api) -> set[str]:
    return {each["file_id"] for each in answered(client.get(f"{PREFIX}/list?limit=1000"))["files"]}


def ends_in_a_key(client: Api, url: str) -> bool:
    return any(url.endswith(f"/{key}") for key in keys(client))


def test_the_documents_health_check_runs_as_it_stands(desk: Desk) -> None:
    assert json.loads(desk.shell(HEALTH)) == {"status": "healthy", "s3_enabled": True}


def test_the_documents_upload_by_curl_runs_as_it_stands(desk: Desk, guest: Api) -> None:
    said = json.loads(desk.shell(DIRECT))

    assert (said["filename"], said["file_size"]) == ("test.jpg", len(PHOTO))
    assert guest.get(f"{PREFIX}/download/{said['file_id']}").content == PHOTO


def test_the_documents_upload_by_curl_runs_with_a_token(
    desk: Desk, guest: Api, open_stack: Stack
) -> None:
    said = json.loads(desk.shell(DIRECT, token=open_stack.token("alice")))

    assert said["filename"] == "test.jpg"
    assert said["file_id"] not in keys(guest)


def test_the_documents_python_client_runs_as_it_stands(desk: Desk, guest: Api) -> None:
    said = desk.python(PYTHON)

    urls = re.fullmatch(r"File uploaded: (\S+)\nFile uploaded to S3: (\S+)\n", said)
    assert urls is not None
    eventually(lambda: all(ends_in_a_key(guest, url) for url in urls.groups()), timeout=30)


def test_the_documents_presigned_upload_by_curl_runs_as_it_stands(desk: Desk, guest: Api) -> None:
    said = json.loads(desk.shell(PRESIGNED))

    put = requests.put(
        said["upload_url"], data=PHOTO, headers={"Content-Type": "image/jpeg"}, timeout=10
    )
    assert put.status_code == 200
    assert guest.get(f"{PREFIX}/download/{said['file_id']}").content == PHOTO


def test_the_documents_presigned_upload_of_a_page_runs_as_it_stands(desk: Desk, guest: Api) -> None:
    said = desk.javascript(JAVASCRIPT_PRESIGNED)

    url = re.fullmatch(r"File uploaded to S3: (\S+)\n", said)
    assert url is not None
    eventually(lambda: ends_in_a_key(guest, url[1]), timeout=30)


def test_the_documents_script_of_a_page_runs_as_it_stands(desk: Desk, guest: Api) -> None:
    said = desk.javascript(JAVASCRIPT)

    url = re.fullmatch(r"File uploaded: (\S+)\n", said)
    assert url is not None
    assert any(url[1].endswith(key) for key in keys(guest))


def test_the_documents_calls_run_one_after_the_other(desk: Desk, guest: Api) -> None:
    """Direct, download, its link, metadata, list, delete: as their URLs stand in the document."""
    key = json.loads(desk.shell(DIRECT))["file_id"]

    link = answered(guest.get(f"{PREFIX}/download/{key}/url?expires_in=3600"))
    listed = answered(guest.get(f"{PREFIX}/list?prefix=uploads&limit=100"))

    assert requests.get(link["download_url"], timeout=10).content == PHOTO
    assert answered(guest.get(f"{PREFIX}/metadata/{key}"))["file_size"] == len(PHOTO)
    assert key in {each["file_id"] for each in listed["files"]}
    answered(guest.delete(f"{PREFIX}/{key}"))
    assert key not in keys(guest)


def test_a_store_that_denies_us_is_said_at_once_and_the_file_is_stored_when_it_opens(
    guest: Api, sky: Weather
) -> None:
    before = keys(guest)
    sky.brings(weather.an_error(403, "AccessDenied"), times=None)
    try:
        answer = guest.post(f"{PREFIX}/direct", files={"file": ("a.jpg", PHOTO)})
    finally:
        sky.clears()

    body = answered(answer, 503)
    assert (body["detail"], body["code"]) == ("Access denied to S3 bucket", "objects_denied")
    assert answer.elapsed.total_seconds() < 30
    assert answer.headers["Retry-After"].isdecimal()
    eventually(lambda: len(keys(guest) - before) == 1, 60)


def test_in_a_storm_what_is_answered_with_200_is_the_file(guest: Api, sky: Weather) -> None:
    before, contents = keys(guest), [PHOTO + bytes([number]) for number in range(4)]

    def send(content: bytes) -> requests.Response:
        with Api(guest.base_url) as client:
            form = {"file": ("a.jpg", content)}
            answer: requests.Response = client.post(f"{PREFIX}/direct", files=form)
            return answer

    quick = [each for each in storm_before(sky.place) if each.name in QUICK]
    sky.brings(Storm(7, quick), times=None)
    try:
        with ThreadPoolExecutor(len(contents)) as pool:
            answers = list(pool.map(send, contents))
    finally:
        sky.clears()

    eventually(lambda: len(keys(guest) - before) == len(contents), 90)
    assert {answer.status_code for answer in answers} <= {200, 504}
    for content, answer in zip(contents, answers, strict=True):
        if answer.status_code == 200:
            assert guest.get(f"{PREFIX}/download/{answer.json()['file_id']}").content == content


def test_the_log_at_debug_tells_of_the_stores_work_and_no_secret(
    desk: Desk, guest: Api, open_stack: Stack
) -> None:
    key = json.loads(desk.shell(DIRECT, token=(token := open_stack.token("alice"))))["file_id"]
    own = json.loads(desk.shell(DIRECT))["file_id"]
    link = answered(guest.get(f"{PREFIX}/download/{own}/url"))["download_url"]
    answered(guest.delete(f"{PREFIX}/{own}"))

    eventually(lambda: any("DeleteObjects" in line for line in open_stack.log))

    told = "\n".join(open_stack.log)
    for said in ("s3_answered", "operation=PutObject", "s3_link_signed", f"key={key}"):
        assert said in told, said
    secrets = {name: text for name, text in open_stack.credentials.items() if len(text) >= 16}
    secrets |= {
        "s3 secret": open_stack.environment["S3_SECRET_ACCESS_KEY"],
        "token": token,
        "signature": link.rpartition("Signature=")[2],
        "scheme": "AWS4-HMAC-SHA256",
    }
    assert [name for name, secret in secrets.items() if secret in told] == []
