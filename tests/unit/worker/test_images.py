import json
import signal
from typing import Any

import pytest

from shared.errors import AppError, Rejected
from shared.model.thumbnail import ThumbnailSpec
from worker.images import Picture, _cause_of_death, _read, supports

SPECS = (ThumbnailSpec("small", 150), ThumbnailSpec("large", 1024))
A_WEBP = b"RIFF\4\0\0\0WEBP"


def an_answer(verdict: Any = None, bodies: bytes = A_WEBP * 2) -> bytes:
    sizes = [[3, 2, len(A_WEBP)], [6, 4, len(A_WEBP)]]
    good = {"width": 6, "height": 4, "thumbnails": sizes}
    return json.dumps(good if verdict is None else verdict).encode() + b"\n" + bodies


def test_an_answer_gives_each_spec_its_picture() -> None:
    decoded = _read(an_answer(), SPECS)

    assert (decoded.width, decoded.height) == (6, 4)
    assert decoded.thumbnails == (Picture("small", 3, 2, A_WEBP), Picture("large", 6, 4, A_WEBP))


def test_a_refusal_carries_its_facts_and_keeps_its_reason_for_the_log() -> None:
    facts = {"width": 9, "height": 9, "pixels_limit": 80}
    verdict = {"refused": "image_too_large", "reason": "<script>", "facts": facts}

    with pytest.raises(Rejected) as refused:
        _read(an_answer(verdict, b""), SPECS)

    assert (refused.value.code, refused.value.facts) == ("image_too_large", facts)
    assert "<script>" not in str(refused.value)
    assert "<script>" in repr(refused.value.__cause__)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\xff\n",
        b"[" * 100_000,
        b"7\n",
        b'"refused"\n',
        an_answer({}),
        an_answer(bodies=A_WEBP),
        an_answer(bodies=A_WEBP * 2 + b"more"),
        an_answer(bodies=A_WEBP + b"<html>______"),
        an_answer({"width": 6, "height": 4, "thumbnails": []}),
        an_answer({"width": 6, "height": 4, "thumbnails": [[3, 2, -5], [6, 4, 29]]}),
        an_answer({"width": "6", "height": 4, "thumbnails": [[3, 2, 12], [6, 4, 12]]}),
        an_answer({"width": 1e999, "height": 4, "thumbnails": [[3, 2, 12], [6, 4, 12]]}),
        an_answer({"refused": "because"}),
        an_answer({"refused": ["image_broken"]}),
        an_answer({"refused": "image_broken", "facts": [1]}),
        an_answer({"refused": "image_broken", "facts": {"code": 1}}),
        an_answer({"refused": "image_broken", "facts": {"secret": "text"}}),
    ],
)
def test_nonsense_from_a_child_that_was_taken_over_is_a_broken_image(answer: bytes) -> None:
    with pytest.raises(Rejected) as refused:
        _read(answer, SPECS)

    assert (refused.value.code, refused.value.facts) == ("image_broken", {})


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (-signal.SIGXCPU, "image_timeout"),
        (-signal.SIGKILL, "decoder_interrupted"),
        (-signal.SIGSEGV, "image_broken"),
        (-signal.SIGABRT, "image_broken"),
        (-signal.SIGBUS, "decoder_interrupted"),
        (-signal.SIGXFSZ, "image_broken"),
        (-signal.SIGTERM, "decoder_unavailable"),
        (-signal.SIGQUIT, "decoder_unavailable"),
        (1, "decoder_unavailable"),
        (127, "decoder_unavailable"),
    ],
)
def test_every_way_to_die_has_somebody_at_fault(status: int, code: str) -> None:
    cause: AppError = _cause_of_death(status)

    assert cause.code == code
    assert cause.retryable == (code == "decoder_unavailable")


def test_a_type_that_cannot_be_decoded_is_not_supported() -> None:
    assert supports("image/jpeg")
    assert not supports("image/heic")
    assert not supports("image/svg+xml")
    assert not supports("application/postscript")
