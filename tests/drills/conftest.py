"""How much of a drill is run, and from which seed: `./run drills` runs all of it."""

import random

import pytest

SEEDS = 2**32
_SHARE = 2
_FEW = 8  # that many were asked for by name


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of the proofs that drills notice what they are for, the suite runs some, others each time."""
    teeth = [each for each in items if each.get_closest_marker("teeth")]
    if config.getoption("--long") or len(teeth) < _FEW:
        return
    drawn = random.Random(config.getoption("randomly_seed"))  # noqa: S311  # two processes draw the same
    teeth.sort(key=lambda each: each.nodeid)
    left = set(drawn.sample(teeth, len(teeth) - len(teeth) // _SHARE))
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
