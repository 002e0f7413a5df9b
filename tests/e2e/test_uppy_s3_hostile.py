"""The contract of Uppy's S3 plugin in the hands of who is hostile, or just unlucky: nothing is left."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final
from xml.etree import ElementTree as ET

import pytest
import requests

from tests.e2e.books import Books
from tests.e2e.test_uppy_s3 import (
    NOWHERE,
    PART,
    companion,
    file_of,
    grant,
    granted,
    many,
)
from tests.support.api import Api, answered
from tests.support.companion import Companion, posted
from tests.support.fixtures import MOST
from tests.support.samples import text
from tests.support.stack import Stack
from tests.support.waiting import eventually

__all__ = ["companion", "grant", "granted"]

JSON: Final = {"Content-Type": "application/json"}
ETAG: Final = '"0123456789abcdef0123456789abcdef"'
TWO_MIB: Final = 2 * 1024**2


@contextmanager
def nothing_left(stack: Stack, books: Books, **more: int) -> Iterator[None]:
    """Fail when a row, a byte of staging, an object or an open multipart upload was left."""

    def waiting() -> tuple[set[str], set[str]]:
        bucket = stack.env["S3_BUCKET_NAME"]
        found = stack.s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
        return {each["UploadId"] for each in found}, set(books.objects(".staging/direct/"))

    before = waiting()
    with books.unchanged(**more):
        yield
    left = [now - was for now, was in zip(waiting(), before, strict=True)]
    assert left == [set(), set()]


def refused(answer: requests.Response, *statuses: int) -> None:
    said = f"{answer.request.method} {answer.url[:200]}: {answer.status_code} {answer.text[:200]}"
    assert answer.status_code in statuses, said
    assert answer.headers["Content-Type"] == "application/json", said
    body = answer.json()
    assert isinstance(body["error"], str), said
    assert body["message"] == body["error"], said
    assert isinstance(body["code"], str), said
    assert body["requestId"] == answer.headers["X-Request-ID"], said


def refused_as_by_s3(answer: requests.Response, status: int, code: str) -> None:
    said = f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text[:200]}"
    assert answer.status_code == status, said
    assert answer.headers["Content-Type"] == "application/xml", said  # the plugin wants just this
    error = ET.fromstring(answer.content)  # noqa: S314  # our own
    assert (error.tag, error.findtext("Code")) == ("Error", code), said
    assert error.findtext("Message"), said


def every_call(who: Companion, upload_id: str, key: str) -> list[requests.Response]:
    path = f"/multipart/{upload_id}"
    return [
        who.ask("GET", path, params={"key": key}),
        who.ask("GET", f"{path}/1", params={"key": key}),
        who.ask("GET", f"{path}/batch", params={"key": key, "partNumbers": "1"}),
        who.ask(
            "POST",
            f"{path}/complete",
            params={"key": key},
            json={"parts": [{"PartNumber": 1, "ETag": "x"}]},
        ),
        who.ask("DELETE", path, params={"key": key}),
    ]


def test_no_other_id_leads_to_an_upload(
    companion: Companion, stranger: Api, stack: Stack, books: Books
) -> None:
    mine = companion.opened()
    theirs = Companion(Api(stranger.base_url, stranger.token)).opened()
    upload_id = mine["uploadId"]

    with nothing_left(stack, books):
        for other in (
            *(
                theirs["uploadId"],
                upload_id.upper(),
                upload_id.replace("-", ""),
                NOWHERE,
                "x",
                "-1",
            ),
            *(f"{{{upload_id}}}", f"{upload_id}%00", "%00", f"{upload_id}%2F..", "..", "é"),
            *("%2e%2e", "a" * 3000, "params"),
        ):
            for answer in every_call(companion, other, mine["key"]):
                refused(answer, 404, 405)

    assert companion.listed(mine) == []


def test_no_other_key_leads_to_an_upload(
    companion: Companion, stranger: Api, stack: Stack, books: Books
) -> None:
    mine = companion.opened()
    theirs = Companion(Api(stranger.base_url, stranger.token)).opened()
    key = mine["key"]

    with nothing_left(stack, books):
        for other in (
            *(
                theirs["key"],
                f"../{key}",
                f"{key}/..",
                key.replace("/", "//"),
                f"/{key}",
                f"{key}?x",
            ),
            *(f"{key}\0", "\0", "", "x" * 1025, "é" * 600, ".staging/direct/%2e%2e", "2026/11/x"),
        ):
            for answer in every_call(companion, mine["uploadId"], other):
                refused(answer, 400, 404)

    assert companion.listed(mine) == []


def test_no_other_number_is_a_part(companion: Companion, stack: Stack, books: Books) -> None:
    upload = companion.opened()
    path, key = f"/multipart/{upload['uploadId']}", {"key": upload["key"]}

    with nothing_left(stack, books):
        for said in ("0", "-1", "10001", "9" * 30, "9" * 5000, "1.5", "1e3", "+1", "0x1", "%201"):
            refused(companion.ask("GET", f"{path}/{said}", params=key), 400, 404)
        for said in (
            *("0", "-1", "10001", "", ",", "1;2", "1 2", "a", "1,a", "9" * 5000, "NaN", "[1]"),
            *("true", "\0", "1,1e9", ",".join(map(str, range(1, 1002)))),
        ):
            answer = companion.ask("GET", f"{path}/batch", params=key | {"partNumbers": said})
            refused(answer, 400)


def test_a_number_that_is_said_again_is_signed_once(companion: Companion) -> None:
    upload = companion.opened()
    said = {"key": upload["key"], "partNumbers": f"2,1{',1' * 2000}, 2 "}

    told = companion.told("GET", f"/multipart/{upload['uploadId']}/batch", params=said)

    assert list(told["presignedUrls"]) == ["2", "1"]


@pytest.mark.parametrize("way", ["token", "grant"])
def test_no_other_body_completes(
    companion: Companion, granted: Companion, stack: Stack, books: Books, way: str
) -> None:
    who = companion if way == "token" else granted
    upload = who.opened()
    there = who.sent(upload, 1, text())

    def complete(body: bytes, **headers: str) -> requests.Response:
        path = f"/multipart/{upload['uploadId']}/complete"
        return who.ask(
            "POST", path, params={"key": upload["key"]}, data=body, headers=headers or JSON
        )

    def parts(*said: Any) -> bytes:
        return json.dumps({"parts": said}).encode()

    with nothing_left(stack, books):
        for body in (
            *(b"", b"{", b"[]", b"1", b'"x"', b"null", b"true", b"{}", b"\xff\xfe", b"[" * 100_000),
            *(b'{"parts":null}', b'{"parts":{}}', b'{"parts":"x"}', b'{"parts":[]}'),
            *(parts(1), parts(None), parts([]), parts({})),
            *(parts({"PartNumber": 1}), parts({"ETag": "x"}), parts(there, there)),
            *(
                parts({"PartNumber": said, "ETag": "x"})
                for said in (0, -1, 10_001, 1.5, True, None)
            ),
            *(parts({"PartNumber": 10**30, "ETag": "x"}), parts({"PartNumber": "a", "ETag": "x"})),
            *(parts({"PartNumber": 1, "ETag": said}) for said in (5, None, "", "\0", "x" * 300)),
            *(b'{"parts":[{"PartNumber":1,"ETag":"\\ud800"}]}', b'{"parts":[1],"parts":[]}'),
            parts(*({"PartNumber": number, "ETag": ETAG} for number in range(1, 10_002))),
        ):
            refused(complete(body), 400)
        for said in ('""', "x", ETAG, f"{there['ETag']}-1"):
            refused(complete(parts({"PartNumber": 1, "ETag": said})), 409)
        refused(complete(parts(there, {"PartNumber": 2, "ETag": ETAG})), 409)
        refused(complete(parts({**there, "PartNumber": 2})), 409)
        refused(complete(b" " * (TWO_MIB + 1)), 413)
        refused(complete(b"x", **JSON, **{"Content-Encoding": "gzip"}), 400)

    padded = parts(there)[:-1] + b" " * (TWO_MIB - len(parts(there))) + b"}"
    assert complete(padded).status_code == 200


def test_no_other_words_open_an_upload(
    companion: Companion, granted: Companion, grant: dict[str, Any], stack: Stack, books: Books
) -> None:
    wrong: list[tuple[dict[str, Any], int]] = [
        ({"filename": "\0"}, 400),
        ({"filename": "x" * 1025}, 400),
        ({"filename": ".."}, 400),
        ({"filename": "//////"}, 400),
        ({"filename": "../../etc/a.exe"}, 415),
        ({"filename": "a.exe", "type": "text/plain"}, 415),
        ({"filename": "a.txt", "type": "text/html\r\nX: y"}, 415),
        ({"filename": "a.txt", "type": "é/x"}, 415),
        ({"filename": "a.txt", "type": "x" * 256}, 400),
        ({"filename": "a.txt", "metadata": {"folder": "../x"}}, 400),
        ({"filename": "a.txt", "metadata": {"profile": "nope"}}, 400),
        ({"filename": "a.txt", "metadata": {"sha256": "zz"}}, 400),
        ({"filename": "a.txt", "metadata": {"expires_in": "-1"}}, 400),
        ({"filename": "a.txt", "metadata": {"replace": "true"}}, 400),
        ({"filename": "a.txt", "metadata": {"metadata": "[1]"}}, 400),
        ({"filename": "a.txt", "metadata": {"a": "x" * 20_000}}, 400),
    ]
    with nothing_left(stack, books):
        for said, status in wrong:
            key, kind = said["filename"], said.get("type")
            asked = {"key": key, "contentType": kind, "metadata": said.get("metadata")}
            query = {name: text for name, text in said.items() if name != "metadata"}
            meta = {f"metadata[{name}]": text for name, text in said.get("metadata", {}).items()}
            for who in (companion, granted):
                refused(who.ask("POST", "/multipart", json=said), status)
                if len(str(meta)) < 8000:  # a query has an end
                    refused(who.ask("GET", "/params", params=query | meta), status)
            answer = requests.post(grant["sign_url"], json=asked | {"method": "POST"}, timeout=10)
            refused(answer, status)
        for body in (b"{", b"[]", b"1", b'"x"', b"true", b'{"filename":5}', b'{"metadata":[]}'):
            refused(companion.ask("POST", "/multipart", data=body, headers=JSON), 400)


def test_an_end_is_the_end(alice: Api, companion: Companion, stack: Stack, books: Books) -> None:
    done, gone = companion.opened(), companion.opened()
    part = companion.sent(done, 1, text())
    companion.sent(gone, 1, text())

    job = answered(companion.complete(done, [part]), 200)["job_id"]
    assert alice.ended(job)["state"] == "succeeded"
    assert companion.abort(gone).status_code == 200

    with nothing_left(stack, books):
        refused(companion.abort(done), 409)
        refused(companion.ask("GET", f"/multipart/{done['uploadId']}/1", params=done), 409)
        # Who has not heard of the end hears the same again, whatever it names.
        again = companion.complete(done, [{"PartNumber": 7, "ETag": "x"}])
        assert answered(again, 200)["job_id"] == job
        assert [each["PartNumber"] for each in companion.listed(done)] == [1]
        for answer in every_call(companion, gone["uploadId"], gone["key"])[:-1]:
            refused(answer, 409)
        assert companion.abort(gone).status_code == 200
    assert alice.download(done["uploadId"]).content == text()


def test_of_all_who_end_an_upload_at_once_one_does(
    alice: Api, companion: Companion, stack: Stack, books: Books
) -> None:
    for _ in range(4):
        upload = companion.opened()
        parts = [companion.sent(upload, 2, text()), companion.sent(upload, 1, many(PART))]

        def end(number: int, upload: Any = upload, parts: Any = parts) -> requests.Response:
            who = Companion(Api(alice.base_url, alice.token))
            return who.abort(upload) if number % 3 == 2 else who.complete(upload, parts)

        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(end, range(6)))

        assert {each.status_code for each in answers} <= {200, 409}, [each.text for each in answers]
        jobs = {each.json()["job_id"] for each in answers if "job_id" in each.text and each.ok}
        shown = answered(alice.get(f"/api/v1/uploads/{upload['uploadId']}"), 200)
        assert len(jobs) <= 1
        assert jobs <= {shown["job_id"]}
        if jobs:
            state = alice.ended(jobs.pop())["state"]
            assert state in {"succeeded", "cancelled"}
        else:
            assert shown["state"] == "cancelled"
    stack.command("sweep", "direct-leftovers")
    assert not [key for key in books.strays() if ".staging" in key]


def test_whoever_completes_while_the_grant_is_revoked_has_all_or_nothing(
    alice: Api, books: Books
) -> None:
    for _ in range(4):
        grant = answered(alice.post("/api/v1/upload-grants", json={}), 201)
        granted = Companion(Api(""), grant["companion_url"])
        upload = granted.opened()
        part = granted.sent(upload, 1, text())
        with ThreadPoolExecutor(2) as pool:
            ended = pool.submit(
                Api(alice.base_url, alice.token).delete, f"/api/v1/upload-grants/{grant['id']}"
            )
            completed = pool.submit(granted.complete, upload, [part])

        assert ended.result().status_code == 204
        assert completed.result().status_code in {200, 404, 409}
        shown = answered(alice.get(f"/api/v1/uploads/{upload['uploadId']}"), 200)
        if completed.result().status_code == 200:
            assert alice.ended(shown["job_id"])["state"] == "succeeded"
        else:
            assert shown["state"] == "cancelled"
    assert books.count("uploads", tenant=alice.tenant, state="receiving") == 0


def test_a_form_is_no_way_to_parts(companion: Companion, stack: Stack, books: Books) -> None:
    key = companion.form()["fields"]["key"]

    with nothing_left(stack, books, objects=-1):  # the name it was to have
        *others, abort = every_call(companion, key.rpartition("/")[2], key)
        for answer in others:
            refused(answer, 409)
        assert abort.status_code == 200


def test_a_form_that_was_posted_twice_makes_one_file(alice: Api, companion: Companion) -> None:
    form = companion.form()

    assert [posted(form, content).status_code for content in (text(), text())] == [201, 201]

    file = file_of(alice, form["fields"]["key"].rpartition("/")[2])
    assert alice.download(file["id"]).content == text()


def test_who_may_only_read_uploads_nothing(callers: Any, stack: Stack, books: Books) -> None:
    alice, reader = callers("alice"), callers("alice", scope="files:read")
    upload = Companion(Api(alice.base_url, alice.token)).opened()
    who = Companion(Api(reader.base_url, reader.token))

    with nothing_left(stack, books):
        for answer in every_call(who, upload["uploadId"], upload["key"]):
            refused(answer, 403)
        refused(who.ask("GET", "/params", params={"filename": "a.txt"}), 403)
        refused(who.ask("POST", "/multipart", json={"filename": "a.txt"}), 403)


def test_no_upload_is_opened_for_who_hears_no_answer(
    companion: Companion, stack: Stack, books: Books
) -> None:
    with nothing_left(stack, books):
        answer = companion.ask("HEAD", "/params", params={"filename": "a.txt"})

    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")


def test_an_address_that_ends_in_a_slash_is_the_same(grant: dict[str, Any]) -> None:
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    root = f"{grant['companion_url']}/"

    preflight = requests.options(f"{root}/s3/multipart", headers=asked, timeout=10)

    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"]
    assert Companion(Api(""), root).opened()["uploadId"]


def test_what_is_asked_as_of_s3_is_refused_as_by_s3(
    grant: dict[str, Any], granted: Companion, companion: Companion, stack: Stack, books: Books
) -> None:
    mine, theirs = granted.opened(), companion.opened()
    root = f"{grant['companion_url']}/uploads"

    def named(*parts: str) -> str:
        said = "".join(f"<Part><PartNumber>{each}</PartNumber>{ETAG_TAG}</Part>" for each in parts)
        return f"<CompleteMultipartUpload>{said}</CompleteMultipartUpload>"

    with nothing_left(stack, books):
        for upload_id in (theirs["uploadId"], NOWHERE, "x", "%00", "é"):
            for method, path in (("GET", ""), ("POST", ""), ("POST", "/complete"), ("DELETE", "")):
                answer = requests.request(
                    method, f"{root}/{upload_id}{path}", data=named("1"), timeout=10
                )
                refused_as_by_s3(answer, 404, "upload_not_found")
        url = f"{root}/{mine['uploadId']}/complete"
        for body in (
            *("", "<x", named(), named("0"), named("10001"), named("1", "1"), named("٣")),
            *(named("1")[:-1], "<CompleteMultipartUpload><Part>" * 20_000, named("1", "-1")),
            named("1").replace("<ETag>", "<ETag>x", 1).replace("</ETag>", "", 1),
            '<!DOCTYPE x [<!ENTITY a "b">]>' + named("1", "x"),
        ):
            answer = requests.post(url, data=body.encode(), timeout=10)
            refused_as_by_s3(answer, 400, "invalid_request")
        refused_as_by_s3(requests.post(url, data=named("1"), timeout=10), 409, "chunks_missing")
        too_long = named("1") + " " * TWO_MIB
        refused_as_by_s3(requests.post(url, data=too_long, timeout=10), 413, "too_large")
        refused_as_by_s3(requests.put(url, timeout=10), 405, "method_not_allowed")
        over = f"{root.replace(grant['companion_url'][-22:], 'A' * 22)}/{mine['uploadId']}"
        refused_as_by_s3(requests.get(over, timeout=10), 404, "upload_grant_not_found")


ETAG_TAG: Final = "<ETag>&quot;0123456789abcdef0123456789abcdef&quot;</ETag>"


def test_ten_thousand_parts_can_be_named_in_xml_however_it_is_written(
    grant: dict[str, Any], granted: Companion
) -> None:
    upload = granted.opened()
    parts = "".join(
        f"    <Part>\n      <PartNumber>{number}</PartNumber>\n      {ETAG_TAG}\n    </Part>\n"
        for number in range(1, 10_001)
    )
    body = f"<CompleteMultipartUpload>\n{parts}</CompleteMultipartUpload>\n"
    url = f"{grant['companion_url']}/uploads/{upload['uploadId']}/complete"

    assert 1024**2 < len(body) < TWO_MIB
    refused_as_by_s3(requests.post(url, data=body, timeout=30), 409, "chunks_missing")


def test_no_spelling_of_a_grant_brings_its_secret_into_a_log_or_a_refusal(
    grant: dict[str, Any], stack: Stack
) -> None:
    capability = grant["companion_url"].rpartition("/")[2]
    secret = capability[37:]
    paths = [
        *(f"/s3//{capability}/x", f"/S3/{capability}/s3/params", f"/x/{capability}"),
        *(f"/s3/{capability[:36]}%252D{secret}/x", f"/s3/{capability.upper()}/s3/params"),
        *(
            f"/tus/{capability}",
            f"/{capability}",
            f"/api/v1/files/{capability}",
            f"/s3/-{capability}",
        ),
    ]

    answers = [requests.get(f"{stack.base_url}{path}", timeout=10) for path in paths]

    last = answers[-1].headers["X-Request-ID"]
    eventually(lambda: any(last in line for line in stack.log))
    assert not any(secret.upper() in answer.text.upper() for answer in answers)
    assert not any(secret.upper() in line.upper() for line in stack.log)


def signed_put(grant: dict[str, Any], name: str) -> tuple[str, str]:
    """Return where `signRequest` sends a whole file, and the id of its upload."""
    asked = {"method": "PUT", "key": name}
    said = answered(requests.post(grant["sign_url"], json=asked, timeout=10), 200)
    return said["url"], said["key"].rpartition("/")[2]


def test_headers_that_nobody_signs_come_no_further_than_staging(
    alice: Api, grant: dict[str, Any], stack: Stack
) -> None:
    url, upload_id = signed_put(grant, "notes.txt")
    headers = {
        "Content-Encoding": "gzip",
        "Content-Disposition": "attachment; filename=x.html",
        "Cache-Control": "max-age=99",
        "Content-Type": "text/html",
    }

    assert requests.put(url, data=text(), headers=headers, timeout=10).status_code == 200

    file = file_of(alice, upload_id)
    there = stack.s3.head_object(Bucket=stack.env["S3_BUCKET_NAME"], Key=file["s3_key"])
    assert there["ContentType"] == "text/plain"
    assert {"ContentEncoding", "ContentDisposition", "CacheControl"} & set(there) == set()
    assert there["Metadata"] == {"upload-id": upload_id}
    assert alice.download(file["id"]).content == text()


def test_a_put_that_nobody_could_bound_is_refused_by_its_job(
    alice: Api, grant: dict[str, Any], books: Books
) -> None:
    url, upload_id = signed_put(grant, "notes.txt")

    assert requests.put(url, data=many(MOST + 1), timeout=60).status_code == 200

    def known() -> str | None:
        said: str | None = answered(alice.get(f"/api/v1/uploads/{upload_id}"), 200)["job_id"]
        return said

    job = alice.ended(str(eventually(known, 30)))
    assert (job["state"], job["error"]["code"]) == ("rejected", "too_large")
    eventually(lambda: not any(key.endswith(upload_id) for key in books.objects(".staging/")), 30)


def test_an_upload_in_parts_that_grows_too_large_is_ended_while_it_comes(
    alice: Api, companion: Companion
) -> None:
    upload = companion.opened()
    for number in (1, 2):
        companion.sent(upload, number, many(MOST // 2 + 1))

    def ended() -> bool:
        shown = answered(alice.get(f"/api/v1/uploads/{upload['uploadId']}"), 200)
        return bool(shown["state"] == "cancelled")

    eventually(ended, 30)
    assert companion.complete(upload, [{"PartNumber": 1, "ETag": "x"}]).status_code == 409
