"""tus 1.0, clause by clause: what a server must, should and must not."""

import base64
import hashlib
import time
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from tests.e2e.books import Books
from tests.support.api import Api
from tests.support.stack import Stack
from tests.support.tus import BODY, Tus, metadata

NOTES = metadata(filename="notes.txt", filetype="text/plain")
CONTENT = b"The quick brown fox jumps over the lazy dog.\n" * 2_200


@pytest.fixture
def tus(alice: Api) -> Tus:
    return Tus(alice)


@pytest.fixture
def bare(alice: Api) -> Tus:
    """A client that has nothing but the upload's URL."""
    return Tus(Api(alice.base_url))


def opened(tus: Tus, size: int | None = len(CONTENT), **headers: str) -> str:
    return tus.create(size, None, Upload_Metadata=NOTES, **headers)


# Core.


def test_an_upload_goes_on_where_head_says_and_becomes_a_file(tus: Tus) -> None:
    url = opened(tus)
    tus.sent(url, CONTENT[:40_000])

    assert tus.offset(url) == 40_000
    last = tus.sent(url, CONTENT[40_000:], 40_000)

    assert last["Upload-Offset"] == str(len(CONTENT))
    assert last["Link"] == f'<{last["Upload-Job"]}>; rel="status"'
    job = tus.job(url)
    assert job["state"] == "succeeded"
    file = job["file"]
    assert (file["filename"], file["declared_type"]) == ("notes.txt", "text/plain")
    assert file["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert tus.api.download(file["id"]).content == CONTENT


@pytest.mark.parametrize("method", ["HEAD", "PATCH", "DELETE"])
@pytest.mark.parametrize("version", ["0.2.2", None])
def test_tus_resumable_is_wanted_and_others_are_412(
    tus: Tus, method: str, version: str | None
) -> None:
    url = opened(tus)
    said: dict[str, Any] = {"Tus_Resumable": version}

    answer = tus.ask(method, url, b"x", Content_Type=BODY, Upload_Offset="0", **said)

    assert answer.status_code == 412
    assert answer.headers["Tus-Version"] == "1.0.0"
    assert tus.offset(url) == 0


def test_head_always_has_the_offset_and_is_not_cached(tus: Tus) -> None:
    told = tus.head(opened(tus))

    assert (told["Upload-Offset"], told["Upload-Length"]) == ("0", str(len(CONTENT)))
    assert told["Cache-Control"] == "no-store"
    assert told["Tus-Resumable"] == "1.0.0"


def test_head_of_nothing_is_404_without_an_offset(tus: Tus) -> None:
    url = opened(tus)

    for none in (url[:-1] + ("A" if url[-1] != "A" else "B"), url[:-23], "/tus/nothing"):
        answer = tus.ask("HEAD", none)
        assert answer.status_code == 404
        assert "Upload-Offset" not in answer.headers


def test_patch_of_another_type_is_415(tus: Tus) -> None:
    url = opened(tus)

    assert tus.patch(url, 0, b"x", Content_Type="application/octet-stream").status_code == 415
    assert tus.offset(url) == 0


def test_patch_elsewhere_is_409_and_changes_nothing(tus: Tus) -> None:
    url = opened(tus)
    tus.sent(url, CONTENT[:10])

    for offset in (0, 9, 11, len(CONTENT)):
        answer = tus.patch(url, offset, b"x")
        assert answer.status_code == 409
        assert answer.headers["Upload-Offset"] == "10"
    assert tus.offset(url) == 10


@pytest.mark.parametrize("offset", ["", "+0", "-1", "0x0", "1_0", "0,0", "0.0", "9" * 30])
def test_an_offset_that_is_no_whole_number_is_400(tus: Tus, offset: str) -> None:
    url = opened(tus)

    assert tus.patch(url, offset, b"x").status_code == 400
    assert tus.offset(url) == 0


def test_bytes_beyond_the_length_are_413_and_not_kept(tus: Tus) -> None:
    url = opened(tus, 10)

    assert tus.patch(url, 0, b"x" * 11).status_code == 413
    assert tus.offset(url) == 0
    tus.sent(url, b"0123456789")
    assert tus.patch(url, 10, b"x").status_code == 413
    assert tus.patch(url, 10, b"").status_code == 204


def test_options_tell_what_there_is(bare: Tus) -> None:
    for path in ("/tus/", "/tus"):
        answer = bare.api.request("OPTIONS", path)
        assert answer.status_code == 204
        assert answer.headers["Tus-Version"] == "1.0.0"
        assert answer.headers["Tus-Checksum-Algorithm"] == "sha1,sha256,md5,crc32"
        assert set(answer.headers["Tus-Extension"].split(",")) == {
            *("creation", "creation-with-upload", "creation-defer-length", "expiration"),
            *("checksum", "checksum-trailer", "termination"),
            *("concatenation", "concatenation-unfinished"),
        }
        assert int(answer.headers["Tus-Max-Size"]) > 0


def test_post_may_stand_for_patch_and_delete(tus: Tus) -> None:
    url = opened(tus, 6)
    headers = {"Content_Type": BODY, "Upload_Offset": "0"}

    answer = tus.ask("POST", url, b"hello", X_HTTP_Method_Override="PATCH", **headers)
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, "5")
    assert tus.ask("POST", url, X_HTTP_Method_Override="DELETE").status_code == 204
    assert tus.ask("HEAD", url).status_code in {404, 410}


