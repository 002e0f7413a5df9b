"""What the server says to what never becomes a request, and what it notes of it."""

import json
import logging

import pytest
from gunicorn.http import errors

from web.server.refusals import refusal


@pytest.mark.parametrize(
    "error",
    [
        errors.InvalidRequestLine("secret"),
        errors.InvalidHeader("secret"),
        errors.InvalidHTTPVersion("secret"),
        errors.LimitRequestLine("secret"),
        errors.ExpectationFailed("secret"),
        errors.UnsupportedTransferCoding("secret"),
        errors.ChunkMissingTerminator(b"secret"),
        errors.InvalidSchemeHeaders(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_refusal_is_one_line_in_the_log_and_repeats_nothing(
    caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    head, _, body = refusal(error).decode("ascii").partition("\r\n\r\n")

    problem = json.loads(body)
    (line,) = caplog.records
    noted = vars(line)
    assert (line.getMessage(), line.levelno) == ("request_refused", logging.WARNING)
    assert (noted["status"], noted["code"]) == (problem["status"], problem["type"])
    assert f"X-Request-ID: {noted['request_id']}\r\n" in head + "\r\n"
    assert problem["request_id"] == noted["request_id"]
    assert f"Content-Length: {len(body)}\r\n" in head
    assert "secret" not in head + body + str(noted)


@pytest.mark.parametrize(
    "error", [RuntimeError("secret"), errors.InvalidResponseHeader("secret")], ids=str
)
def test_a_fault_of_ours_is_told_with_its_trace(
    caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    answer = refusal(error)

    (line,) = caplog.records
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"secret" not in answer
    assert (line.getMessage(), line.levelno) == ("request_failed", logging.ERROR)
    assert line.exc_info is not None
    assert line.exc_info[1] is error


def test_every_refusal_differs_in_its_id() -> None:
    assert refusal(RuntimeError()) != refusal(RuntimeError())
