"""What the supervisor promises of the processes it keeps, with shell scripts in their place."""

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.crews import SpokenCrew, a_part
from tests.support.waiting import eventually
from tools.crew import Broken, StopRequested
from tools.running import Guard

LIVES = "exec sleep 60"
SAYS_WHEN_STOPPED = "trap 'echo {0} >> stopped; exit' TERM; while :; do sleep 0.05; done"


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[SpokenCrew]:
    guard = Guard(patience_seconds=0.5)
    crew = SpokenCrew(tmp_path, guard)
    yield crew
    crew.hurrying.set()
    crew.stop()
    guard.dismiss()


def test_a_part_that_dies_is_named_and_started_again(crew: SpokenCrew, tmp_path: Path) -> None:
    dies_once = a_part("web", f"test -e died && {LIVES}; sleep 0.4; touch died; exit 3")
    crew.start([(dies_once,)])
    watching = threading.Timer(1.5, crew.stopping.set)

    watching.start()
    crew.watch()

    assert "web died (exit code 3); starting it again in 0.1 s" in crew.said()
    assert crew.said().count("web ready") == 2
    assert (tmp_path / "died").exists()


def test_one_that_keeps_dying_is_given_up_with_its_last_lines(
    crew: SpokenCrew, tmp_path: Path
) -> None:
    script = "date +%s.%N >> starts; echo no such setting; exit 1"
    broken = a_part("web", script, ready=lambda: False)

    with pytest.raises(Broken, match="web keeps dying") as caught:
        crew.start([(broken,)])

    starts = [float(line) for line in (tmp_path / "starts").read_text().split()]
    pauses = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert caught.value.lines == ("no such setting",)
    assert len(pauses) == 3
    assert pauses == sorted(pauses)
    assert pauses[0] >= 0.1
    assert pauses[2] >= 0.4


def test_a_part_that_never_gets_ready_ends_the_start(crew: SpokenCrew) -> None:
    script = f"echo listening on nothing; {LIVES}"
    deaf = a_part("web", script, ready=lambda: False, ready_within_seconds=1)

    with pytest.raises(Broken, match="web was not ready within 1 s") as caught:
        crew.start([(deaf,)])

    assert caught.value.lines == ("listening on nothing",)


def test_a_stage_begins_when_the_one_before_is_ready(crew: SpokenCrew, tmp_path: Path) -> None:
    store = a_part("store", f"sleep 0.3; touch up; {LIVES}", ready=(tmp_path / "up").exists)
    user = a_part("user", f"test -e up && {LIVES}; exit 1")

    crew.start([(store,), (user,)])

    assert "died" not in crew.said()


def test_parts_stop_in_reverse_order(crew: SpokenCrew, tmp_path: Path) -> None:
    names = ["store", "web", "worker"]
    parts = [a_part(name, SAYS_WHEN_STOPPED.format(name)) for name in names]
    crew.start([(part,) for part in parts])

    crew.stop()

    assert (tmp_path / "stopped").read_text().split() == names[::-1]


def test_a_part_that_does_not_stop_is_killed(crew: SpokenCrew) -> None:
    stubborn = a_part("web", "trap '' TERM; while :; do sleep 0.05; done", stops_within_seconds=0.3)
    crew.start([(stubborn,)])

    crew.stop()

    assert "killing web, it did not stop" in crew.said()


def test_orphans_of_a_dead_part_end_with_it(crew: SpokenCrew, tmp_path: Path) -> None:
    leaves_a_child = a_part("worker", f"sh -c 'trap \"\" TERM; echo $$ > child; {LIVES}' & {LIVES}")
    crew.start([(leaves_a_child,)])
    child = int(eventually((tmp_path / "child").read_text))

    crew.stop()

    assert eventually(lambda: is_gone(child))


def test_a_failing_preparation_ends_the_start(crew: SpokenCrew) -> None:
    migrate = a_part("migrate", "echo no such table; exit 2", once=True)

    with pytest.raises(Broken, match=r"migrate failed \(exit code 2\)") as caught:
        crew.start([(migrate,)])

    assert caught.value.lines == ("no such table",)


def test_an_optional_preparation_may_fail(crew: SpokenCrew) -> None:
    crew.start([(a_part("sync", "exit 2", once=True, optional=True),)])

    assert "sync failed (exit code 2); going on without" in crew.said()


def test_a_stop_during_the_start_is_heard(crew: SpokenCrew) -> None:
    threading.Timer(0.3, crew.stopping.set).start()

    with pytest.raises(StopRequested):
        crew.start([(a_part("web", LIVES, ready=lambda: False),)])


def is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"
