"""A token that must open nothing opens nothing on any path of any predecessor."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.books import Books
from tests.support.api import Api
from tests.support.forgeries import FORGED, Forge
from tests.support.stack import Stack
from tests.support.workshop import an_app
from web.dialects.predecessors import SHAPES

OPEN: Final = {"/api/v1/upload/health"}
_METHODS: Final = {"GET", "POST", "PUT", "PATCH", "DELETE"}


def routes(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the methods and paths of all predecessors, with a value for each of their places."""
    for rule in an_app(folder).url_map.iter_rules():
        if rule.rule in OPEN or not any(rule.rule.startswith(f"{each}/") for each in SHAPES):
            continue
        values = dict.fromkeys(rule.arguments, 1)
        _, path = rule.build(values) or ("", rule.rule)
        for method in sorted((rule.methods or set()) & _METHODS):
            yield method, path


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED.keys())
def test_a_forged_token_opens_no_path_of_any_predecessor(
    stack: Stack, tmp_path: Path, books: Books, forge: Forge
) -> None:
    token = forge(stack)
    asked = list(routes(tmp_path))

    with books.unchanged(), Api(stack.base_url, token, sub="mallory", tenant="default") as nobody:
        answers = {(method, path): nobody.request(method, path, json={}) for method, path in asked}

    assert {prefix for prefix in SHAPES if any(path.startswith(prefix) for _, path in asked)} == {
        *SHAPES
    }
    assert {route: answer.status_code for route, answer in answers.items()} == dict.fromkeys(
        asked, 401
    )
    for (_, path), answer in answers.items():
        assert answer.headers["WWW-Authenticate"] == "Bearer", path
        assert answer.headers["Content-Type"] == "application/json", path  # the dialect's own shape