@pytest.mark.parametrize("method", ["GET", "PUT", "patch", "PATCH, DELETE", ""])
def test_post_stands_for_nothing_else(tus: Tus, books: Books, method: str) -> None:
    with books.unchanged():
        answer = tus.ask("POST", "/tus/", Upload_Length="5", X_HTTP_Method_Override=method)

    assert answer.status_code in {400, 405}


# Creation.


def test_a_new_upload_has_an_absolute_url(tus: Tus) -> None:
    answer = tus.ask("POST", "/tus/", Upload_Length="5", Upload_Metadata=NOTES)

    assert answer.status_code == 201
    assert answer.headers["Location"].startswith(f"{tus.api.base_url}/tus/")
    assert "Upload-Expires" in answer.headers


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({}, 400),
        ({"Upload_Length": "5", "Upload_Defer_Length": "1"}, 400),
        ({"Upload_Defer_Length": "2"}, 400),
        ({"Upload_Length": "+5"}, 400),
        ({"Upload_Length": "1_000"}, 400),
        ({"Upload_Length": "5, 6"}, 400),
        ({"Upload_Length": "999999999999999"}, 413),
        ({"Upload_Length": "5", "Upload_Metadata": "a b c"}, 400),
        ({"Upload_Length": "5", "Upload_Metadata": "a eA==,a eQ=="}, 400),
        ({"Upload_Length": "5", "Upload_Metadata": "a !!"}, 400),
        ({"Upload_Length": "5", "Upload_Metadata": ",a eA=="}, 400),
        ({"Upload_Length": "5", "Upload_Metadata": "a /w=="}, 400),
        ({"Upload_Length": "5", "Upload_Metadata": metadata(filename="x.exe")}, 415),
        ({"Upload_Length": "5", "Upload_Metadata": metadata(folder="../x")}, 422),
        ({"Upload_Length": "5", "Upload_Metadata": metadata(profile="none")}, 422),
        ({"Upload_Length": "5", "Upload_Concat": "whole"}, 400),
        ({"Upload_Length": "5", "Upload_Checksum": "sha3 eA=="}, 400),
    ],
)
def test_a_creation_that_is_wrong_makes_nothing(
    tus: Tus, books: Books, said: dict[str, str], status: int
) -> None:
    with books.unchanged():
        answer = tus.ask("POST", "/tus/", **said)

    assert answer.status_code == status, answer.text
    assert answer.headers["Tus-Resumable"] == "1.0.0"


def test_two_lengths_are_refused(tus: Tus, books: Books) -> None:
    with books.unchanged():
        assert tus.ask("POST", "/tus/", Upload_Length="5,5").status_code == 400


def test_a_creation_wants_a_token(bare: Tus) -> None:
    assert bare.ask("POST", "/tus/", Upload_Length="5").status_code == 401


