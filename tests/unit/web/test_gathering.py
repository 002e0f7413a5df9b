"""When a request has arrived, however it is cut into pieces."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.server.gathering import MOST_HEAD, SMALL_BODY, Gathering

HEAD = b"POST /x HTTP/1.1\r\nHost: x\r\n"


def test_a_head_is_whole_at_its_empty_line() -> None:
    assert not gathered(HEAD).is_whole
    assert not gathered(HEAD + b"\r").is_whole
    assert gathered(HEAD + b"\r\n").is_whole


@pytest.mark.parametrize(
    "name", [b"Content-Length: 5", b"content-length:5", b"CONTENT-LENGTH:\t5 "]
)
def test_a_small_body_belongs_to_it(name: bytes) -> None:
    head = HEAD + name + b"\r\n\r\n"

    assert not gathered(head + b"1234").is_whole
    assert gathered(head + b"1234").has_head
    assert gathered(head + b"12345").is_whole


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: %d" % (SMALL_BODY + 1),
        b"Content-Length: 99999999999999999999",
        b"Content-Length: -5",
        b"Content-Length: 5\r\nContent-Length: 6",
        b"Content-Length: \xb2",
        b"Content-Length: 5\r\nExpect: 100-continue",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked",
    ],
)
def test_no_other_body_is_waited_for(lines: bytes) -> None:
    assert gathered(HEAD + lines + b"\r\n\r\n").is_whole


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\n", b"\n", HEAD + b"X: y\n\r\n", b"\x00\n"])
def test_a_line_that_ends_wrongly_is_left_to_the_parser(said: bytes) -> None:
    assert gathered(said).is_whole


@pytest.mark.parametrize(
    "pieces", [[b"\r\n" + HEAD], [b"\r\n\r\n", HEAD], [b"\r", b"\n\r", b"\n" + HEAD]]
)
def test_empty_lines_before_it_are_no_part_of_it(pieces: list[bytes]) -> None:
    assert not gathered(*pieces).is_whole
    assert gathered(*pieces, b"\r\n").is_whole
    assert gathered(*pieces, b"\r\n").take() == HEAD + b"\r\n"


def test_a_head_may_not_be_endless() -> None:
    assert not gathered(HEAD + b"x" * (MOST_HEAD - len(HEAD))).is_too_large
    assert gathered(HEAD + b"x" * MOST_HEAD).is_too_large
    assert not gathered(HEAD + b"\r\n" + b"x" * MOST_HEAD).is_too_large


def test_what_is_taken_is_gone() -> None:
    request = gathered(HEAD + b"\r\nmore")

    assert request.take() == HEAD + b"\r\nmore"
    assert (len(request), request.has_head, request.is_whole) == (0, False, False)


@given(st.lists(st.integers(min_value=0, max_value=60)), st.integers(min_value=0, max_value=20))
def test_pieces_make_no_difference(cuts: list[int], length: int) -> None:
    whole = HEAD + b"Content-Length: %d\r\n\r\n" % length + b"\n" * length
    edges = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    request = Gathering()

    for start, stop in pairwise(edges):
        assert request.is_whole == (start == len(whole))
        request.add(whole[start:stop])

    assert request.is_whole
    assert request.take() == whole


def gathered(*said: bytes) -> Gathering:
    request = Gathering()
    for piece in said:
        request.add(piece)
    return request
