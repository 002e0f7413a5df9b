"""tus as odd clients and proxies speak it: what is on the wire, and what is never said again."""

from collections.abc import Iterator
from typing import Final

import pytest

from tests.integration.conftest import Dial
from tests.support.api import Api
from tests.support.tus import BODY, Tus, metadata
from tests.support.web import Web, a_web

PROXY: Final = {"X_Forwarded_Prefix": "/files", "X_Forwarded_Host": "example.org"}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with a_web(tmp_path_factory.mktemp("web"), TRUSTED_PROXIES="1") as web:
        yield web


@pytest.fixture
def tus(alice: Api) -> Tus:
    return Tus(alice)


def test_parts_are_found_by_the_addresses_that_a_proxy_made_of_theirs(tus: Tus) -> None:
    said = {"Upload_Length": "5", "Upload_Concat": "partial", "Content_Type": BODY}
    part = tus.ask("POST", "/tus/", b"hello", **said, **PROXY).headers["Location"]
    assert part.startswith("http://example.org/files/tus/")

    final = tus.ask("POST", "/tus/", Upload_Concat=f"final;{part}", **PROXY)

    assert final.status_code == 201, final.text


def test_the_address_is_that_of_the_proxy_in_front_if_it_is_trusted(tus: Tus) -> None:
    answer = tus.ask("POST", "/tus/", Upload_Length="5", X_Forwarded_Proto="https", **PROXY)

    assert answer.headers["Location"].startswith("https://example.org/files/tus/")


@pytest.mark.parametrize("url", ["http://[/tus/x", "http://[::1/tus/x", "http://[v1.x]/tus/x"])
def test_a_url_of_a_part_that_is_none_is_refused(tus: Tus, url: str) -> None:
    assert tus.ask("POST", "/tus/", Upload_Concat=f"final;{url}").status_code in {400, 404}


def test_a_post_that_stands_for_head_is_not_waited_for(dial: Dial) -> None:
    said = ("Tus-Resumable: 1.0.0", "X-HTTP-Method-Override: HEAD", "Content-Length: 0")
    with dial() as wire:
        for _ in range(2):
            wire.head("POST", "/tus/nothing", None, *said)
            answer = wire.answer("POST")

            assert (answer.status, answer.body) == (404, b"")


def test_a_post_may_stand_for_patch_below_a_base_that_ends_in_a_slash(tus: Tus) -> None:
    path = tus.create(5).removeprefix(tus.api.base_url)
    said = {"X_HTTP_Method_Override": "PATCH", "Upload_Offset": "0", "Content_Type": BODY}

    assert tus.ask("POST", f"/{path}", b"hello", **said).status_code == 204


def test_metadata_without_a_field_are_judged_as_the_others_are(tus: Tus) -> None:
    answer = tus.ask("POST", "/tus/", Upload_Length="5", Upload_Metadata=metadata(mine="a\0b"))

    assert answer.status_code == 422
    assert answer.json()["type"] == "invalid_request"


def test_no_answer_is_kept_or_has_the_secret_of_its_address(tus: Tus) -> None:
    url = tus.create(5)

    told, missed = tus.patch(url, 3, b"x"), tus.ask("HEAD", f"{url}x")

    assert told.status_code == 409
    assert url[-22:] not in told.text
    assert missed.status_code == 404
    assert missed.headers["Cache-Control"] == "no-store"
