"""The auditor's own test: damages are planted among what is well, and all are found, nothing else.

In one process: what an auditor may not believe is rows and bytes, not processes.
"""

import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from shared.adapters.records_sql_leases import SqlLeaseRows
from shared.services.auditing import checks
from shared.services.auditing.findings import Kind
from shared.services.auditing.reading import Reading
from tests.support import servers
from tests.support.damages import DAMAGES, ODDITIES, every_state
from tests.support.factory import a_factory
from tests.support.grounds import DAY, Found, Grounds
from tests.support.straight import a_straight_store

# With a long queue of the broker nothing that is queued is forgotten: it hides one of the damages.
_ODD: Final = [plant for name, plant in ODDITIES.items() if name != "long_queue"]
_DELETING: Final = (
    *("object-orphans", "staging-orphans", "multiparts"),
    *("direct-leftovers", "deletions", "replacements"),
)
_LONG_AGO: Final = 20 * DAY  # older than whatever a sweep wants of an orphan


def test_every_damage_is_found_and_nothing_else(
    database_url: str, tmp_path: Path, seed: int, *, is_long: bool
) -> None:
    with a_factory(tmp_path, database_url, objects=a_straight_store(tmp_path)) as factory:
        grounds = Grounds(factory)
        every_state(grounds)
        clean = grounds.found()
        planted = plant_all(grounds, seed, copies=8 if is_long else 1)

        first = grounds.found()
        grounds.answer_the_bell()
        second = grounds.found()
        gone = gone_at_first_sight(grounds)

        print(f"{len(DAMAGES)} kinds of damage, {len(planted)} findings, {len(first)} found")
        assert clean == set()
        assert planted - first == set(), "missed"
        assert first - planted == set(), "false alarms"
        assert second == {each for each in planted if not each[2]}, "repairs hold, the rest stays"
        assert gone == set(), "nothing is deleted at first sight"


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Grounds, Found]]:
    """All damages in one place, which audits that only look leave as they are."""
    folder = tmp_path_factory.mktemp("planted")
    url = f"sqlite:///{folder / 'sluice.db'}"
    servers.make_tables(url)
    with a_factory(folder, url, objects=a_straight_store(folder)) as factory:
        grounds = Grounds(factory)
        every_state(grounds)
        yield grounds, plant_all(grounds, seed=0)


@pytest.mark.parametrize(
    "check", checks.CHECKS, ids=lambda check: f"{check.__module__}.{check.__name__}"
)
@pytest.mark.teeth
def test_with_one_check_off_the_drill_goes_red(
    planted: tuple[Grounds, Found], check: checks.Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    grounds, expected = planted
    others = tuple(each for each in checks.CHECKS if each is not check)
    monkeypatch.setattr(checks, "CHECKS", others)

    assert missed(grounds, expected) != set()


@pytest.mark.parametrize("verb", ["_read_file", "_read_chunk"])
@pytest.mark.teeth
def test_with_bytes_not_read_again_the_drill_goes_red(
    planted: tuple[Grounds, Found], verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    grounds, expected = planted

    def read_nothing(reading: Reading, thing: object) -> None:
        del reading, thing

    monkeypatch.setattr(Reading, verb, read_nothing)

    assert missed(grounds, expected) != set()


@pytest.mark.parametrize("kind", ["object", "staging", "multipart"])
@pytest.mark.teeth
def test_with_the_second_sighting_off_the_drill_goes_red(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch, sqlite_url: str
) -> None:
    for verb in ("seen", "sightings"):
        monkeypatch.setattr(SqlLeaseRows, verb, of_no_grace(verb, kind))
    with a_factory(tmp_path, sqlite_url, objects=a_straight_store(tmp_path)) as factory:
        grounds = Grounds(factory)
        plant_all(grounds, seed=0)

        assert gone_at_first_sight(grounds) != set()


def test_with_all_checks_on_it_is_green(planted: tuple[Grounds, Found]) -> None:
    grounds, expected = planted

    assert missed(grounds, expected) == set()


def plant_all(grounds: Grounds, seed: int, copies: int = 1) -> Found:
    """Plant every damage in an order of the seed's; return what there is to be found."""
    said = random.Random(seed)  # noqa: S311  # replayed from it
    plants = list(DAMAGES.values()) * copies
    said.shuffle(plants)
    for oddity in _ODD:
        oddity(grounds)
    return {finding for plant in plants for finding in plant(grounds)}


def missed(grounds: Grounds, expected: Found) -> set[tuple[Kind, str]]:
    found = {each[:2] for each in grounds.found(dry_run=True)}
    return {each[:2] for each in expected} - found


def gone_at_first_sight(grounds: Grounds) -> set[str]:
    """Let all that is stored be old, and sweep twice at once; return what has no row and is gone."""
    for folder in ("objects", "staging"):
        for path in (grounds.factory.folder / folder).rglob("*"):
            grounds.touch(path, _LONG_AGO)
    said, before = by_rows(grounds), grounds.stored()
    for name in _DELETING * 2:
        result = grounds.run(name)
        assert ("error" in result, result["failed"], result["capped"]) == (False, 0, False), name
    after = grounds.stored()
    parts = {str(each) for each in before["parts"]} - {str(each) for each in after["parts"]}
    files = {key for place in ("objects", "staged") for key in before[place].keys() - after[place]}
    return (files | parts) - said


def by_rows(grounds: Grounds) -> set[str]:
    """The keys that rows say have to go: nobody needs a second look at these."""
    meant = "SELECT key FROM objects WHERE state <> 'linked'"
    sent = "SELECT d.key FROM direct d JOIN uploads u ON u.id = upload_id WHERE state = 'cancelled'"
    found = [row for query in (meant, sent) for row in grounds.factory.query(query)]
    return {row["key"] for row in found}


def of_no_grace(verb: str, kind: str) -> Any:
    real = getattr(SqlLeaseRows, verb)

    def look(rows: SqlLeaseRows, *said: Any) -> Any:
        return real(rows, *(timedelta() if _is_of(said, kind, each) else each for each in said))

    return look


def _is_of(said: tuple[Any, ...], kind: str, each: object) -> bool:
    return said[0] == kind and isinstance(each, timedelta)
