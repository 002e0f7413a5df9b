"""The contract of Uppy's S3 plugin: what is asked, what is signed, and what becomes of it."""

import hashlib
from typing import Any, Final
from uuid import uuid4

import pytest
import requests

from tests.e2e.books import Books
from tests.support.api import Api, answered, refused
from tests.support.companion import Companion, posted
from tests.support.pictures import a_jpeg
from tests.support.samples import text
from tests.support.stack import Stack
from tests.support.waiting import eventually

MIB: Final = 1024**2
PART: Final = 5 * MIB
NOWHERE: Final = "00000000-0000-7000-8000-000000000000"


@pytest.fixture
def companion(alice: Api) -> Companion:
    """The plugin with alice's token, as version 5 has it."""
    return Companion(Api(alice.base_url, alice.token))


@pytest.fixture
def grant(alice: Api) -> dict[str, Any]:
    return answered(alice.post("/api/v1/upload-grants", json={}), 201)


@pytest.fixture
def granted(grant: dict[str, Any]) -> Companion:
    """The plugin with a grant of alice's and without headers, as version 6 has it."""
    return Companion(Api(""), grant["companion_url"])


def many(size: int) -> bytes:
    return b"".join(b"%015d\n" % number for number in range(size // 16 + 1))[:size]


def file_of(api: Api, upload_id: str) -> dict[str, Any]:
    """Return the file of an upload that nobody completes, once it is there."""

    def ready() -> str | None:
        job: str | None = answered(api.get(f"/api/v1/uploads/{upload_id}"), 200)["job_id"]
        return job

    job = api.ended(str(eventually(ready, 30)))
    assert job["state"] == "succeeded", job
    file: dict[str, Any] = job["file"]
    return file


def test_a_small_file_goes_by_a_form_and_becomes_a_file_by_itself(
    alice: Api, companion: Companion
) -> None:
    photo = a_jpeg(400, 300)
    form = companion.form("é & beach.jpg", "image/jpeg", team="7", relativePath="null")

    answer = posted(form, photo)

    assert (form["method"], answer.status_code) == ("POST", 201)
    assert 0 < form["expires"] <= 3600
    assert answer.headers["ETag"]
    assert form["fields"]["key"].startswith(".staging/")
    file = file_of(alice, form["fields"]["key"].rpartition("/")[2])
    assert (file["filename"], file["content_type"]) == ("é & beach.jpg", "image/jpeg")
    assert (file["metadata"], file["width"]) == ({"team": "7"}, 400)
    assert alice.download(file["id"]).content == photo


@pytest.mark.parametrize("bare", [True, False])
def test_a_large_file_goes_in_parts_whatever_the_form_of_their_etags(
    alice: Api, companion: Companion, *, bare: bool
) -> None:
    content = many(PART + 6 * MIB + 10)
    upload = companion.opened(team=7, tags=["a", "b"], relativePath=None)
    parts = [
        companion.sent(upload, 2, content[6 * MIB :]),
        companion.sent(upload, 1, content[: 6 * MIB]),
    ]
    if bare:
        parts = [part | {"ETag": part["ETag"].strip('"')} for part in parts]

    first, second = companion.complete(upload, parts), companion.complete(upload, parts)

    told = answered(first, 200)
    assert told == answered(second, 200)
    assert (told["key"], told["bucket"]) == (upload["key"], upload["bucket"])
    assert told["location"] == f"{alice.base_url}/api/v1/jobs/{told['job_id']}"
    job = alice.ended(told["job_id"])
    assert job["state"] == "succeeded", job
    assert job["file"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert (job["file"]["metadata"], job["file"]["tags"]) == ({"team": "7"}, ["a", "b"])


def test_parts_are_listed_and_signed_by_the_batch(companion: Companion) -> None:
    upload = companion.opened()
    path, key = f"/multipart/{upload['uploadId']}", {"key": upload["key"]}
    batch = companion.told("GET", f"{path}/batch", params=key | {"partNumbers": "1,2,3"})
    for number, content in (("2", b"end"), ("1", many(PART))):
        assert requests.put(batch["presignedUrls"][number], data=content, timeout=30).ok

    listed = companion.listed(upload)

    assert set(batch["presignedUrls"]) == {"1", "2", "3"}
    etag = f'"{hashlib.md5(many(PART)).hexdigest()}"'  # noqa: S324  # S3's ETag of a part
    assert [(part["PartNumber"], part["Size"]) for part in listed] == [(1, PART), (2, 3)]
    assert listed[0]["ETag"] == etag


def test_only_the_parts_that_are_named_are_joined(alice: Api, companion: Companion) -> None:
    upload = companion.opened()
    companion.sent(upload, 1, b"never mind")
    parts = [companion.sent(upload, 3, text())]

    told = answered(companion.complete(upload, parts), 200)

    alice.ended(told["job_id"])
    assert alice.download(upload["uploadId"]).content == text()


def test_an_abort_leaves_nothing_and_can_be_repeated(
    alice: Api, companion: Companion, stack: Stack
) -> None:
    upload = companion.opened()
    companion.sent(upload, 1, b"begun")

    answers = [companion.abort(upload), companion.abort(upload)]

    assert [(each.status_code, each.json()) for each in answers] == [(200, {})] * 2
    assert companion.complete(upload, [{"PartNumber": 1, "ETag": "x"}]).status_code == 409
    assert answered(alice.get(f"/api/v1/uploads/{upload['uploadId']}"), 200)["state"] == "cancelled"
    stack.command("sweep", "direct-leftovers")
    pending = stack.s3.list_multipart_uploads(Bucket=upload["bucket"]).get("Uploads", [])
    assert upload["key"] not in {each["Key"] for each in pending}


def test_what_is_not_as_it_was_sent_is_not_joined(companion: Companion) -> None:
    upload = companion.opened()
    small, end = companion.sent(upload, 1, b"small"), companion.sent(upload, 2, b"end")
    other = end | {"ETag": '"0123456789abcdef0123456789abcdef"'}
    wrong: list[tuple[list[dict[str, Any]], int]] = [
        ([], 400),
        ([small, small], 400),
        ([small, end], 400),
        ([other], 409),
        ([{"PartNumber": 7, "ETag": end["ETag"]}], 409),
        ([{"PartNumber": 0, "ETag": "x"}], 400),
        ([{"PartNumber": 10_001, "ETag": "x"}], 400),
        ([{"ETag": "x"}], 400),
    ]

    for parts, status in wrong:
        answer = companion.complete(upload, parts)
        assert (answer.status_code, bool(answer.json()["error"])) == (status, True), answer.text

    assert companion.complete(upload, [end]).status_code == 200


def test_ten_thousand_parts_can_be_named(companion: Companion) -> None:
    etag = '"0123456789abcdef0123456789abcdef"'
    parts = [{"PartNumber": number, "ETag": etag} for number in range(1, 10_001)]

    answer = companion.complete(companion.opened(), parts)

    assert (answer.status_code, answer.json()["code"]) == (409, "chunks_missing")
    assert len(answer.json()["missing"]) == 10_000


def test_parts_larger_than_a_file_may_be_are_not_joined(companion: Companion) -> None:
    upload, content = companion.opened(), many(13 * MIB)
    parts = [companion.sent(upload, number, content) for number in (1, 2)]

    answer = companion.complete(upload, parts)

    # Whoever is slow is told by the round that has weighed them.
    told = (answer.status_code, answer.json()["code"])
    assert told in {(413, "too_large"), (409, "upload_not_receiving")}
    assert companion.abort(upload).status_code == 200


def test_the_form_takes_no_other_key_type_or_size(companion: Companion, books: Books) -> None:
    form = companion.form()
    key = form["fields"]["key"]

    answers = [
        posted(form, text(), key=f"{key}x"),
        posted(form, text(), **{"Content-Type": "text/html"}),
        posted(form, b""),
    ]

    assert [each.status_code in {400, 403} for each in answers] == [True] * 3
    assert not any(found.startswith(key) for found in books.objects(".staging/"))


@pytest.mark.parametrize(
    ("method", "path", "said", "status"),
    [
        ("GET", "/params", {"params": {"filename": "a.exe", "type": "x"}}, 415),
        ("GET", "/params", {"params": {"filename": "x" * 2000}}, 400),
        ("GET", "/params", {"params": {"filename": "a.txt", "metadata[tags]": "[1]"}}, 400),
        ("GET", "/params", {"params": {"filename": "a.txt", "metadata[a]": "\0"}}, 400),
        ("POST", "/multipart", {"data": b"{"}, 400),
        ("POST", "/multipart", {"json": {"filename": 5}}, 400),
        ("POST", "/multipart", {"json": {"metadata": {"a": "x" * 20_000}}}, 400),
        ("POST", "/multipart", {"json": {"metadata": "x"}}, 400),
        ("POST", "/multipart", {"json": {"type": "x" * 256}}, 400),
        ("GET", f"/multipart/{NOWHERE}", {}, 400),
        ("GET", f"/multipart/{NOWHERE}", {"params": {"key": "x"}}, 404),
        ("GET", f"/multipart/{NOWHERE}/1", {"params": {"key": "x"}}, 404),
        ("GET", f"/multipart/{NOWHERE}/0", {"params": {"key": "x"}}, 400),
        ("GET", f"/multipart/{NOWHERE}/10001", {"params": {"key": "x"}}, 400),
        ("GET", f"/multipart/{NOWHERE}/a", {"params": {"key": "x"}}, 404),
        ("GET", f"/multipart/{NOWHERE}/batch", {"params": {"key": "x", "partNumbers": "a"}}, 400),
        ("GET", f"/multipart/{NOWHERE}/batch", {"params": {"key": "x", "partNumbers": ""}}, 400),
        ("DELETE", f"/multipart/{NOWHERE}", {"params": {"key": "x"}}, 404),
        ("GET", "/sts", {}, 404),
        ("PUT", "/params", {}, 405),
    ],
)
def test_bad_input_is_refused_in_companions_shape_and_leaves_nothing(
    companion: Companion, books: Books, method: str, path: str, said: Any, status: int
) -> None:
    headers = {"Content-Type": "application/json"} if "data" in said else {}

    with books.unchanged():
        answer = companion.ask(method, path, headers=headers, **said)

    assert answer.status_code == status, answer.text
    assert isinstance(answer.json()["error"], str)
    assert isinstance(answer.json()["code"], str)


def test_an_uploads_key_and_id_belong_together_and_to_their_owner(
    companion: Companion, bob: Api, stranger: Api, anybody: Api
) -> None:
    upload, other = companion.opened(), companion.opened()
    swapped = upload | {"key": other["key"]}

    for who, asked, status in (
        (companion, swapped, 404),
        (Companion(Api(bob.base_url, bob.token)), upload, 404),
        (Companion(Api(bob.base_url, stranger.token)), upload, 404),
        (Companion(Api(anybody.base_url)), upload, 401),
    ):
        path, key = f"/multipart/{asked['uploadId']}", {"key": asked["key"]}
        found = [
            who.ask("GET", path, params=key),
            who.ask("GET", f"{path}/1", params=key),
            who.ask("GET", f"{path}/batch", params=key | {"partNumbers": "1"}),
            who.complete(asked, [{"PartNumber": 1, "ETag": "x"}]),
            who.abort(asked),
        ]
        assert [each.status_code for each in found] == [status] * 5
    assert companion.listed(upload) == []


def test_a_part_that_no_file_is_long_enough_for_is_not_signed(companion: Companion) -> None:
    upload = companion.opened()

    answer = companion.ask(
        "GET", f"/multipart/{upload['uploadId']}/9999", params={"key": upload["key"]}
    )

    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


# Grants.


def test_a_grant_uploads_without_a_token_as_who_made_it(alice: Api, granted: Companion) -> None:
    upload = granted.opened(folder="from/uppy")
    parts = [granted.sent(upload, 1, text())]

    told = answered(granted.complete(upload, parts), 200)

    file = alice.ended(told["job_id"])["file"]
    assert (file["owner"], file["folder"]) == ("alice", "from/uppy")
    form = granted.form()
    assert posted(form, text()).status_code == 201
    assert file_of(alice, form["fields"]["key"].rpartition("/")[2])["owner"] == "alice"


def test_a_grant_reaches_what_was_opened_by_it_and_nothing_else(
    alice: Api, companion: Companion, granted: Companion
) -> None:
    others = answered(alice.post("/api/v1/upload-grants", json={}), 201)["companion_url"]
    theirs = companion.opened()
    mine = granted.opened()
    granted.part(mine, 1)

    reached = {
        "another's": granted.abort(theirs).status_code,
        "with another grant": Companion(Api(""), others).abort(mine).status_code,
        "the files": Api(granted.root).get("/api/v1/files").status_code,
        "by its owner": companion.abort(mine).status_code,
    }

    assert reached == {
        "another's": 404, "with another grant": 404, "the files": 404, "by its owner": 200,
    }  # fmt: skip


def test_a_grant_that_is_changed_revoked_or_over_opens_nothing(
    alice: Api, bob: Api, grant: dict[str, Any], granted: Companion, books: Books
) -> None:
    brief = answered(alice.post("/api/v1/upload-grants", json={"expires_in": 1}), 201)
    begun = granted.opened()
    refused(bob.delete(f"/api/v1/upload-grants/{grant['id']}"), 404)
    assert alice.delete(f"/api/v1/upload-grants/{grant['id']}").status_code == 204
    shown = answered(alice.get(f"/api/v1/uploads/{begun['uploadId']}"), 200)
    assert shown["state"] == "cancelled"
    refused(alice.delete(f"/api/v1/upload-grants/{grant['id']}"), 404)
    address = answered(alice.post("/api/v1/upload-grants", json={}), 201)["companion_url"]
    over = Companion(Api(""), brief["companion_url"])
    eventually(lambda: over.ask("GET", "/params").status_code == 404, 5)

    with books.unchanged():
        for root in (
            *(grant["companion_url"], brief["companion_url"], address[:-1], f"{address}x"),
            *(address[:-23], f"{address[:-23]}_{address[-22:]}", address[:-22] + "A" * 22),
            f"{alice.base_url}/s3/nonsense",
        ):
            answer = Companion(Api(""), root).ask("GET", "/params", params={"filename": "a.txt"})
            assert (answer.status_code, answer.json()["code"]) == (404, "upload_grant_not_found")
    assert granted.abort(begun).status_code == 404


@pytest.mark.parametrize("said", [{"expires_in": 0}, {"expires_in": 604_801}, {"other": 1}])
def test_a_grant_has_bounds(alice: Api, said: dict[str, Any]) -> None:
    refused(alice.post("/api/v1/upload-grants", json=said), 422)


def test_who_may_not_write_makes_no_grant(callers: Any) -> None:
    reader = callers("carol", scope="files:read")

    refused(reader.post("/api/v1/upload-grants", json={}), 403)


def test_the_secret_of_a_grant_is_in_no_log(
    grant: dict[str, Any], granted: Companion, stack: Stack
) -> None:
    upload = granted.opened()
    granted.listed(upload)

    assert grant["companion_url"][-22:] not in "\n".join(stack.log)


# signRequest.


def test_sign_request_is_told_where_each_request_goes(alice: Api, grant: dict[str, Any]) -> None:
    content, name = many(PART + 10), f"{uuid4()}-long.txt"

    def signed(method: str, key: str, **said: Any) -> dict[str, Any]:
        asked = {"method": method, "key": key, **said}
        return answered(requests.post(grant["sign_url"], json=asked, timeout=10), 200)

    begun = signed("POST", name)
    created = requests.post(begun["url"], headers={"Content-Type": "text/plain"}, timeout=10).text
    upload_id = created.partition("<UploadId>")[2].partition("<")[0]
    here = {"key": begun["key"], "uploadId": upload_id}
    etags = [
        requests.put(
            signed("PUT", **here, partNumber=number)["url"], data=piece, timeout=30
        ).headers["ETag"]
        for number, piece in enumerate((content[:PART], content[PART:]), 1)
    ]
    listed = requests.get(signed("GET", **here)["url"], timeout=10).text
    named = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
        for number, etag in enumerate(etags, 1)
    )
    body = f"<CompleteMultipartUpload>{named}</CompleteMultipartUpload>"
    url = signed("POST", **here)["url"]
    cut = [
        requests.post(url, data=each, timeout=30)
        for each in (body[:-30], body[: body.rindex("<Part>")], body.replace("<ETag>", "", 1))
    ]
    told = requests.post(url, data=body, timeout=30)

    assert [each.status_code for each in cut] == [400, 400, 400]
    assert (told.status_code, told.headers["Content-Type"].partition(";")[0]) == (
        200, "application/xml",
    )  # fmt: skip
    assert listed.count("<PartNumber>") == 2
    job = told.text.partition("<Location>")[2].partition("<")[0].rpartition("/")[2]
    file = alice.ended(job)["file"]
    assert file["sha256"] == hashlib.sha256(content).hexdigest()
    late = requests.delete(signed("DELETE", **here)["url"], timeout=10)
    assert late.status_code == 409


def test_sign_request_refuses_what_is_no_upload(grant: dict[str, Any], books: Books) -> None:
    wrong: list[tuple[dict[str, Any], int]] = [
        ({}, 400),
        ({"method": "DELETE", "key": "a.txt"}, 400),
        ({"method": "GET", "key": "a.txt"}, 400),
        ({"method": "PATCH", "key": "a.txt"}, 400),
        ({"method": "PUT", "key": "a.exe"}, 415),
        ({"method": "PUT", "key": "a.txt", "uploadId": NOWHERE, "partNumber": 1}, 404),
        ({"method": "PUT", "key": "a.txt", "uploadId": "x"}, 404),
    ]

    with books.unchanged():
        for said, status in wrong:
            answer = requests.post(grant["sign_url"], json=said, timeout=10)
            assert (answer.status_code, bool(answer.json()["error"])) == (status, True), said


def test_browsers_of_other_origins_may_ask(grant: dict[str, Any]) -> None:
    asked = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }

    answer = requests.options(f"{grant['companion_url']}/s3/multipart", headers=asked, timeout=10)

    assert answer.status_code == 200
    assert "content-type" in answer.headers["Access-Control-Allow-Headers"].lower()
