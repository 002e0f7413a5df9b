"""What a notifier sends, and what a receiver can do to it: real sockets on loopback."""

import gzip
import socket
import ssl
import time
from datetime import timedelta
from pathlib import Path

import pytest

from shared.adapters.notify_http import MOST_BYTES, USER_AGENT, HttpNotifier
from shared.ports import Answer, Notifier
from tests.support.receiver import (
    Receiver,
    Reply,
    a_certificate,
    a_receiver,
    answer,
    drips,
    hangs,
    never_ends,
    says_raw,
)


def test_the_receiver_gets_the_body_our_headers_and_its_own_name(
    notifier: Notifier, receiver: Receiver
) -> None:
    url = receiver.url("/a/b?c=d", host="localhost")

    sent = notifier.send(url, b'{"a":1}', {"content-type": "application/json", "x-mine": "1"})

    [call] = receiver.calls
    assert sent == Answer(204, None, None)
    assert (call.path, call.body) == ("/a/b?c=d", b'{"a":1}')
    assert call.headers == {
        "host": f"localhost:{receiver.server_port}",
        "user-agent": USER_AGENT,
        "connection": "close",
        "accept-encoding": "identity",
        "content-length": "7",
        "content-type": "application/json",
        "x-mine": "1",
    }


def test_neither_proxies_nor_passwords_of_this_host_are_used(
    notifier: Notifier, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login us password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    assert notifier.send(receiver.url(), b"{}", {}).status == 204
    assert "authorization" not in receiver.calls[0].headers


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_is_not_followed(
    notifier: Notifier, receiver: Receiver, status: int
) -> None:
    receiver.says(answer(status, Location=receiver.url("/inside")))

    assert notifier.send(receiver.url(), b"{}", {}).status == status
    assert [call.path for call in receiver.calls] == ["/hook"]


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({"Retry_After": "7"}, timedelta(seconds=7)),
        ({"Retry_After": " 120 "}, timedelta(seconds=120)),
        (
            {
                "Retry_After": "Fri, 02 Jan 2026 00:01:00 GMT",
                "Date": "Fri, 02 Jan 2026 00:00:00 GMT",
            },
            timedelta(seconds=60),
        ),
        ({"Retry_After": "99999999999999999999999"}, timedelta(seconds=10**9)),
        ({"Retry_After": "-1"}, None),
        ({"Retry_After": "Mon, 01 Jan 99999999999 00:00:00 GMT"}, None),
        ({"Retry_After": "soon"}, None),
        ({"Retry_After": "٣"}, None),
        ({}, None),
    ],
)
def test_a_pause_asked_for_is_understood_in_both_its_forms(
    notifier: Notifier, receiver: Receiver, headers: dict[str, str], pause: timedelta | None
) -> None:
    lines = "".join(f"{name.replace('_', '-')}: {said}\r\n" for name, said in headers.items())
    receiver.says(says_raw(f"HTTP/1.1 503 Busy\r\n{lines}\r\n".encode()))

    assert notifier.send(receiver.url(), b"{}", {}) == Answer(503, None, pause)


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (hangs, "timeout"),
        (drips(b""), "timeout"),
        (drips(b"HTTP/1.1 200 O"), "timeout"),
        (drips(OK + b"X: "), "timeout"),
        (says_raw(b""), "cut"),
        (says_raw(b"SSH-2.0-OpenSSH_9.6\r\n"), "not_http"),
        (says_raw(b"HTTP/1.1 boo\r\n\r\n"), "not_http"),
        (never_ends(b""), "not_http"),
        (never_ends(b"HTTP/1.1 100 Continue\r\nX: "), "cut"),
    ],
    ids=[
        "hangs",
        "drips",
        "drips in the status",
        "drips in a header",
        "hangs up",
        "another protocol",
        "a status of no number",
        "an endless status",
        "an endless interim answer",
    ],
)
def test_no_answer_has_a_word_and_an_end(
    hasty: Notifier, receiver: Receiver, reply: Reply, error: str
) -> None:
    receiver.says(reply)
    began = time.monotonic()

    assert hasty.send(receiver.url(), b"{}", {}) == Answer(None, error, None)
    assert time.monotonic() - began < 1.5


@pytest.mark.parametrize(
    "reply",
    [
        drips(OK + b"\r\n"),
        drips(OK + b"Content-Length: 1000\r\n\r\n"),
        never_ends(OK + b"Content-Length: 10737418240\r\n\r\n"),
        never_ends(OK + b"Transfer-Encoding: chunked\r\n\r\n280000000\r\n"),
        never_ends(OK + b"\r\n"),
        never_ends(OK + b"X: "),
        says_raw(OK + b"Content-Length: 1000\r\n\r\nshort"),
        says_raw(OK + b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n"),
    ],
    ids=[
        "drips",
        "drips what it said",
        "10 GB",
        "10 GB chunk",
        "no end",
        "endless header",
        "cut",
        "bad chunk",
    ],
)
def test_the_status_stands_whatever_the_body_is_and_little_of_that_is_read(
    notifier: Notifier, receiver: Receiver, reply: Reply
) -> None:
    receiver.says(reply)
    began = time.monotonic()

    assert notifier.send(receiver.url(), b"{}", {}) == Answer(200, None, None)
    assert time.monotonic() - began < 1.5
    # What the kernel buffers on both sides counts as taken here.
    assert receiver.sent < 16 * 2**20


def test_what_is_compressed_stays_compressed(notifier: Notifier, receiver: Receiver) -> None:
    bomb = gzip.compress(bytes(50 * 2**20))
    receiver.says(answer(200, bomb, Content_Encoding="gzip"))
    began = time.process_time()

    assert len(bomb) < MOST_BYTES
    assert notifier.send(receiver.url(), b"{}", {}).status == 200
    assert time.process_time() - began < 0.2


def test_a_port_where_nobody_listens_is_refused(notifier: Notifier) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"

        assert notifier.send(url, b"{}", {}).error == "refused"


def test_tls_wants_a_certificate_for_the_name_from_somebody_we_trust(tmp_path: Path) -> None:
    certificate = a_certificate(tmp_path, "localhost")
    trust = ssl.create_default_context(cafile=certificate)
    trusting = HttpNotifier(allow_private=True, trust=trust, deadline_seconds=2)
    distrusting = HttpNotifier(allow_private=True, deadline_seconds=2)

    with a_receiver(certificate) as receiver:
        by_name = receiver.url(host="localhost")

        assert trusting.send(by_name, b"{}", {}).status == 204
        assert trusting.send(receiver.url(host="LOCALHOST"), b"{}", {}).status == 204
        assert trusting.send(receiver.url(host="127.0.0.1"), b"{}", {}).error == "tls"
        assert distrusting.send(by_name, b"{}", {}).error == "tls"
        assert len(receiver.calls) == 2


def test_tls_to_who_does_not_speak_it_ends(hasty: Notifier, receiver: Receiver) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mute = f"https://127.0.0.1:{silent.getsockname()[1]}/"

        assert hasty.send(mute, b"{}", {}).error == "timeout"
    assert hasty.send(receiver.url().replace("http:", "https:"), b"{}", {}).error in {"tls", "cut"}