@pytest.mark.parametrize("said", ["", "is_confidential", "empty ,b eA=="])
def test_metadata_may_be_empty(tus: Tus, said: str) -> None:
    url = tus.create(5, Upload_Metadata=said)

    assert tus.head(url).get("Upload-Metadata", "") == said


def test_metadata_describe_the_file_and_head_gives_them_back(tus: Tus) -> None:
    said = metadata(
        name="other.txt", filename="täst.txt", type="text/plain", folder="a/b", tags="one,two",
        description="A text.", reference="r-1", userId="7", relativePath="null",
    )  # fmt: skip
    url = tus.create(5, b"hello", Upload_Metadata=said)

    assert tus.head(url)["Upload-Metadata"] == said
    file = tus.job(url)["file"]
    assert (file["filename"], file["folder"]) == ("täst.txt", "a/b")
    assert (file["description"], file["tags"]) == ("A text.", ["one", "two"])
    assert file["metadata"] == {"userId": "7", "relativePath": "null"}


def test_a_deferred_length_is_told_until_it_is_set_and_does_not_change(tus: Tus) -> None:
    url = opened(tus, None, Upload_Defer_Length="1")
    told = tus.head(url)
    assert told["Upload-Defer-Length"] == "1"
    assert "Upload-Length" not in told

    tus.sent(url, CONTENT[:10])
    assert tus.patch(url, 10, b"", Upload_Length="9").status_code == 400
    assert tus.patch(url, 9, b"", Upload_Length="20").status_code == 409
    assert tus.head(url)["Upload-Defer-Length"] == "1"
    assert tus.patch(url, 10, CONTENT[10:20], Upload_Length="30").status_code == 204
    assert tus.head(url)["Upload-Length"] == "30"
    assert "Upload-Defer-Length" not in tus.head(url)
    assert tus.patch(url, 20, b"", Upload_Length="31").status_code == 400
    assert tus.patch(url, 20, CONTENT[20:30], Upload_Length="30").status_code == 204

    assert tus.job(url)["file"]["size"] == 30


def test_a_deferred_length_may_be_what_is_here(tus: Tus) -> None:
    url = opened(tus, None, Upload_Defer_Length="1")
    tus.sent(url, CONTENT[:10])

    answer = tus.patch(url, 10, b"", Upload_Length="10")

    assert answer.status_code == 204
    assert tus.job(url)["file"]["size"] == 10


def test_an_empty_upload_is_taken_and_its_job_is_rejected(tus: Tus) -> None:
    job = tus.job(tus.create(0, Upload_Metadata=NOTES))

    assert (job["state"], job["error"]["code"]) == ("rejected", "file_empty")


# Creation with upload.


def test_the_first_bytes_may_come_with_the_creation(tus: Tus) -> None:
    said = {"Upload_Length": "10", "Content_Type": BODY, "Upload_Metadata": NOTES}

    answer = tus.ask("POST", "/tus/", b"01234", **said)

    assert (answer.status_code, answer.headers["Upload-Offset"]) == (201, "5")
    tus.sent(answer.headers["Location"], b"56789", 5)
    assert tus.job(answer.headers["Location"])["file"]["size"] == 10


def test_a_creation_whose_bytes_are_refused_makes_nothing(tus: Tus, books: Books) -> None:
    said = {"Upload_Length": "10", "Upload_Metadata": NOTES}
    with books.unchanged():
        long = tus.ask("POST", "/tus/", b"x" * 11, Content_Type=BODY, **said)
        typed = tus.ask("POST", "/tus/", b"x", Content_Type="text/plain", **said)
        program = tus.ask("POST", "/tus/", b"MZ" + bytes(8), Content_Type=BODY, **said)

    assert [each.status_code for each in (long, typed, program)] == [413, 415, 415]


# Expiration.


def test_when_an_upload_ends_is_told_with_each_answer(tus: Tus) -> None:
    url = opened(tus)

    told = tus.sent(url, CONTENT[:10])["Upload-Expires"]

    assert parsedate_to_datetime(told) == parsedate_to_datetime(tus.head(url)["Upload-Expires"])


# Checksum.


