"""How much of a drill is run, and from which seed: `./run drills` runs all of it."""

import random

import pytest

SEEDS = 2**32


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
