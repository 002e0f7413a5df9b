"""A token that must open nothing opens nothing on any path of any predecessor."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.e2e.books import Books
from tests.support.api import Api
from tests.support.forgeries import FORGED
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


def test_no_forged_token_opens_any_path_of_any_predecessor(
    stack: Stack, tmp_path: Path, books: Books
) -> None:
    asked = list(routes(tmp_path))
    assert {each for each in SHAPES if any(path.startswith(each) for _, path in asked)} == {*SHAPES}

    with books.unchanged():
        for name, forge in FORGED.items():
            with Api(stack.base_url, forge(stack), sub="mallory", tenant="default") as nobody:
                for method, path in asked:
                    answer = nobody.request(method, path, json={})
                    told = (name, method, path, answer.text[:200])
                    assert answer.status_code == 401, told
                    assert answer.headers["WWW-Authenticate"] == "Bearer", told
                    # The dialect's own shape: ours is another type.
                    assert answer.headers["Content-Type"] == "application/json", told
