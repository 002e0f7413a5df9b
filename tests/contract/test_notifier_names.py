"""Names that a notifier looks up: once, and what was checked is what is called."""

import socket
import time
from typing import Any

import pytest

from shared.ports import Answer, Notifier
from tests.support.receiver import Receiver

PUBLIC_V4 = "93.184.215.14"
PUBLIC_V6 = "2606:4700::1111"


class Resolver:
    """Answers look-ups from a list, one answer a time, the last for ever; counts them.

    Those of names that only these tests have: others of the session look up their own meanwhile.
    """

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)
        self._really = socket.getaddrinfo
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, *said: Any, **named: Any) -> list[Any]:
        if "example" not in host:
            return list(self._really(host, port, *said, **named))
        self.asked.append(host)
        found = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
            if ":" in address
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in found
        ]


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
