"""A PostgreSQL in use is brought from release to release: nobody is failed, and what breaks off goes on."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, event, text

from shared.adapters.migrate import migrate
from shared.adapters.records_sql import SqlRecords
from shared.errors import Unavailable
from tests.contract.test_migrations import differences
from tests.support import servers
from tests.support.old_release import OldRelease, at_work
from tests.support.races import at_once
from tests.support.waiting import eventually

OLD = "0004"
NEWER = ("0005", "0006", "0007")
# Of a client, beside a migration: no lock is held or wanted for longer than some tenths of it.
LONGEST_SECONDS = 2.0
KEYED = {"pk_objects", "uq_files_key"}


def test_uploads_go_on_while_the_database_is_migrated(postgres_url: str) -> None:
    migrate(postgres_url, OLD)

    with at_work(postgres_url) as release:
        eventually(lambda: len(release.kept) > 20)
        migrate(postgres_url)
        done = len(release.kept)
        eventually(lambda: len(release.kept) > done + 20)

    assert differences(postgres_url) == []
    assert what_is_wrong(postgres_url, release) == []
    assert release.slowest < LONGEST_SECONDS
    assert release.refused == {}


def test_who_reads_for_long_keeps_the_migration_waiting_and_nobody_else(postgres_url: str) -> None:
    migrate(postgres_url, OLD)
    with psycopg.connect(postgres_url) as reader, at_work(postgres_url) as release:
        reader.execute("SELECT 1 FROM uploads, objects, files")
        with migrating(postgres_url) as starter:
            done = len(release.kept)
            eventually(lambda: len(release.kept) > done + 20)
            time_is_up = time.monotonic() + 1.5
            eventually(lambda: time.monotonic() > time_is_up)
            assert starter.poll() is None
            reader.rollback()
            assert starter.wait(30) == 0

    assert differences(postgres_url) == []
    assert what_is_wrong(postgres_url, release) == []
    assert release.slowest < LONGEST_SECONDS
    assert release.refused == {}


def test_a_migration_goes_on_wherever_it_was_broken_off(postgres_url: str) -> None:
    migrate(postgres_url, OLD)
    with at_work(postgres_url, clients=1) as release:
        eventually(lambda: release.kept)

    breaks = 0
    while breaks_off(postgres_url, after=breaks):
        breaks += 1

    assert breaks > 30
    assert differences(postgres_url) == []
    assert what_is_wrong(postgres_url, release) == []


def test_a_migration_that_was_killed_while_it_built_an_index_is_repeated(
    postgres_url: str,
) -> None:
    migrate(postgres_url, OLD)
    with psycopg.connect(postgres_url, autocommit=True) as looking:
        with psycopg.connect(postgres_url) as reader, migrating(postgres_url) as starter:
            # Who builds an index waits for whoever may yet read what was there before.
            reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            reader.execute("SELECT 1 FROM leases")
            eventually(lambda: count(looking, INVALID) == 1)
            os.kill(starter.pid, signal.SIGKILL)
            starter.wait()
            eventually(lambda: count(looking, BUILDING) == 0)
            assert count(looking, INVALID) == 1

        migrate(postgres_url)

        assert count(looking, INVALID) == 0
    assert differences(postgres_url) == []


def test_of_two_hosts_that_start_while_it_is_in_use_one_migrates(postgres_url: str) -> None:
    migrate(postgres_url, OLD)

    with at_work(postgres_url, clients=2) as release:
        at_once([partial(migrate, postgres_url)] * 2)

    assert differences(postgres_url) == []
    assert what_is_wrong(postgres_url, release) == []


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("revision", NEWER)
def test_a_database_of_any_release_since_comes_to_the_same_tables(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, revision: str
) -> None:
    url = f"sqlite:///{tmp_path / 'sluice.db'}"
    if kind == "postgresql":
        url = request.getfixturevalue("postgres_url")
    migrate(url, revision)
    with at_work(url, clients=1) as release:
        eventually(lambda: len(release.deleted) > 1)

    migrate(url)

    assert differences(url) == []
    assert what_is_wrong(url, release) == []


def test_a_statement_from_before_a_migration_is_refused_once_and_not_failed(
    postgres_url: str,
) -> None:
    servers.make_tables(postgres_url)
    records = SqlRecords(postgres_url, pool_size=1)

    def ask() -> None:
        with records.begin() as rows:
            rows.objects.known(["key"])

    for _ in range(10):  # psycopg prepares what it is asked for the sixth time
        ask()
    with psycopg.connect(postgres_url, autocommit=True) as altering:
        altering.execute('ALTER TABLE objects ALTER COLUMN key TYPE text COLLATE "default"')

    with pytest.raises(Unavailable):
        ask()
    ask()
    records.close()


INVALID = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"
BUILDING = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX%'"


def count(connection: psycopg.Connection[Any], question: str) -> int:
    found = connection.execute(question.encode()).fetchone()
    assert found is not None
    return int(found[0])


@contextmanager
def migrating(url: str) -> Iterator[subprocess.Popen[bytes]]:
    """Migrate in a process of its own, which may be killed."""
    program = "import sys; from shared.adapters.migrate import migrate; migrate(sys.argv[1])"
    with subprocess.Popen([sys.executable, "-c", program, url]) as starter:
        try:
            yield starter
        finally:
            with suppress(ProcessLookupError):
                starter.kill()


class BrokenOff(Exception):
    """Nobody expects it."""


def breaks_off(url: str, *, after: int) -> bool:
    """Migrate for so many statements; say whether there was more to do."""
    done = 0

    def counted(*said: object) -> None:
        nonlocal done
        del said
        done += 1
        if done > after:
            raise BrokenOff

    event.listen(Engine, "before_cursor_execute", counted)
    try:
        migrate(url)
    except BrokenOff:
        return True
    finally:
        event.remove(Engine, "before_cursor_execute", counted)
    return False


def what_is_wrong(url: str, release: OldRelease) -> list[str]:
    """Hold the rows against what the clients of the old release were answered."""
    records = SqlRecords(url)

    def rows(question: str) -> list[Any]:
        with records._engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(question))]

    said = {
        "files": (rows("SELECT id FROM files ORDER BY id"), [(e,) for e in sorted(release.kept)]),
        "objects": (
            rows("SELECT upload_id, state, successor FROM objects ORDER BY 1"),
            [(each, "linked", None) for each in sorted(release.kept)],
        ),
        "uploads": (
            rows("SELECT state, transfer, replaces, count(*) FROM uploads GROUP BY 1, 2, 3"),
            [("ready", "chunked", None, len(release.kept) + len(release.deleted))],
        ),
        "quotas": (
            rows("SELECT used, reserved, last_number FROM quotas"),
            [(7 * len(release.kept), 0, len(release.kept) + len(release.deleted))],
        ),
        "chunks": (rows("SELECT * FROM chunks"), []),
    }
    if records._engine.dialect.name == "postgresql":
        said["invalid indexes"] = (rows(INVALID), [(0,)])
        kept = rows("SELECT conname FROM pg_constraint WHERE contype IN ('u', 'p')")
        said["constraints"] = (sorted(KEYED & {each for (each,) in kept}), sorted(KEYED))
        deadlocks = rows(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        )
        said["deadlocks"] = (deadlocks, [(0,)])
    records.close()
    return [f"{name}: {is_so}" for name, (is_so, wanted) in said.items() if is_so != wanted]
