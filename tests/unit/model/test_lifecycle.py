"""The tables of states: where an event starts, where it leads, and what has no way out."""

import pytest

from shared.errors import IllegalTransition
from shared.model import lifecycle
from shared.model.lifecycle import (
    FINAL_JOBS,
    FINAL_UPLOADS,
    JOBS,
    UPLOADS,
    Event,
    JobState,
    UploadState,
    job_change,
    upload_change,
)

# What the state of an upload says of its job's, once it has one.
PAIRS = {
    UploadState.SEALED: JobState.QUEUED,
    UploadState.PROCESSING: JobState.RUNNING,
    UploadState.READY: JobState.SUCCEEDED,
    UploadState.REJECTED: JobState.REJECTED,
    UploadState.FAILED: JobState.FAILED,
    UploadState.CANCELLED: JobState.CANCELLED,
}


@pytest.mark.parametrize("table", [UPLOADS, JOBS])
def test_every_event_leads_to_one_state(table: dict[tuple[object, Event], object]) -> None:
    for event in {event for _, event in table}:
        assert len({target for (_, known), target in table.items() if known is event}) == 1


def test_every_event_of_the_tables_has_a_change() -> None:
    for table, change in ((UPLOADS, upload_change), (JOBS, job_change)):
        for event in {event for _, event in table}:
            sources, target = change(event)
            assert {(source, target) for source in sources} == {
                (state, to) for (state, known), to in table.items() if known is event
            }


def test_an_event_that_nothing_knows_is_illegal() -> None:
    for event in (Event.SEAL, Event.EXPIRE, Event.JOIN):
        with pytest.raises(IllegalTransition):
            job_change(event)


def test_only_what_failed_or_had_written_over_a_file_has_a_way_out_of_its_end() -> None:
    exits = [(state, event) for state, event in (*UPLOADS, *JOBS)]
    left = {
        (state, event) for state, event in exits if state in FINAL_UPLOADS or state in FINAL_JOBS
    }

    ways = (Event.RETRY, Event.RECOVER)
    failed = (UploadState.FAILED, JobState.FAILED)
    cancelled = (UploadState.CANCELLED, JobState.CANCELLED)
    assert left == {
        *((state, event) for state in failed for event in ways),
        *((state, Event.RECOVER) for state in cancelled),
    }


def test_everything_is_reached_and_everything_ends() -> None:
    for table, start, final in (
        (UPLOADS, UploadState.RECEIVING, FINAL_UPLOADS),
        (JOBS, JobState.QUEUED, FINAL_JOBS),
    ):
        reached = reachable(table, start)
        assert reached == set(type(start))
        for state in reached - final:
            assert reachable(table, state) & final


def test_an_upload_and_its_job_move_together() -> None:
    for event in Event:
        if event in {Event.SEAL, Event.EXPIRE, Event.JOIN}:
            continue
        sources, target = upload_change(event)
        job_sources, job_target = job_change(event)
        paired = {PAIRS[source] for source in sources if source in PAIRS}
        assert paired == set(job_sources)
        assert PAIRS[target] is job_target


def test_only_receiving_uploads_have_no_job() -> None:
    without = set(UploadState) - set(PAIRS)

    assert without == {UploadState.RECEIVING, UploadState.EXPIRED, UploadState.JOINED}
    assert lifecycle.upload_change(Event.SEAL) == (
        frozenset({UploadState.RECEIVING}),
        UploadState.SEALED,
    )


def reachable(table: object, start: object) -> set[object]:
    assert isinstance(table, dict)
    seen: set[object] = set()
    ahead = [start]
    while ahead:
        state = ahead.pop()
        if state not in seen:
            seen.add(state)
            ahead += [target for (source, _), target in table.items() if source is state]
    return seen
