"""`/upload` as its document runs it: RS256, files in a folder, and a main service that is told."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from standardwebhooks import Webhook as Verifier

from tests.dialects.sessions import (
    complete,
    delete,
    init,
    listed,
    said,
    sent,
    session,
    stored,
)
from tests.support.api import Api
from tests.support.quick import a_quick_stack
from tests.support.receiver import Call, Handler, Receiver, a_receiver, answer
from tests.support.samples import mp3, pdf, picture
from tests.support.stack import Stack
from tests.support.waiting import eventually

ISSUER: Final = "hayula_main_service"
AUDIENCE: Final = "hayula_upload_service"
SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KEY: Final = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY: Final = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM: Final = (
    KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode().strip()
)
TOLD: Final = "File upload completed and main service notified."

User = Callable[..., Api]


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """The main service."""
    with a_receiver() as made:
        yield made


@pytest.fixture(scope="module")
def chunk_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hayula_chunks")


@pytest.fixture(scope="module")
def service(receiver: Receiver, chunk_path: Path) -> Iterator[Stack]:
    """A copy with the document's settings, its key in one line as `.env` files have it."""
    with a_quick_stack(
        STORAGE_BACKEND="local",
        LOCAL_TEMP_CHUNK_PATH=str(chunk_path),
        MAIN_SERVICE_JWT_PUBLIC_KEY=PEM.replace("\n", "\\n"),
        JWT_ALGORITHM="RS256",
        EXPECTED_JWT_ISSUER=ISSUER,
        EXPECTED_JWT_AUDIENCE=AUDIENCE,
        MAIN_SERVICE_NOTIFY_URL=receiver.url("/api/uploads"),
        MAIN_SERVICE_NOTIFY_SECRET=SECRET,
    ) as running:
        yield running
        assert [line for line in running.log if "request_failed" in line] == []


def token(key: Any = KEY, algorithm: str = "RS256", **claims: Any) -> str:
    said = {"sub": "7", "iss": ISSUER, "aud": AUDIENCE, "exp": int(time.time()) + 600, **claims}
    return jwt.encode(
        {name: value for name, value in said.items() if value is not None}, key, algorithm
    )


@pytest.fixture
def user(service: Stack) -> Iterator[User]:
    made: list[Api] = []

    def new(sub: str | int | None = None, bearer: str | None = None) -> Api:
        sub = sub or f"u{uuid4().hex[:8]}"
        made.append(Api(service.base_url, bearer or token(sub=sub), sub=str(sub)))
        return made[-1]

    yield new
    for each in made:
        each.close()


@pytest.fixture
def client(user: User, receiver: Receiver) -> Api:
    receiver.calls.clear()
    return user()


def told(receiver: Receiver, client: Api) -> list[tuple[Call, dict[str, Any]]]:
    """Return what the main service heard of this user."""
    heard = [(call, json.loads(call.body)) for call in receiver.calls]
    return [(call, body) for call, body in heard if body["data"]["user_id"] == client.sub]


def test_the_file_lies_where_its_document_says_and_nothing_else_does(
    client: Api, chunk_path: Path
) -> None:
    opened, body = stored(client, mp3())

    place = Path(body["data"]["file_path_on_upload_service"])
    assert place == chunk_path / "final" / client.sub / "123" / "audio.mp3"
    assert place.read_bytes() == mp3()
    assert listed(client) == [str(place)]
    assert list(chunk_path.glob(f"??/{opened}")) == []
    assert client.download(opened).content == mp3()

    said(delete(client, opened), 200)
    assert not place.exists()
    assert listed(client) == []


def test_only_this_dialect_says_paths(client: Api, chunk_path: Path) -> None:
    opened, _ = stored(client, mp3())
    other = client.stored(picture("PNG"), "a.png")

    for path in (f"/api/v1/files/{opened}", "/api/v1/files", f"/api/v1/uploads/{opened}"):
        assert str(chunk_path) not in client.get(path).text
    assert str(chunk_path) not in json.dumps(other)
    assert listed(client) == [str(chunk_path / "final" / client.sub / "123" / "audio.mp3")]


def test_a_numeric_subject_is_the_user(user: User, chunk_path: Path) -> None:
    number = uuid4().int % 10**9

    _, body = stored(user(number, token(sub=number)), mp3())

    place = f"{chunk_path}/final/{number}/123/audio.mp3"
    assert body["data"]["file_path_on_upload_service"] == place


