"""Chunks in the bucket: whoever dies between the store's answers, and a store that is away for a while."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest

from shared.adapters.client_s3 import s3_client
from tests.drills.load import ANSWERS, meanwhile
from tests.drills.rig import Rig, a_rig, kill
from tests.drills.staged import StagedInBucket
from tests.support import weather
from tests.support.servers import seaweedfs, settings_of
from tests.support.waiting import eventually
from tests.support.weather import Call, Choice, Fault, Weather, weather_before

MIB: Final = 1024**2
ROOT: Final = ".staging/chunks/"
MARK: Final = f"{ROOT}.sluice"
_HURRIED: Final = "hurried-store"


@dataclass
class Deaths:
    """Kills a part when a request of it has come by, before or after the store obeys."""

    rig: Rig
    died: int = 0

    def before(self, part: str) -> Fault:
        def dies(call: Call) -> None:
            del call
            self._kill(part)

        return dies

    def after(self, part: str) -> Fault:
        def dies(call: Call) -> None:
            call.forward()
            self._kill(part)

        return dies

    def _kill(self, part: str) -> None:
        eventually(lambda: kill(self.rig, part), 30)
        self.died += 1


@dataclass(frozen=True)
class Sky:
    rig: Rig
    store: Weather


@contextmanager
def a_sky(folder: Path, seed: int, *sabotages: str) -> Iterator[Sky]:
    """A copy whose chunks and files are in one bucket, behind the weather; its checker is not."""
    with seaweedfs() as place, weather_before(place, keeps_calls=False) as proxy:
        said = {
            "STAGING_BACKEND": "s3",
            **settings_of(proxy.place),
            "MAX_ATTEMPTS": "1000",
            "LEASE_SECONDS": "2",
            "HEARTBEAT_SECONDS": "0.6",
            "RECONCILE_SECONDS": "0.5",
        }
        with a_rig(folder, seed, sabotage=",".join((_HURRIED, *sabotages)), **said) as rig:
            store = s3_client(place, place.endpoint)
            staging = StagedInBucket(store, place.bucket, ROOT)
            kept = (*rig.checker.kept, ROOT)
            checker = replace(rig.checker, s3=store, staging=staging, kept=kept)
            # Chunks that are long enough to be joined.
            clients = replace(rig.clients, large_chunk=8 * MIB)
            yield Sky(replace(rig, checker=checker, clients=clients), proxy)


def puts_a_chunk(call: Call) -> bool:
    return call.method == "PUT" and ROOT in call.path and not call.path.endswith(MARK)


def copies_a_part(call: Call) -> bool:
    return weather.parts(call) and any(name.lower() == "x-amz-copy-source" for name in call.headers)


def clears(call: Call) -> bool:
    return call.method == "POST" and "delete" in call.path


@pytest.mark.timeout(900)
def test_deaths_between_the_answers_of_the_store_lose_and_double_nothing(
    tmp_path: Path, seed: int, *, is_long: bool
) -> None:
    rounds, uploads = (8, 40) if is_long else (1, 4)
    with a_sky(tmp_path, seed) as sky:
        deaths = Deaths(sky.rig)
        moments: list[tuple[str, Choice]] = [
            ("worker", copies_a_part),
            ("worker", weather.completes),
            ("worker", clears),
            ("web", puts_a_chunk),
        ]
        for _ in range(rounds):
            died = deaths.died
            for part, moment in moments:
                sides = [deaths.before, deaths.after]
                for dies in sides if is_long else [sky.rig.said.choice(sides)]:
                    sky.store.brings(dies(part), to=moment)
            first = len(sky.rig.ledger.entries)
            sky.rig.clients.upload_all(uploads, large=2, first=first, at_once=3)
            settled = sky.rig.settle(120)
            sky.store.clears()
            print(f"{deaths.died - died} deaths; settled {settled:.1f} s after")
        dark(sky, 20.0 if is_long else 1.0)
        verdict = sky.rig.verdict()

        print(f"{verdict}; {sky.rig.clients.statuses}")
        assert deaths.died >= rounds * len(moments)
        assert verdict.breaches == []
        assert verdict.counts["jobs succeeded"] == len(sky.rig.ledger.entries)
        assert sky.rig.clients.statuses.keys() <= ANSWERS | {0}  # of a web that has died


@pytest.mark.teeth
def test_without_chunks_that_stay_until_the_file_is_told_of_the_drill_goes_red(
    tmp_path: Path, seed: int
) -> None:
    with a_sky(tmp_path, seed, "staging-cleared-early") as sky:
        deaths = Deaths(sky.rig)
        sky.store.brings(deaths.after("worker"), to=clears)
        sky.rig.clients.upload_all(1)
        sky.rig.settle()
        verdict = sky.rig.verdict()

        assert deaths.died == 1
        assert any("its job is failed" in said for said in verdict.breaches), verdict


def dark(sky: Sky, seconds: float) -> None:
    """Let no request to the store through for so long, while files are uploaded."""

    def upload(over: threading.Event) -> None:
        del over
        sky.rig.clients.upload_all(3, large=2, first=len(sky.rig.ledger.entries))

    sky.store.brings(weather.nothing_is_done, times=None)
    with meanwhile(upload):
        threading.Event().wait(seconds)
        sky.store.clears()
    print(f"settled {sky.rig.settle(60):.1f} s after {seconds:.0f} s without a store")
