"""How much of a drill is run, and from which seed: `./run drills` runs all of it."""

import random

import pytest

SEEDS = 2**32
_SHARE, _SHARE_OF_WHOLE = 4, 7  # the second of those that start a copy
_FEW = 8  # that many were asked for by name


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of the proofs that drills notice what they are for, the suite runs some, others each time."""
    marked = [(each, each.get_closest_marker("teeth")) for each in items]
    teeth = [(each, "is_whole" in marker.kwargs) for each, marker in marked if marker is not None]
    if config.getoption("--long") or len(teeth) < _FEW:
        return
    random.SystemRandom().shuffle(teeth)
    whole = [each for each, is_whole in teeth if is_whole]
    others = [each for each, is_whole in teeth if not is_whole]
    left = {*whole[len(whole) // _SHARE_OF_WHOLE :], *others[len(others) // _SHARE :]}
    config.hook.pytest_deselected(items=list(left))
    items[:] = [each for each in items if each not in left]


@pytest.fixture(scope="session")
def is_long(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--long"))


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """What everything that a drill draws is drawn from; shown with a failure and with `-s`."""
    return _drawn(request)


@pytest.fixture(scope="module")
def shared_seed(request: pytest.FixtureRequest) -> int:
    """The seed of a stack that the drills of a module share."""
    return _drawn(request)


def _drawn(request: pytest.FixtureRequest) -> int:
    said = request.config.getoption("--seed")
    drawn = random.SystemRandom().randrange(SEEDS) if said is None else int(said)
    print(f"\n{request.node.name}: replay with --seed {drawn}")
    return drawn
