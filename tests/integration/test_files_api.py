"""The files' routes over the web application: what is out of bounds, and what logs may tell."""

import base64
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.front import Front, a_front

SOMEBODYS = "01890000-0000-7000-8000-000000000000"


@pytest.fixture
def front(tmp_path: Path, database_url: str) -> Iterator[Front]:
    with a_front(tmp_path, database_url) as made:
        yield made


@pytest.mark.parametrize(
    "expiry", ["0", "-1", "604801", "99999999999999", "9" * 400, "1e3", "soon"]
)
def test_a_link_that_would_live_too_short_or_long_is_pointed_at(front: Front, expiry: str) -> None:
    path = f"/api/v1/files/{front.published().id}/presigned-url"

    answer = front.get(path, {"expiry": expiry})

    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")
    assert [error["pointer"] for error in answer.get_json()["errors"]] == ["/expiry"]


def test_a_link_may_live_from_a_second_to_seven_days(front: Front) -> None:
    path = f"/api/v1/files/{front.published().id}/presigned-url"

    for expiry in (1, 604800):
        assert front.get(path, {"expiry": expiry}).get_json()["expires_at"].endswith("Z")


@pytest.mark.parametrize(
    ("sort", "value", "file_id"),
    [
        ("size", 2**70, SOMEBODYS),
        ("size", 2**63, SOMEBODYS),
        ("size", -1, SOMEBODYS),
        ("size", 0, "\0"),
        ("size", 0, "x" * 5000),
        ("filename", "a\0b", SOMEBODYS),
        ("filename", "a", f"{SOMEBODYS}\0"),
        ("filename", "\ud800", SOMEBODYS),
        ("filename", 7, SOMEBODYS),
        ("created_at", "99999-01-01T00:00:00Z", SOMEBODYS),
        ("created_at", "2026-01-01T00:00:00Z", "x"),
    ],
    ids=str,
)
@pytest.mark.parametrize("order", ["", "-"])
def test_a_cursor_that_the_database_would_choke_on_is_none_of_ours(
    front: Front, order: str, sort: str, value: Any, file_id: str
) -> None:
    answer = front.get("/api/v1/files", a_cursor(order + sort, value, file_id))

    assert (answer.status_code, answer.get_json()["type"]) == (400, "invalid_request")
    assert [error["pointer"] for error in answer.get_json()["errors"]] == ["/cursor"]


@pytest.mark.parametrize(
    ("sort", "value"),
    [
        ("size", 2**63 - 1),
        ("filename", "\U0010ffff"),
        ("created_at", "0001-01-01T00:00:00+14:00"),
        ("created_at", "9999-12-31T23:59:59.999-14:00"),
    ],
)
def test_a_cursor_at_the_edge_does_no_harm(front: Front, sort: str, value: Any) -> None:
    assert front.get("/api/v1/files", a_cursor(sort, value, SOMEBODYS)).status_code == 200


@pytest.mark.parametrize("sort", ["created_at", "-created_at", "filename", "-size"])
def test_a_list_goes_on_where_it_ended(front: Front, sort: str) -> None:
    made = {front.published(b"x" * (number + 1)).id for number in range(5)}
    seen: list[str] = []
    query: dict[str, Any] = {"sort": sort, "limit": 2}

    for _ in range(3):
        page = front.get("/api/v1/files", query).get_json()
        seen += [file["id"] for file in page["items"]]
        query["cursor"] = page["next_cursor"]

    assert sorted(seen) == sorted(made)
    assert query["cursor"] is None


@pytest.mark.parametrize(
    "query",
    [
        {"offset": 2**31},
        {"created_after": "0001-01-01T00:00:00+14:00"},
        {"created_before": "9999-12-31T23:59:59-14:00"},
        {"created_after": "-99999999999"},
        {"created_after": "99999999999999"},
    ],
    ids=str,
)
def test_a_filter_at_the_edge_does_no_harm(front: Front, query: dict[str, Any]) -> None:
    assert front.get("/api/v1/files", query).status_code in {200, 422}


@pytest.mark.parametrize(
    ("said", "pointer"),
    [
        ({"size": 2**70}, "/size"),
        ({"chunk_size": 2**70}, "/chunk_size"),
        ({"expires_in": 2**70}, "/expires_in"),
        ({"size": -(2**70)}, "/size"),
    ],
    ids=str,
)
def test_a_number_no_database_holds_is_pointed_at(
    front: Front, said: dict[str, int], pointer: str
) -> None:
    answer = front.ask("POST", "/api/v1/uploads", json={"filename": "notes.txt", **said})

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.get_json()["errors"]] == [pointer]


def test_a_number_of_chunks_no_upload_has_is_refused(front: Front) -> None:
    upload = f"/api/v1/uploads/{front.factory.received(b'').upload_id}"

    for total in (10_001, 2**70):
        answer = front.ask("POST", f"{upload}/complete", json={"total_chunks": total})
        assert answer.status_code == 422
    for number in ("9" * 8, "9" * 30):
        assert front.ask("PUT", f"{upload}/chunks/{number}", data=b"x").status_code == 400
    assert front.ask("PUT", f"{upload}/chunks/{'9' * 7}", data=b"x").status_code in {409, 422}


def test_times_have_one_form(front: Front) -> None:
    path = f"/api/v1/files/{front.published().id}"
    file = front.get(f"{path}/metadata").get_json()
    link = front.get(f"{path}/presigned-url").get_json()

    times = [file["created_at"], file["last_modified"], link["expires_at"]]

    assert {(len(time), time[-5], time[-1]) for time in times} == {(24, ".", "Z")}


def test_no_log_line_has_the_token_of_a_link(
    front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    own = f"/api/v1/files/{front.published().id}"
    link = front.get(f"{own}/presigned-url").get_json()["url"].removeprefix("http://sluice")
    token = link.rpartition("/")[2]
    caplog.clear()

    assert [front.get(path).status_code for path in (link, f"{link}/")] == [200, 200]
    for path in (f"/x{link}", f"/OBJECTS/{token}", f"{link}/a/b"):
        assert front.get(path).status_code == 404
    assert front.ask("POST", link).status_code == 405

    told = [vars(record).get("path") for record in caplog.records]
    assert len([path for path in told if path]) == 6
    assert told[0] == "/objects/…"
    assert not any(token in str(vars(record)) for record in caplog.records)
    front.get(own)
    assert vars(caplog.records[-1])["path"] == own


def a_cursor(sort: str, value: Any, file_id: str) -> dict[str, str]:
    said = json.dumps([sort, value, file_id]).encode()
    return {"sort": sort, "cursor": base64.urlsafe_b64encode(said).decode().rstrip("=")}