def test_the_main_service_is_told_by_a_signed_webhook(client: Api, receiver: Receiver) -> None:
    opened, body = stored(client, mp3())

    assert (body["message"], body["data"]["notified"]) == (TOLD, True)
    [(call, news)] = told(receiver, client)
    Verifier(SECRET).verify(call.body, dict(call.headers))
    assert (call.path, news["type"]) == ("/api/uploads", "file.ready")
    data = news["data"]
    sha256 = data.pop("sha256")
    assert len(sha256) == 64
    assert data == {
        "main_service_file_id": 123,
        "upload_session_id": opened,
        "user_id": client.sub,
        "tenant": "default",
        "original_file_name": "audio.mp3",
        "status": "ready",
        "file_path_on_upload_service": body["data"]["file_path_on_upload_service"],
        "size": len(mp3()),
        "content_type": "audio/mpeg",
    }


def test_a_main_service_that_fails_first_is_told_again_and_the_upload_stands(
    client: Api, receiver: Receiver
) -> None:
    receiver.says(answer(500))

    opened, body = stored(client, mp3())

    assert body["status"] == "success"
    assert body["data"]["notified"] is False
    assert "could not be notified yet" in body["message"]
    eventually(lambda: len(told(receiver, client)) == 2, 30, says="it is not told again")
    first, second = told(receiver, client)
    assert first[0].headers["webhook-id"] == second[0].headers["webhook-id"]
    assert first[0].body == second[0].body

    def heard() -> bool:
        again = said(complete(client, opened, 3), 200)
        return again["data"]["notified"] is True and again["message"] == TOLD

    eventually(heard, 5)


def test_a_main_service_that_says_gone_is_told_of_the_next_file_all_the_same(
    client: Api, receiver: Receiver
) -> None:
    receiver.says(answer(410))

    assert stored(client, mp3(), number=1)[1]["data"]["notified"] is False
    assert stored(client, mp3(), number=2)[1]["data"]["notified"] is True

    eventually(lambda: len(told(receiver, client)) == 3, 30, says="it is not told again")
    numbers = [news["data"]["main_service_file_id"] for _, news in told(receiver, client)]
    assert numbers == [1, 2, 1]


def test_a_main_service_that_takes_long_holds_the_answer_for_seconds_only(
    client: Api, receiver: Receiver
) -> None:
    def slow(handler: Handler) -> None:
        handler.server.stopping.wait(8)
        answer(204)(handler)

    opened = session(client)
    sent(client, opened, [mp3()])
    receiver.says(slow)
    began = time.monotonic()

    body = said(complete(client, opened, 1), 200)

    assert body["data"]["notified"] is False
    assert time.monotonic() - began < 7.5
    assert said(complete(client, opened, 1), 200)["data"]["notified"] is True
    assert len(told(receiver, client)) == 1


def test_the_main_service_hears_of_what_was_rejected(client: Api, receiver: Receiver) -> None:
    opened = session(client)
    sent(client, opened, [pdf()])

    said(complete(client, opened, 1), 415)

    eventually(lambda: told(receiver, client), 30)
    [(_, news)] = told(receiver, client)
    assert (news["type"], news["data"]["status"]) == ("file.rejected", "rejected")
    assert news["data"]["main_service_file_id"] == 123
    assert news["data"]["error"]["code"] == "type_not_allowed"


def test_the_main_service_hears_of_no_other_files(client: Api, receiver: Receiver) -> None:
    client.stored(picture("PNG"), "a.png", reference="123")

    assert told(receiver, client) == []


BAD_TOKENS: Final = {
    "issuer": token(iss="somebody"),
    "no issuer": token(iss=None),
    "audience": token(aud="somebody"),
    "no audience": token(aud=None),
    "key": token(OTHER_KEY),
    "secret": token("s" * 64, "HS256"),
    "none": jwt.encode({"sub": "7", "iss": ISSUER, "aud": AUDIENCE, "exp": 2**33}, "", "none"),
    "expired": token(exp=1),
    "no expiry": token(exp=None),
    "nonsense": "a.b.c",
}


@pytest.mark.parametrize("wrong", BAD_TOKENS)
def test_a_token_that_is_not_the_main_services_is_refused(user: User, wrong: str) -> None:
    client = user("7", BAD_TOKENS[wrong])

    for refused in (init(client), client.get("/upload/files"), delete(client, "x")):
        assert said(refused, 401)["code"] == "unauthenticated"
