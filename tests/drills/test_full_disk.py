"""The disk is full: uploads are refused, nothing that was acknowledged is lost, and all goes on."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Final

import pytest
import requests
from redis import Redis, RedisError

from tests.drills.ballast import bytes_filled, free_bytes, inodes_filled
from tests.drills.rig import Rig, a_rig
from tests.drills.witness import Witness, witnessed
from tests.support.restless import SECOND
from tests.support.small_disk import a_small_disk
from tests.support.waiting import eventually

pytestmark = pytest.mark.measures
MIB: Final = 1024**2
_FULL: Final = frozenset({503, 507})
_FLOOR: Final = 16 * MIB
_BACK_SECONDS: Final = 10.0
# SeaweedFS looks once a minute whether there is room; meanwhile jobs wait, longer each time.
_JOBS_SECONDS: Final = 100.0
_HURRIED: Final = "hurried-store"

Filled = Callable[[Path], AbstractContextManager[None]]


@pytest.mark.timeout(1200)
def test_a_full_staging_disk_loses_nothing_and_its_floor_is_kept(
    tmp_path: Path, seed: int, *, is_long: bool
) -> None:
    """By bytes as far as the floor, by bytes altogether, and by inodes."""
    rounds = 10 if is_long else 1
    ways: list[Filled] = [to_the_floor, bytes_filled, inodes_filled]
    with (
        a_small_disk(tmp_path / "small", "64m,nr_inodes=400") as disk,
        a_rig(tmp_path, seed, STAGING_DIR=str(disk / "staging"), STAGING_FLOOR=str(_FLOOR)) as calm,
    ):
        rig, witness = witnessed(calm)
        opened = uploads_up_to_the_floor(rig)
        assert free_bytes(disk) >= _FLOOR
        cancel(rig, opened)
        for number in range(rounds):
            for way, filled in enumerate(ways):
                back = full_and_back(rig, witness, disk, filled, (3 * number + way) * 1000)
                print(f"way {way}: answered {back:.1f} s after there was room")
        judge(rig, witness)


@pytest.mark.timeout(1200)
def test_a_full_disk_under_everything_loses_nothing_and_all_parts_go_on(
    tmp_path: Path, seed: int, *, is_long: bool
) -> None:
    """Database, broker, store and staging on one disk: nobody is started again for it."""
    rounds = 10 if is_long else 1
    ways: list[Filled] = [to_the_floor, bytes_filled]
    with (
        a_small_disk(tmp_path / "small", "400m") as disk,
        a_rig(
            tmp_path,
            seed,
            sabotage=_HURRIED,
            without=(SECOND, "flower"),
            DATA_DIR=str(disk / "data"),
            STAGING_FLOOR=str(_FLOOR),
        ) as calm,
    ):
        rig, witness = witnessed(calm)
        for number in range(rounds):
            for way, filled in enumerate(ways):
                first, is_all = (2 * number + way) * 1000, filled is bytes_filled
                back = full_and_back(rig, witness, disk, filled, first, broker_too=is_all)
                print(f"way {way}: answered {back:.1f} s after there was room")
        judge(rig, witness)
        assert deaths(rig) == []


@pytest.mark.teeth
def test_workers_that_end_when_the_broker_refuses_turn_the_drill_red(
    tmp_path: Path, seed: int
) -> None:
    with (
        a_small_disk(tmp_path / "small", "400m") as disk,
        a_rig(
            tmp_path,
            seed,
            sabotage="refusals-end-workers",
            DATA_DIR=str(disk / "data"),
            STAGING_FLOOR=str(_FLOOR),
        ) as calm,
    ):
        rig, witness = witnessed(calm)
        full_and_back(rig, witness, disk, bytes_filled, 0, broker_too=True, until=deaths)

        assert deaths(rig) != []


@pytest.mark.teeth
def test_with_short_writes_taken_for_whole_ones_the_drill_goes_red(
    tmp_path: Path, seed: int
) -> None:
    with (
        a_small_disk(tmp_path / "small", "16m") as disk,
        a_rig(
            tmp_path,
            seed,
            sabotage="short-writes",
            STAGING_DIR=str(disk / "staging"),
            STAGING_FLOOR="1MiB",
        ) as rig,
    ):
        with bytes_filled(disk, left=100_000):
            rig.clients.upload_all(15)
        rig.settle()
        verdict = rig.verdict()

        assert any("its job is failed" in said for said in verdict.breaches), verdict


def full_and_back(
    rig: Rig,
    witness: Witness,
    disk: Path,
    filled: Filled,
    first: int,
    *,
    broker_too: bool = False,
    until: Callable[[Rig], object] | None = None,
) -> float:
    """Fill the disk in mid-load, and free it; return after how many seconds uploads go on.

    With `broker_too` not before the broker refuses to write, too; with `until` not before that.
    """
    before = len(witness.refusals)
    told = rig.clients.upload(first)
    rig.settle(_JOBS_SECONDS)  # what is cleared later would make room again
    with ThreadPoolExecutor(1) as pool:
        with filled(disk):
            load = pool.submit(rig.clients.upload_all, 20, first=first + 1)
            refused = before + 20
            eventually(lambda: len(witness.refusals) > refused, 20, says="nobody is refused")
            assert not load.done()
            assert status(rig, told.upload_id) == 200  # who only reads is served
            eventually(lambda: status(rig) == 503, 3)  # it remembers for a second
            if broker_too:
                eventually(lambda: broker_refuses(rig), 20, every=0.3)
            if until is not None:
                eventually(lambda: until(rig), 20)
        began = time.monotonic()
        eventually(lambda: status(rig) == 200, _BACK_SECONDS)
        rig.clients.upload(first + 100)
        back = time.monotonic() - began
        load.result()
    assert back <= _BACK_SECONDS
    return back


def broker_refuses(rig: Rig) -> bool:
    """Say whether it does; write more than the page it may have left, or it would not notice."""
    with Redis.from_url(rig.stack.env["REDIS_URL"]) as client, suppress(RedisError):
        client.set("drill", "x" * 16_384, ex=1)
    return "refuses to write" in asked(rig, "/readyz").text


def to_the_floor(disk: Path) -> AbstractContextManager[None]:
    return bytes_filled(disk, left=_FLOOR - 4096)


def uploads_up_to_the_floor(rig: Rig) -> list[str]:
    """Send chunks, eight at once, until each client is refused; return the uploads they opened."""
    said = {"filename": "notes.txt", "size": 64 * MIB, "chunk_size": MIB}

    def fill(_: int) -> str:
        with requests.Session() as session:
            session.trust_env = False
            opened = rig.clients._send(session, "POST", "/api/v1/uploads", json=said).json()["id"]
            for number in range(64):
                path = f"/api/v1/uploads/{opened}/chunks/{number}"
                answer = rig.clients._send(session, "PUT", path, data=b"x" * MIB)
                if answer.status_code == 507:
                    return str(opened)
                assert answer.status_code == 200, answer.text
        raise AssertionError("the disk is not full")

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(fill, range(8)))


def cancel(rig: Rig, uploads: list[str]) -> None:
    with requests.Session() as session:
        session.trust_env = False
        for each in uploads:
            assert rig.clients._send(session, "DELETE", f"/api/v1/uploads/{each}").ok


def deaths(rig: Rig) -> list[str]:
    return [line for line in rig.stack.log if " died (" in line]


def judge(rig: Rig, witness: Witness) -> None:
    settled = rig.settle(_JOBS_SECONDS)
    verdict = rig.verdict()
    print(f"{verdict}; settled {settled:.1f} s after; {witness.statuses}; {witness.codes()}")
    assert verdict.breaches == []
    assert witness.rude(_FULL) == []
    assert set(witness.statuses) <= {200, 201, 202, *_FULL}
    assert verdict.counts["most attempts"] == 1


def status(rig: Rig, upload_id: str | None = None) -> int:
    """Return how the service answers: whether it is ready, or who asks for an upload."""
    return asked(
        rig, "/readyz" if upload_id is None else f"/api/v1/uploads/{upload_id}"
    ).status_code


def asked(rig: Rig, path: str) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return rig.clients._send(session, "GET", path)