@pytest.mark.parametrize(
    ("algorithm", "digest"),
    [
        ("sha1", hashlib.sha1(b"hello world", usedforsecurity=False).digest()),
        ("sha256", hashlib.sha256(b"hello world").digest()),
        ("md5", hashlib.md5(b"hello world", usedforsecurity=False).digest()),
        ("crc32", bytes.fromhex("0d4a1185")),
    ],
)
def test_a_checksum_is_verified_and_its_bytes_are_dropped_if_wrong(
    tus: Tus, algorithm: str, digest: bytes
) -> None:
    url = opened(tus, 11)
    said = f"{algorithm} {base64.b64encode(digest).decode()}"

    wrong = tus.patch(url, 0, b"hello_world", Upload_Checksum=said)
    assert (wrong.status_code, wrong.reason) == (460, "Checksum Mismatch")
    assert tus.offset(url) == 0
    assert tus.patch(url, 0, b"hello world", Upload_Checksum=said).status_code == 204


@pytest.mark.parametrize("said", ["sha3 eA==", "SHA1 eA==", "sha1", "sha1 ???", ""])
def test_a_checksum_that_is_none_of_ours_is_refused(tus: Tus, said: str) -> None:
    url = opened(tus, 5)

    assert tus.patch(url, 0, b"hello", Upload_Checksum=said).status_code in {400, 460}
    assert tus.offset(url) == 0


def test_a_checksum_of_nothing_is_verified_too(tus: Tus) -> None:
    url = opened(tus, 5)
    tus.sent(url, b"hello")
    said = f"sha1 {base64.b64encode(hashlib.sha1(b'x', usedforsecurity=False).digest()).decode()}"

    assert tus.patch(url, 5, b"", Upload_Checksum=said).status_code == 460


# Termination.


def test_a_terminated_upload_is_gone_and_frees_what_it_had(tus: Tus, books: Books) -> None:
    url = opened(tus)
    tus.sent(url, CONTENT[:10])
    upload_id = url.split("/tus/")[1][:36]
    assert books.count("chunks", upload_id=upload_id) == 1

    assert tus.ask("DELETE", url).status_code == 204

    assert books.count("chunks", upload_id=upload_id) == 0
    for method in ("HEAD", "PATCH", "DELETE"):
        answer = tus.ask(method, url, b"x", Content_Type=BODY, Upload_Offset="10")
        assert answer.status_code in {404, 410}


def test_an_owner_who_ends_a_finished_upload_deletes_its_file_as_files_are_deleted(
    tus: Tus,
) -> None:
    url = tus.create(5, b"hello", Upload_Metadata=NOTES)
    file = tus.job(url)["file"]

    assert tus.ask("DELETE", url).status_code == 204

    assert tus.api.get(f"/api/v1/files/{file['id']}/metadata").status_code == 404
    assert tus.ask("HEAD", url).status_code in {404, 410}
    assert tus.api.post(f"/api/v1/files/{file['id']}/restore").status_code == 200
    assert tus.api.download(file["id"]).content == b"hello"


def test_the_address_alone_ends_but_takes_no_file_away(tus: Tus, bare: Tus, stack: Stack) -> None:
    said: dict[str, Any] = {"sub": tus.api.sub, "tenant": tus.api.tenant}
    said |= {"exp": int(time.time()) + 600}
    weak = [
        Tus(Api(tus.api.base_url, stack.signed(scope=scope, **said)))
        for scope in ("files:read files:write", "files:read")
    ]
    for lesser in (bare, *weak):
        url = tus.create(5, b"hello", Upload_Metadata=NOTES)
        file = tus.job(url)["file"]

        assert lesser.offset(url) == 5
        assert lesser.ask("DELETE", url).status_code == 204

        assert lesser.ask("HEAD", url).status_code in {404, 410}
        assert lesser.ask("DELETE", url).status_code in {404, 410}
        assert tus.api.download(file["id"]).content == b"hello"


def test_a_finished_upload_whose_file_is_deleted_already_can_be_ended(tus: Tus) -> None:
    url = tus.create(5, b"hello", Upload_Metadata=NOTES)
    file = tus.job(url)["file"]
    assert tus.api.delete(f"/api/v1/files/{file['id']}").status_code == 204

    assert tus.ask("DELETE", url).status_code == 204

    assert tus.api.post(f"/api/v1/files/{file['id']}/restore").status_code == 200


