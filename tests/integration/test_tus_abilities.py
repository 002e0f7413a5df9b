"""What is told of tus is there, and what is not told of is refused."""

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import pytest

from shared.config import BadSettings, Settings
from tests.e2e.wire import a_wire
from tests.support.api import Api
from tests.support.tus import BODY, Tus, metadata
from tests.support.web import Web, a_web
from web.app import create_app

NOTES: Final = metadata(filename="notes.txt")
RIGHT: Final = (
    f"sha1 {base64.b64encode(hashlib.sha1(b'hello', usedforsecurity=False).digest()).decode()}"
)

Ask = Callable[[Tus], int]


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with a_web(tmp_path_factory.mktemp("web")) as web:
        yield web


def create(tus: Tus, body: Any = None, **said: str) -> int:
    return tus.ask("POST", "/tus/", body, Upload_Metadata=NOTES, **said).status_code


def opened(tus: Tus, **said: str) -> str:
    return tus.create(5, None, Upload_Metadata=NOTES, **said)


def behind_its_checksum(tus: Tus) -> int:
    path = opened(tus).removeprefix(tus.api.base_url)
    head = ("Tus-Resumable: 1.0.0", "Upload-Offset: 0", f"Content-Type: {BODY}")
    with a_wire(tus.api.base_url) as wire:
        said = ("Transfer-Encoding: chunked", "Trailer: Upload-Checksum")
        wire.head("PATCH", path, None, *head, *said)
        wire.send(f"5\r\nhello\r\n0\r\nUpload-Checksum: {RIGHT}\r\n\r\n".encode())
        return wire.answer("PATCH").status


def joined(tus: Tus, *, whole: bool) -> int:
    part = tus.create(5, b"hello" if whole else None, Upload_Concat="partial")
    return create(tus, Upload_Concat=f"final;{part}")


def until(tus: Tus) -> int:
    parsedate_to_datetime(tus.head(opened(tus))["Upload-Expires"])
    return 200


# What each of them can do, and how it is refused where it is not there.
USES: Final[Mapping[str, tuple[Ask, int, int | None]]] = MappingProxyType(
    {
        "creation": (lambda tus: create(tus, Upload_Length="5"), 201, None),
        "creation-with-upload": (
            lambda tus: create(tus, b"hello", Upload_Length="5", Content_Type=BODY),
            *(201, 400),
        ),
        "creation-defer-length": (lambda tus: create(tus, Upload_Defer_Length="1"), 201, 400),
        "expiration": (until, 200, None),
        "checksum": (
            lambda tus: tus.patch(opened(tus), 0, b"hello", Upload_Checksum=RIGHT).status_code,
            *(204, 400),
        ),
        "checksum-trailer": (behind_its_checksum, 204, 400),
        "termination": (lambda tus: tus.ask("DELETE", opened(tus)).status_code, 204, 405),
        "concatenation": (lambda tus: joined(tus, whole=True), 201, 400),
        "concatenation-unfinished": (lambda tus: joined(tus, whole=False), 201, 409),
    }
)


def told(api: Api) -> Mapping[str, str]:
    headers: Mapping[str, str] = api.request("OPTIONS", "/tus/").headers
    return headers


def test_all_that_is_told_of_works(alice: Api) -> None:
    there = told(alice)

    assert there["Tus-Extension"].split(",") == list(USES)
    assert there["Tus-Checksum-Algorithm"] == "sha1,sha256,md5,crc32"
    for name, (ask, works, _) in USES.items():
        assert ask(Tus(alice)) == works, name


def test_each_that_is_left_out_is_not_told_of_and_refused(tmp_path: Path) -> None:
    optional = {name: refused for name, (_, _, refused) in USES.items() if refused is not None}
    # One that another is a part of would leave out both.
    alone = set(optional) - {"concatenation", "checksum"}
    with a_web(tmp_path, TUS_WITHOUT=",".join(alone)) as web, web.api() as api:
        assert set(told(api)["Tus-Extension"].split(",")) == set(USES) - alone
        tus = Tus(api)
        part = tus.create(5, Upload_Concat="partial")
        tus.sent(part, b"hello")
        assert create(tus, Upload_Concat=f"final;{part}") == 201
        assert USES["checksum"][0](tus) == 204
        for name in alone:
            assert USES[name][0](tus) == optional[name], name


def test_what_is_a_part_of_another_goes_with_it(tmp_path: Path) -> None:
    with a_web(tmp_path, TUS_WITHOUT="concatenation, checksum") as web, web.api() as api:
        tus = Tus(api)
        there = told(api)
        assert set(USES) - set(there["Tus-Extension"].split(",")) == {
            *("concatenation", "concatenation-unfinished", "checksum", "checksum-trailer")
        }
        assert "Tus-Checksum-Algorithm" not in there
        assert create(tus, Upload_Length="5", Upload_Concat="partial") == 400
        assert USES["checksum"][0](tus) == 400
        assert behind_its_checksum(tus) == 400
        assert tus.ask("DELETE", opened(tus)).status_code == 204


@pytest.mark.parametrize("name", ["creation", "expiration", "nonsense"])
def test_what_can_not_be_left_out_stops_the_start(tmp_path: Path, name: str) -> None:
    said: dict[str, Any] = {"tus_without": name, "jwt_secret_key": "s" * 32}
    settings = Settings(_env_file=None, data_dir=tmp_path, storage_backend="local", **said)

    with pytest.raises(BadSettings, match="TUS_WITHOUT"):
        create_app(settings)


def test_trailers_are_told_of_only_where_the_server_hands_them_on(tmp_path: Path) -> None:
    settings = Settings(
        _env_file=None, data_dir=tmp_path, storage_backend="local", jwt_secret_key="s" * 32
    )

    answer = create_app(settings).test_client().options("/tus/")

    assert "checksum-trailer" not in answer.headers["Tus-Extension"].split(",")
    assert "checksum" in answer.headers["Tus-Extension"].split(",")
