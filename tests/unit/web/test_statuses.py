"""What errors of the services are answered with: never with a fault of ours, whatever they are."""

from http import HTTPStatus

import pytest
from flask import Flask

from shared import errors
from shared.errors import AppError, Damaged, Interrupted
from web.errors import register

KINDS = [
    each
    for each in vars(errors).values()
    if isinstance(each, type) and issubclass(each, AppError) and each is not AppError
]


def answered(error: AppError) -> tuple[int, str | None]:
    app = Flask(__name__)
    register(app)

    @app.get("/")
    def refuse() -> str:
        raise error

    answer = app.test_client().get("/")
    return answer.status_code, answer.headers.get("Retry-After")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_has_a_status_that_is_no_fault_of_ours(kind: type[AppError]) -> None:
    error = kind.__new__(kind)
    AppError.__init__(error, "told")

    status, _ = answered(error)

    assert status != HTTPStatus.INTERNAL_SERVER_ERROR


def test_damage_is_not_to_be_asked_for_again_and_an_interruption_is() -> None:
    assert answered(Damaged("told")) == (502, None)
    assert answered(Interrupted("decoder", "told")) == (503, "5")
