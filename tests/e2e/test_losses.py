"""What dies is not missed for long: workers, the broker with all it knew, the supervisor itself."""

import hashlib
import os
import shutil
from collections.abc import Iterator

import psutil
import pytest

from tests.support.api import Api, answered, refused
from tests.support.quick import a_quick_stack
from tests.support.samples_video import mp4
from tests.support.stack import Stack, a_stack
from tests.support.waiting import eventually

MIB = 1024**2


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A copy of its own, in a hurry."""
    with a_stack(
        LEASE_SECONDS="4", HEARTBEAT_SECONDS="1", RECONCILE_SECONDS="1", REDISPATCH_SECONDS="3"
    ) as running:
        yield running


@pytest.fixture
def alice(stack: Stack) -> Iterator[Api]:
    with Api(stack.base_url, stack.token("alice", ttl="1h")) as api:
        yield api


def test_a_job_whose_worker_is_killed_ends_once(stack: Stack, alice: Api) -> None:
    film = a_film(96 * MIB)
    job = sent(alice, film)
    in_the_middle(alice, job)

    kill(stack.process("worker"))
    ended = alice.ended(job, 60)

    assert (ended["state"], ended["attempt"]) == ("succeeded", 2)
    assert digest_of(alice, ended["file_id"]) == hashlib.sha256(film).hexdigest()
    listed = answered(alice.get("/api/v1/files?q=film"), 200)["items"]
    assert [each["id"] for each in listed].count(ended["file_id"]) == 1
    assert objects_of(stack, ended["file_id"]) == [ended["file"]["s3_key"]]


def test_a_broker_that_forgets_everything_costs_seconds(stack: Stack, alice: Api) -> None:
    before = sent(alice, a_film(96 * MIB))
    in_the_middle(alice, before)

    kill(stack.process("valkey"))
    shutil.rmtree(stack.data_dir / "valkey", ignore_errors=True)
    without = sent(alice, b"accepted while nobody could be told\n" * 3)

    for job in (before, without):
        assert alice.ended(job, 60)["state"] == "succeeded"


def test_staging_that_is_not_mounted_is_an_outage_and_its_return_is_enough(
    stack: Stack, alice: Api
) -> None:
    whole, half = (alice.open_upload(size=10, chunk_size=chunk) for chunk in (10, 5))
    answered(alice.put_chunk(whole["id"], 0, b"0123456789"), 200)
    answered(alice.put_chunk(half["id"], 0, b"01234"), 200)
    elsewhere = stack.staging.with_name("elsewhere")

    stack.staging.rename(elsewhere)
    stack.staging.mkdir()  # the mount point, bare
    refusal = alice.put_chunk(half["id"], 1, b"56789")
    eventually(lambda: alice.get("/readyz").status_code == 503, 5)
    ready = alice.get("/readyz").json()
    job = str(alice.complete(whole["id"])["id"])
    eventually(lambda: answered(alice.get(f"/api/v1/jobs/{job}"), 200).get("error"), 20)
    waiting = answered(alice.get(f"/api/v1/jobs/{job}"), 200)
    stack.staging.rmdir()
    elsewhere.rename(stack.staging)

    refused(refusal, 503, "staging_unavailable")
    assert [name for name, check in ready["checks"].items() if not check["ok"]] == ["staging"]
    assert (waiting["state"], waiting["error"]["code"]) == ("queued", "staging_unavailable")
    assert alice.ended(job, 60)["state"] == "succeeded"
    eventually(lambda: alice.get("/readyz").status_code == 200, 5)
    answered(alice.put_chunk(half["id"], 1, b"56789"), 200)
    assert alice.ended(alice.complete(half["id"])["id"], 60)["state"] == "succeeded"


def test_nothing_outlives_a_killed_supervisor() -> None:
    with a_quick_stack() as stack:
        family = supervisor_of(stack).children(recursive=True)

        supervisor_of(stack).kill()
        gone, alive = psutil.wait_procs(family, timeout=20)

    assert alive == []
    assert len(gone) > 8


def test_ctrl_c_stops_everything() -> None:
    with a_quick_stack() as stack:
        family = supervisor_of(stack).children(recursive=True)

        assert stack.stop() == 0
        assert psutil.wait_procs(family, timeout=0)[1] == []


def supervisor_of(stack: Stack) -> psutil.Process:
    return psutil.Process(stack.process("web").ppid())


def a_film(size: int) -> bytes:
    head = mp4()
    return head + os.urandom(size - len(head))


def sent(api: Api, content: bytes) -> str:
    """Upload in chunks; return the job's id."""
    name = "film.mp4" if len(content) > MIB else "notes.txt"
    opened = api.open_upload(name, size=len(content), chunk_size=8 * MIB)
    for number, start in enumerate(range(0, len(content), 8 * MIB)):
        chunk = content[start : start + 8 * MIB]
        answered(api.put_chunk(opened["id"], number, chunk), 200)
    return str(api.complete(opened["id"])["id"])


def in_the_middle(api: Api, job: str) -> None:
    def assembling() -> bool:
        shown = answered(api.get(f"/api/v1/jobs/{job}"), 200)
        return bool(shown["step"] == "assemble" and shown["state"] == "running")

    eventually(assembling, 20)


def kill(process: psutil.Process) -> None:
    for each in [*process.children(recursive=True), process]:
        each.kill()


def digest_of(api: Api, file_id: str) -> str:
    return hashlib.sha256(api.download(file_id).content).hexdigest()


def objects_of(stack: Stack, upload_id: str) -> list[str]:
    listed = stack.s3.list_objects_v2(Bucket=stack.env["S3_BUCKET_NAME"])["Contents"]
    return [each["Key"] for each in listed if upload_id in each["Key"]]
