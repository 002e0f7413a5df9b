"""Many at once: threads that start together, and processes."""

import threading
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import psycopg

Outcome = TypeVar("Outcome")


def at_once(works: Iterable[Callable[[], Outcome]]) -> list[Outcome]:
    """Run all works in threads that start at the same moment; return what they returned.

    The first exception that one of them raised is raised, once all have ended.
    """
    all_works = list(works)
    barrier = threading.Barrier(len(all_works))
    outcomes: list[Outcome] = []
    errors: list[BaseException] = []

    def run(work: Callable[[], Outcome]) -> None:
        barrier.wait()
        try:
            outcomes.append(work())
        except BaseException as error:  # noqa: BLE001  # raised below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in all_works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return outcomes


def waiting_for_locks(looking: psycopg.Connection[Any]) -> int:
    """Return how many in PostgreSQL wait for a lock that somebody else holds."""
    found = looking.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
    return 0 if found is None else int(found[0])
