"""A store in bad weather: four requests of ten are hurt, and then there is none at all for a while.

What is written is looked at afterwards, so that what the store damages is never a file.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest

from shared.adapters.client_s3 import S3Place, s3_client
from tests.drills.rig import Rig, a_rig
from tests.drills.storms import Storm, damage_before, storm_before
from tests.support.servers import seaweedfs, settings_of
from tests.support.weather import weather_before

_HURRIED: Final = "hurried-store"
_MOST_REQUESTS: Final = 3  # to one of calm weather


@dataclass(frozen=True)
class Sky:
    """A rig whose store is behind the weather; its checker is not."""

    rig: Rig
    storm: Storm
    place: S3Place


@contextmanager
def a_sky(folder: Path, seed: int, *sabotages: str) -> Iterator[Sky]:
    with seaweedfs() as place, weather_before(place, keeps_calls=False) as proxy:
        storm = Storm(seed, ())
        proxy.brings(storm, times=None)
        said = {
            **settings_of(proxy.place),
            "WORKER_CONCURRENCY": "8",
            "MAX_ATTEMPTS": "2",  # an outage costs none
        }
        with a_rig(folder, seed, sabotage=",".join((_HURRIED, *sabotages)), **said) as rig:
            checker = replace(rig.checker, s3=s3_client(place, place.endpoint))
            yield Sky(replace(rig, checker=checker), storm, place)


@pytest.fixture(scope="module")
def sky(tmp_path_factory: pytest.TempPathFactory, shared_seed: int) -> Iterator[Sky]:
    with a_sky(tmp_path_factory.mktemp("sky"), shared_seed) as sky:
        yield sky


@pytest.mark.timeout(1800)
def test_bad_weather_loses_damages_and_leaves_nothing(sky: Sky, *, is_long: bool) -> None:
    calm, uploads, large, dark = (100, 1000, 10, 60.0) if is_long else (4, 12, 4, 3.0)
    rig, storm = sky.rig, sky.storm
    storm.clears()
    load(sky, calm, large=large)
    rig.settle()
    in_calm = storm.calls / calm
    storm.comes(storm_before(sky.place))
    load(sky, uploads, large=large)
    settled = rig.settle(120 + uploads)
    in_storm = storm.calls / uploads
    storm.clears()
    black_out(sky, dark)
    verdict = rig.verdict()

    print(f"{verdict}; settled {settled:.1f} s after; {rig.clients.statuses}")
    print(f"{in_calm:.1f} requests an upload in calm, {in_storm:.1f} in the storm; {storm.hurt}")
    assert verdict.breaches == []
    assert verdict.counts["jobs succeeded"] == len(rig.ledger.entries)
    assert in_storm <= _MOST_REQUESTS * in_calm
    assert set(rig.clients.statuses) <= {200, 201, 202}


def test_what_the_store_damages_is_written_anew(sky: Sky) -> None:
    damaged(sky)
    verdict = sky.rig.verdict()

    assert verdict.breaches == []
    assert sky.storm.hurt.total() > 0


@pytest.mark.teeth
def test_without_verification_and_with_outages_that_cost_an_attempt_the_drill_goes_red(
    tmp_path: Path, seed: int
) -> None:
    with a_sky(tmp_path, seed, "no-verification", "outage-costs-an-attempt") as sky:
        damaged(sky)
        sky.storm.is_dark = True
        load(sky, 4)
        sky.rig.settle()
        sky.storm.clears()
        verdict = sky.rig.verdict()

        assert any(said.startswith("I4: object") for said in verdict.breaches), verdict
        assert any(said.startswith("audit: ") for said in verdict.breaches), verdict
        assert any("its job is failed" in said for said in verdict.breaches), verdict


def load(sky: Sky, uploads: int, large: int = 0) -> None:
    sky.rig.clients.upload_all(uploads, large=large, first=len(sky.rig.ledger.entries))


def damaged(sky: Sky, uploads: int = 18) -> None:
    """Upload to a store that damages every fourth object and says nothing of it."""
    sky.storm.comes(damage_before(sky.place, 1 / 4))
    load(sky, uploads)
    settled = sky.rig.settle(60)
    sky.storm.clears()
    print(f"settled {settled:.1f} s after; {dict(sky.storm.hurt)}")


def black_out(sky: Sky, seconds: float) -> None:
    """Let no request through for so long, while a few files are uploaded."""
    sky.storm.is_dark = True
    load(sky, 6)
    threading.Event().wait(seconds)
    sky.storm.is_dark = False
    back = sky.rig.settle(60)
    print(f"{seconds:.0f} s without a store: jobs ended {back:.1f} s after")
