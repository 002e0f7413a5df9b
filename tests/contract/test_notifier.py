"""What a notifier may reach, and what a receiver can do to it: real sockets on loopback."""

import gzip
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

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

PUBLIC_V4 = "93.184.215.14"
PUBLIC_V6 = "2606:4700::1111"
INSIDE = (
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0x7f.1",
    "0177.0.0.1",
    "017700000001",
    "127.0.0.01",
    "0",
    "0.0.0.0",  # noqa: S104  # an address to refuse
    "00.0.0.0",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "localhost.localdomain",
    "10.0.0.1",
    "10.1",
    "167772161",
    "172.16.0.1",
    "192.168.0.1",
    "192.168.257",
    "100.64.0.1",
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "169.254.43518",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "224.0.0.1",
    "255.255.255.255",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:169.254.169.254]",
    "[::127.0.0.1]",
    "[::7f00:1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::169.254.169.254]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::]",
    "[2001:0:4136:e378:8000:63bf:80ff:fffe]",
    "[fe80::1]",
    "[fec0::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "①②⑦.⓪.⓪.①",
    "\uff11\uff12\uff17.\uff10.\uff10.\uff11",
    "127。0。0。1",
    "ⓛocalhost",
)
NO_URLS = (
    "",
    "hook",
    "//93.184.215.14/",
    "file:///etc/passwd",
    "gopher://93.184.215.14/",
    "ftp://93.184.215.14/",
    "javascript:alert(1)",
    "http:93.184.215.14",
    "http://",
    "http:///hook",
    "http://:80/",
    "http://user@93.184.215.14/",
    "http://user:word@93.184.215.14/",
    "http://@93.184.215.14/",
    "http://93.184.215.14/#there",
    "http://93.184.215.14/#",
    "http://93.184.215.14\\@127.0.0.1/",
    "http://93.184.215.14/\r\nX-Evil: 1",
    "http://93.184.215.14/a b",
    "http://93.184.215.14/\x00",
    " http://93.184.215.14/",
    "http://93.184.215.14\t/",
    "http://93.184.215.14/ü",
    "http://93.184.215.14:0/",
    "http://93.184.215.14:22/",
    "http://93.184.215.14:25/",
    "http://93.184.215.14:65536/",
    "http://93.184.215.14:port/",
    "http://93.184.215.14:-1/",
    "http://%31%32%37.0.0.1/",
    "http://exa$mple/",
    "http://[::1/",
    "http://[fe80::1%25lo]/",
    "http://[93.184.215.14]/",
    "http://a..b/",
    f"http://{'a' * 64}.example/",
    f"http://93.184.215.14/{'a' * 2048}",
)

LookUp = Callable[..., Any]


@pytest.fixture
def strict() -> Notifier:
    return HttpNotifier(allow_private=False)


@pytest.fixture
def notifier() -> Notifier:
    return HttpNotifier(allow_private=True, deadline_seconds=5)


@pytest.fixture
def hasty() -> Notifier:
    return HttpNotifier(allow_private=True, deadline_seconds=0.4)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with a_receiver() as made:
        yield made


class Resolver:
    """Answers look-ups from a list, one answer a time, the last for ever; counts them."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        self.asked.append(host)
        found = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
            if ":" in address
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in found
        ]


@pytest.fixture
def connects(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Where connections went; none leaves this host."""
    tried: list[Any] = []

    def connect(self: socket.socket, address: Any) -> None:
        del self
        tried.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    return tried


@pytest.mark.parametrize("host", INSIDE)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_spelling_of_an_inner_address_is_registered_or_called(
    strict: Notifier, connects: list[Any], host: str, scheme: str
) -> None:
    url = f"{scheme}://{host}/hook"

    assert strict.refuse(url) is not None
    assert strict.send(url, b"{}", {}).error in {"private_address", "unresolved", "bad_url"}
    assert connects == []


@pytest.mark.parametrize("url", NO_URLS)
def test_what_is_no_plain_url_is_refused_with_or_without_leave(
    strict: Notifier, connects: list[Any], url: str
) -> None:
    lenient = HttpNotifier(allow_private=True)
    is_about_ports = url in {"http://93.184.215.14:22/", "http://93.184.215.14:25/"}

    assert strict.refuse(url) is not None
    assert (lenient.refuse(url) is None) == is_about_ports
    assert strict.send(url, b"{}", {}).status is None
    assert connects == []


@pytest.mark.parametrize(
    "url",
    [
        f"http://{PUBLIC_V4}",
        f"https://{PUBLIC_V4}:443/hook?a=b&c=%20",
        f"HTTPS://{PUBLIC_V4}:8443/",
        f"http://{PUBLIC_V4}:1024/",
        f"http://[{PUBLIC_V6}]:3000/",
        f"http://{PUBLIC_V4}/{'a' * 2000}",
    ],
)
def test_a_plain_url_of_a_public_address_is_fine(strict: Notifier, url: str) -> None:
    assert strict.refuse(url) is None


def test_a_name_with_one_inner_address_among_public_ones_is_refused(
    strict: Notifier, connects: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Resolver([PUBLIC_V4, PUBLIC_V6, "10.0.0.7"]))

    assert strict.refuse("https://example.com/") is not None
    assert strict.send("https://example.com/", b"{}", {}).error == "private_address"
    assert connects == []


def test_refusals_do_not_tell_an_inner_name_from_an_unknown_one(
    strict: Notifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = strict.refuse("https://does-not-exist.invalid/")
    monkeypatch.setattr(socket, "getaddrinfo", Resolver(["10.0.0.7"]))

    assert strict.refuse("https://intranet.example/") == unknown


def test_a_name_that_turns_inward_after_its_registration_is_not_called(
    strict: Notifier, connects: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Resolver([PUBLIC_V4], ["127.0.0.1"]))

    assert strict.refuse("http://example.com/") is None
    assert strict.send("http://example.com/", b"{}", {}).error == "private_address"
    assert connects == []


def test_the_address_that_was_checked_is_the_one_that_is_called(
    strict: Notifier, connects: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = Resolver([PUBLIC_V6, PUBLIC_V4], ["127.0.0.1"])
    monkeypatch.setattr(socket, "getaddrinfo", resolver)

    sent = strict.send("https://example.com/", b"{}", {})

    assert sent == Answer(None, "refused", None)
    assert resolver.asked == ["example.com"]
    assert connects == [PUBLIC_V6, PUBLIC_V4]


def test_a_resolver_that_hangs_does_not_hold_us(
    hasty: Notifier, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(*_: Any, **__: Any) -> list[Any]:
        receiver.stopping.wait()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    began = time.monotonic()

    assert hasty.send("http://example.com/", b"{}", {}).error == "timeout"
    assert time.monotonic() - began < 2


def test_the_next_address_is_tried_when_one_does_not_answer(
    notifier: Notifier, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Resolver(["127.0.0.2", "127.0.0.1"]))

    assert notifier.send(receiver.url(host="receiver.example"), b"{}", {}).status == 204


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
