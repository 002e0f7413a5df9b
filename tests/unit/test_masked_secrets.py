"""What looks like a secret of ours is in no line of the log, and in no answer that repeats a path."""

import io
import logging
import sys
import time

import pytest

from shared import logs
from shared.model.resumable import Capability
from web.errors import tellable

ID = "01a1ffd9-6b36-77b3-8784-05f5bac576e3"
CAPABILITY = Capability(ID, "lWRGZvB8wiIlG8NIzoNPCQ")
SECRET = CAPABILITY.secret


@pytest.mark.parametrize(
    "path",
    [
        f"/s3/{CAPABILITY}/s3/params",
        f"/s3//{CAPABILITY}",
        f"/S3/{CAPABILITY}/sign",
        f"/x/y/{CAPABILITY}",
        f"/{CAPABILITY}.json",
        f"/s3/http://h/{CAPABILITY}/s3",
        f"/s3/{ID}%2D{SECRET}/s3",
        f"/s3/{ID}%252d{SECRET}/s3",
        f"/s3/-{CAPABILITY}",
        f"/s3/{ID.upper()}-{SECRET}",
        f"/tus/{CAPABILITY}",
        f"/tus//{CAPABILITY}x",
        f"/objects/{SECRET}",
    ],
)
def test_an_address_that_is_a_right_is_told_without_its_secret(path: str) -> None:
    assert SECRET not in tellable(path)
    assert SECRET[:8] not in tellable(path)


@pytest.mark.parametrize(
    "path",
    [
        f"/api/v1/uploads/{ID}/chunks/3",
        f"/s3/multipart/{ID}/complete",
        f"/public/{ID}/a-photo-of-the-beach-in-summer.jpg",
        f"/public/2026/11/{ID}_a-photo-of-the-beach.jpg",
        "/api/v1/files/v1.2.3/a.b.c",
        f"/public/{ID}-thumbnail-large.png",
        "werkzeug.exceptions.RequestedRangeNotSatisfiable",
        "shared.adapters.records_sql_uploads.SqlUploadRowsOfWhateverKind",
    ],
)
def test_what_is_no_secret_is_told(path: str) -> None:
    assert tellable(path) == path


def test_a_long_path_is_looked_at_in_no_time() -> None:
    path = "/" + "-" * 65_536

    began = time.process_time()
    assert logs.masked(path) == path

    assert time.process_time() - began < 1  # seconds; from each of its letters anew it takes five


def test_a_token_and_a_signed_link_are_told_by_no_path() -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    link = "WyJrIiwzMDAsIiIsIiJd.aR8xYg.Kq3m0b2l7VQ5wR1xT9yU4zA8cE0"

    assert [tellable(f"/x/{each}/y") for each in (token, link)] == ["/x/…/y"] * 2


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_line_of_the_log_has_a_secret_wherever_it_comes_from(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = io.StringIO()
    monkeypatch.setattr(sys, "stderr", said)
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    try:
        logs.set_up("INFO", form)
        log = logging.getLogger("tests")
        log.info("asked", extra={"path": f"/s3/{CAPABILITY}/sign", "upload_id": ID})
        try:
            int(f"https://h/s3/{CAPABILITY}")
        except ValueError:
            log.exception("failed")
    finally:
        root.handlers, root.level = handlers, level

    assert SECRET not in said.getvalue()
    assert said.getvalue().count(f"{ID}-…") == 2