# Concatenation.


def partial(tus: Tus, content: bytes, *, whole: bool = True) -> str:
    url = tus.create(len(content), Upload_Concat="partial")
    if whole:
        tus.sent(url, content)
    return url


def test_partial_uploads_are_joined_in_the_order_they_are_named(tus: Tus) -> None:
    first, second = partial(tus, CONTENT[:70_000]), partial(tus, CONTENT[70_000:])
    named = f"final;{first} {second.removeprefix(tus.api.base_url)}"

    url = tus.create(Upload_Concat=named, Upload_Metadata=NOTES)

    told = tus.head(url)
    assert (told["Upload-Concat"], told["Upload-Length"]) == (named, str(len(CONTENT)))
    job = tus.job(url)
    assert job["file"]["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert tus.head(url)["Upload-Offset"] == str(len(CONTENT))
    assert tus.head(first)["Upload-Concat"] == "partial"
    assert tus.api.download(job["file"]["id"]).content == CONTENT


def test_what_is_joined_before_its_parts_are_whole_waits_for_them(tus: Tus) -> None:
    first, second = (partial(tus, part, whole=False) for part in (CONTENT[:5], CONTENT[5:9]))
    url = tus.create(Upload_Concat=f"final;{first} {second}", Upload_Metadata=NOTES)
    told = tus.head(url)
    assert "Upload-Offset" not in told
    assert told["Upload-Length"] == "9"

    tus.sent(second, CONTENT[5:9])
    assert "Upload-Job" not in tus.head(url)
    tus.sent(first, CONTENT[:5])

    assert tus.job(url)["file"]["sha256"] == hashlib.sha256(CONTENT[:9]).hexdigest()


def test_patch_of_a_final_upload_is_403_and_changes_nothing(tus: Tus) -> None:
    part = partial(tus, b"hello", whole=False)
    url = tus.create(Upload_Concat=f"final;{part}", Upload_Metadata=NOTES)

    assert tus.patch(url, 0, b"x").status_code == 403
    assert tus.offset(part) == 0


def test_metadata_of_parts_are_not_the_final_ones(tus: Tus) -> None:
    part = tus.create(5, b"hello", Upload_Concat="partial", Upload_Metadata=metadata(a="b"))
    url = tus.create(Upload_Concat=f"final;{part}")

    assert "Upload-Metadata" not in tus.head(url)
    assert tus.job(url)["file"]["metadata"] == {}


def test_a_join_that_is_asked_for_again_is_the_first(tus: Tus) -> None:
    named = f"final;{partial(tus, b'hello')}"
    first = tus.create(Upload_Concat=named, Upload_Metadata=NOTES)

    again = tus.create(Upload_Concat=named, Upload_Metadata=NOTES)

    assert again.split("/tus/")[1][:36] == first.split("/tus/")[1][:36]
    assert tus.job(again)["state"] == "succeeded"


def test_a_join_with_other_metadata_is_another_and_refused(tus: Tus, books: Books) -> None:
    named = f"final;{partial(tus, b'hello')}"
    url = tus.create(Upload_Concat=named, Upload_Metadata=NOTES)
    file = tus.job(url)["file"]

    with books.unchanged():
        other = tus.ask("POST", "/tus/", Upload_Concat=named, Upload_Metadata=metadata(a="b"))
    assert other.status_code == 409

    assert tus.api.delete(f"/api/v1/files/{file['id']}?hard_delete=true").status_code == 204
    assert tus.ask("POST", "/tus/", Upload_Concat=named, Upload_Metadata=NOTES).status_code == 409


def test_what_waits_for_a_part_that_was_ended_is_over(tus: Tus) -> None:
    first, second = partial(tus, b"hello"), partial(tus, b"world", whole=False)
    url = tus.create(Upload_Concat=f"final;{first} {second}", Upload_Metadata=NOTES)

    assert tus.ask("DELETE", second).status_code == 204

    assert tus.ask("HEAD", url).status_code == 410


def test_what_can_not_be_joined_makes_nothing(tus: Tus, bob: Api, books: Books) -> None:
    part, whole = partial(tus, b"hello"), opened(tus)
    theirs = partial(Tus(bob), b"theirs")
    used = partial(tus, b"used")
    other = partial(tus, b"other")
    tus.create(Upload_Concat=f"final;{used} {other}")
    wrong = {
        f"final;{part} {part}": 409,
        f"final;{whole}": 409,
        f"final;{part} {theirs}": 404,
        f"final;{used}": 409,
        f"final;{part[:-1]}": 404,
        "final;": 400,
        "final;/elsewhere/x": 400,
        "final;/tus/../../etc/passwd": 404,
        "final": 400,
    }

    with books.unchanged():
        for named, status in wrong.items():
            assert tus.ask("POST", "/tus/", Upload_Concat=named).status_code == status, named
        length = tus.ask("POST", "/tus/", Upload_Concat=f"final;{part}", Upload_Length="5")
        assert length.status_code == 400


# Who may.


def test_the_address_is_enough_to_go_on_and_to_end(tus: Tus, bare: Tus) -> None:
    url = opened(tus, 10)

    assert bare.offset(url) == 0
    bare.sent(url, b"01234")
    assert bare.ask("DELETE", url).status_code == 204


def test_a_token_that_is_sent_has_to_be_the_owners(tus: Tus, bob: Api, admin: Api) -> None:
    url = opened(tus, 10)

    assert Tus(bob).ask("HEAD", url).status_code == 404
    assert Tus(admin).offset(url) == 0
    answer = Tus(Api(bob.base_url, "nonsense")).ask("HEAD", url)
    assert answer.status_code == 401


def test_an_upload_outlives_the_token_that_it_was_opened_with(
    tus: Tus, bob: Api, stack: Stack
) -> None:
    url = opened(tus, 5)

    def late(api: Api, **claims: Any) -> Tus:
        said = {"sub": api.sub, "tenant": api.tenant, "exp": int(time.time()) - 3600, **claims}
        return Tus(Api(api.base_url, stack.signed(**said)))

    assert late(tus.api).offset(url) == 0
    assert late(bob).ask("HEAD", url).status_code == 404
    assert late(tus.api, iss="somebody").ask("HEAD", url).status_code == 401
    assert late(tus.api).ask("POST", "/tus/", Upload_Length="5").status_code == 401
    late(tus.api).sent(url, b"hello")


def test_the_id_alone_opens_nothing(tus: Tus) -> None:
    url = opened(tus)

    for none in (url[:-22], url[:-23], f"{url}x", f"{url[:-22]}{'A' * 22}"):
        assert tus.ask("HEAD", none).status_code == 404


def test_the_canonical_api_shows_it_and_takes_no_chunks_for_it(tus: Tus) -> None:
    url = opened(tus)
    upload_id = url.split("/tus/")[1][:36]
    tus.sent(url, CONTENT[:10])

    shown = tus.api.get(f"/api/v1/uploads/{upload_id}").json()

    assert (shown["transfer"], shown["received"], shown["missing"]) == ("stream", [[0, 10]], [])
    assert tus.api.put_chunk(upload_id, 0, b"x").status_code == 409
    assert tus.api.post(f"/api/v1/uploads/{upload_id}/complete", json={}).status_code == 409
    assert tus.api.delete(f"/api/v1/uploads/{upload_id}").status_code == 204
    assert tus.ask("HEAD", url).status_code == 410


def test_browsers_may_read_what_the_protocol_tells(bare: Tus) -> None:
    asked = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "tus-resumable,upload-offset,content-type,authorization",
    }
    answer = bare.api.request("OPTIONS", "/tus/x", headers=asked)

    assert answer.status_code in {200, 204}
    assert "PATCH" in answer.headers["Access-Control-Allow-Methods"]
    assert "upload-offset" in answer.headers["Access-Control-Allow-Headers"].lower()


def test_the_secret_of_an_address_is_in_no_log(tus: Tus, stack: Any) -> None:
    url = opened(tus)
    tus.head(url)
    tus.ask("HEAD", f"{url}x")

    assert url[-22:] not in "\n".join(stack.log)
