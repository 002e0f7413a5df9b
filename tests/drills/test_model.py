"""The real services against a small model of what must be true, whatever happens (D15)."""

import time
from dataclasses import replace

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase
from hypothesis.stateful import run_state_machine_as_test

from tests.drills.breakage import with_sabotage
from tests.drills.ground import a_folder, a_ground
from tests.drills.machine import Uploads
from tests.support.factory import UPLOADS

RULES = replace(UPLOADS, allow_empty=False)
_LEAST_STEPS, _STEPS = 20, 50
_SHORT_EXAMPLES, _LONG_EXAMPLES = 25, 1500
_FINDS_SOON = 9  # a seed


@pytest.mark.timeout(7200)
def test_whatever_happens_the_services_agree_with_the_model(seed: int, *, is_long: bool) -> None:
    examples, began = _LONG_EXAMPLES if is_long else _SHORT_EXAMPLES, time.monotonic()
    agree(seed, examples)

    print(f"{examples} times up to {_STEPS} steps in {time.monotonic() - began:.0f} s")


@pytest.mark.parametrize(
    "sabotage",
    [
        "attempts-not-counted",
        "cut-bodies-taken",
        "no-reconciler",
        "room-not-released",
        "rows-not-asked",
    ],
)
@pytest.mark.teeth
def test_without_its_defence_the_model_disagrees(sabotage: str) -> None:
    noticed = with_sabotage(sabotage, lambda: agree(_FINDS_SOON, _LONG_EXAMPLES, shrinks=False))

    print(f"{sabotage}: {noticed}")
    assert noticed is not None


def agree(seed: int, examples: int, *, shrinks: bool = True) -> None:
    """Run the machine from the seed; what fails is made as short as it can be, and printed."""

    class Seeded(Uploads):
        pass

    phases = {Phase.generate, Phase.shrink} if shrinks else {Phase.generate}
    chosen = hypothesis.settings(
        max_examples=examples,
        stateful_step_count=_STEPS,
        deadline=None,
        database=None,
        phases=phases,
        suppress_health_check=list(HealthCheck),
    )
    machine = hypothesis.seed(seed)(Seeded)
    with a_folder() as folder, a_ground(folder, uploads=RULES) as Seeded.ground:
        run_state_machine_as_test(machine, settings=chosen, _min_steps=_LEAST_STEPS)
