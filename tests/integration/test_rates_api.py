"""How often a user may ask, over HTTP: headers, refusals in each shape, and nothing taken in vain."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import http_sf
import pytest
import requests

from shared.config import BadSettings, read_settings
from tests.e2e.wire import a_wire
from tests.support import servers
from tests.support.frost import frozen, valkey_at
from tests.support.web import Web, a_web

LIST = "/api/files"
UPLOAD = "/api/files/upload"
RATES = {
    "RATE_LIMIT_NUMBERED_UPLOAD": "1/minute",
    "RATE_LIMIT_NUMBERED_LIST": "3/minute",
    "RATE_LIMIT_READ": "5/minute",
    "RATE_LIMIT_WRITE": "2/minute",
}


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with servers.valkey_server() as url:
        yield url


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[Web]:
    """Two processes, one rate."""
    folder = tmp_path_factory.mktemp("web")
    with a_web(folder, REDIS_URL=redis_url, WEB_WORKERS="2", **RATES) as made:
        yield made


@contextmanager
def a_lone_web(folder: Path, **settings: str) -> Iterator[Web]:
    with a_web(folder, WEB_WORKERS="1", **settings) as made:
        yield made


def field(response: requests.Response, name: str) -> tuple[str, dict[str, int]]:
    """Return the one member of a field that is a list, with its parameters."""
    members: Any = http_sf.parse(response.headers[name].encode(), tltype="list")
    ((member, parameters),) = members
    return member, parameters


def test_every_answer_says_the_policy_and_what_is_left_of_it(web: Web) -> None:
    with web.api("told") as told:
        answers = [told.get(LIST) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200] * 3
    assert {field(each, "RateLimit-Policy")[0] for each in answers} == {"numbered_list"}
    assert field(answers[0], "RateLimit-Policy")[1] == {"q": 3, "w": 60}
    assert [field(each, "RateLimit")[1]["r"] for each in answers] == [2, 1, 0]
    assert all(0 < field(each, "RateLimit")[1]["t"] <= 60 for each in answers)


def test_a_form_for_the_store_counts_as_what_it_does_and_not_as_how_it_is_asked_for(
    web: Web,
) -> None:
    with web.api("uppy") as uppy:
        answers = [uppy.get("/s3/params?filename=a.txt") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [409, 409, 429]  # there is no store
    assert {field(each, "RateLimit-Policy")[0] for each in answers} == {"write"}


def test_one_too_many_is_refused_in_the_dialects_own_shape(web: Web) -> None:
    with web.api("eager") as eager:
        *_, refused = [eager.get(LIST) for _ in range(4)]

    body = refused.json()
    assert refused.status_code == 429
    assert refused.headers["Content-Type"] == "application/json"
    assert (body["error"], body["code"]) == ("Too many requests", "limited")
    assert (body["limit"], body["window_seconds"]) == (3, 60)
    assert 50 < int(refused.headers["Retry-After"]) <= 60
    assert int(refused.headers["Retry-After"]) == body["retry_after"]
    assert field(refused, "RateLimit")[1]["r"] == 0


def test_the_canonical_api_says_so_in_a_problem_document(web: Web) -> None:
    with web.api("reader") as reader:
        *allowed, refused = [reader.get("/api/v1/files") for _ in range(6)]

    assert [each.status_code for each in allowed] == [200] * 5
    assert (refused.status_code, refused.json()["type"]) == (429, "limited")
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert int(refused.headers["Retry-After"]) > 0


def test_reading_and_writing_have_rates_of_their_own(web: Web) -> None:
    with web.api("both") as both:
        writes = [both.post("/api/v1/uploads", json={"filename": "a.txt"}) for _ in range(3)]
        read = both.get("/api/v1/files")

    assert [each.status_code for each in writes] == [201, 201, 429]
    assert read.status_code == 200


def test_users_of_one_name_in_two_tenants_do_not_share_a_rate(web: Web) -> None:
    with web.api("twin", tenant="one") as one, web.api("twin", tenant="two") as two:
        spent = [one.get(LIST).status_code for _ in range(4)]
        other = two.get(LIST).status_code

    assert (spent, other) == ([200, 200, 200, 429], 200)


def test_who_has_no_token_is_refused_and_not_counted(web: Web) -> None:
    answers = [requests.get(f"{web.base_url}{LIST}", timeout=10) for _ in range(6)]

    assert {each.status_code for each in answers} == {401}
    assert "RateLimit" not in answers[0].headers


def test_what_needs_no_token_has_no_rate(web: Web) -> None:
    answers = [requests.get(f"{web.base_url}/healthz", timeout=10) for _ in range(10)]

    assert {each.status_code for each in answers} == {200}


def test_a_browser_may_read_the_fields(web: Web) -> None:
    with web.api("browser") as browser:
        answer = browser.get(LIST, headers={"Origin": "https://page.example"})

    exposed = answer.headers["Access-Control-Expose-Headers"]
    assert {"RateLimit", "RateLimit-Policy", "Retry-After"} <= set(exposed.split(", "))


def test_a_refused_upload_is_answered_before_its_body_and_leaves_nothing(web: Web) -> None:
    with web.api("sender") as sender:
        assert sender.post(UPLOAD, data=b"no form").status_code == 400
        token = sender.token
    before = staged(web)

    with a_wire(web.base_url) as wire:
        wire.head(
            "POST", UPLOAD, token, "Content-Type: multipart/form-data; boundary=b",
            "Content-Length: 50000000", "Expect: 100-continue",
        )  # fmt: skip
        answer = wire.answer()

    assert (answer.status, answer.json()["code"], answer.early) == (429, "limited", ())
    assert answer.headers["connection"] == "close"
    assert staged(web) == before


def test_the_documents_rates_are_on_unless_said_otherwise(tmp_path: Path, redis_url: str) -> None:
    with a_lone_web(tmp_path, REDIS_URL=redis_url) as web, web.api("default") as api:
        listed, shown = api.get(LIST), api.get(f"{LIST}/1")
        deleted, canonical = api.delete(f"{LIST}/1"), api.get("/api/v1/files")
        sent = api.post(UPLOAD, data=b"no form")

    said = {answer.headers.get("RateLimit-Policy") for answer in (listed, deleted, sent)}
    assert said == {
        '"numbered_list";q=100;w=60', '"numbered_delete";q=50;w=60', '"numbered_upload";q=10;w=60',
    }  # fmt: skip
    assert "RateLimit" not in {*shown.headers, *canonical.headers}


def test_off_counts_nothing(tmp_path: Path, redis_url: str) -> None:
    off = {"REDIS_URL": redis_url, "RATE_LIMITS": "off", **RATES}
    with a_lone_web(tmp_path, **off) as web, web.api("free") as free:
        answers = [free.get(LIST) for _ in range(10)]

    assert {each.status_code for each in answers} == {200}
    assert "RateLimit" not in answers[0].headers


def test_a_redis_that_is_frozen_lets_requests_pass_at_once(tmp_path: Path) -> None:
    with (
        servers.valkey_server() as url,
        a_lone_web(tmp_path, REDIS_URL=url, **RATES) as web,
        web.api("patient") as patient,
    ):
        assert patient.get(LIST).status_code == 200
        with frozen(valkey_at(url)):
            began = monotonic()
            first = patient.get(LIST)
            took_first = monotonic() - began
            began = monotonic()
            later = [patient.get(LIST) for _ in range(20)]
            took = monotonic() - began

    assert [first.status_code, *(each.status_code for each in later)] == [200] * 21
    assert took_first < 3
    assert took < 3
    assert "RateLimit" not in later[-1].headers


def test_a_redis_that_is_away_lets_requests_pass(tmp_path: Path) -> None:
    with a_lone_web(tmp_path, **RATES) as web, web.api("patient") as patient:
        assert {patient.get(LIST).status_code for _ in range(10)} == {200}


@pytest.mark.parametrize("text", ["ten a minute", "10", "10/fortnight", "-1/minute"])
def test_a_rate_that_is_none_stops_the_start_with_one_line(text: str) -> None:
    with pytest.raises(BadSettings, match=r"^RATE_LIMIT_READ: .*neither off nor like 10/minute$"):
        read_settings(rate_limit_read=text, _env_file=None)


def staged(web: Web) -> list[str]:
    return sorted(str(path) for path in (web.folder / "staging").rglob("*") if path.is_file())
