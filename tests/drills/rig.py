"""A running copy in a hurry, its clients, and the checker: everything a drill needs.

with a_rig(folder, seed) as rig:
    with meanwhile(Toll(rig).strikes(["worker"], 5, (1.0, 2.0))):
        rig.clients.upload_all(100)
    rig.settle()
    assert rig.verdict().breaches == []
"""

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil
from sqlalchemy import create_engine

from tests.drills.checker import Checker
from tests.drills.invariants import Verdict
from tests.drills.ledger import Ledger
from tests.drills.load import Clients
from tests.drills.nights import audited, two_nights
from tests.drills.staged import StagedInFolder
from tests.support.quick import ASIDE, a_quick_stack
from tests.support.restless import SECOND
from tests.support.stack import ROOT, Stack
from tests.support.waiting import eventually
from tools import credentials
from tools.data_folder import DataFolder
from tools.embedded import WEED, Embedded, embed

LEASE_SECONDS: Final = 4.0
RECONCILE_SECONDS: Final = 1.0
# Every claim may wait for the lease of the one before, and for two rounds of the reconciler.
SETTLE_SECONDS: Final = 3 * (2 * LEASE_SECONDS + 2 * RECONCILE_SECONDS) + 15
_HURRY: Final = {
    "LEASE_SECONDS": str(LEASE_SECONDS),
    "HEARTBEAT_SECONDS": "1",
    "RECONCILE_SECONDS": str(RECONCILE_SECONDS),
    "REDISPATCH_SECONDS": "3",
    "SWEEP_GRACE_HOURS": "0",
    "WEBHOOK_ALLOW_PRIVATE": "1",
}
_OPEN_TOKENS: Final = {"JWT_ISSUER": "", "JWT_AUDIENCE": ""}
_TOKEN_SECONDS: Final = 24 * 3600


@dataclass(frozen=True)
class Rig:
    """`said` draws what the drill does: the same seed, the same drill."""

    stack: Stack
    ledger: Ledger
    clients: Clients
    checker: Checker
    seed: int
    said: random.Random = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "said", random.Random(self.seed))  # noqa: S311  # replayed from it

    def settle(self, seconds: float = SETTLE_SECONDS) -> float:
        """Wait until no job is at work; return after how many seconds. Too late is a failure."""
        began = time.monotonic()
        try:
            eventually(lambda: self.checker.open_jobs() == 0, seconds, every=0.2)
        except AssertionError:
            stuck = self.checker.rows(_STUCK)
            raise AssertionError(f"{len(stuck)} jobs are stuck: {stuck[:5]}") from None
        return time.monotonic() - began

    def verdict(self) -> Verdict:
        """Run the sweeps twice, as two nights would, judge what is left, and let it be audited."""
        environment = environment_of(self.stack, embedded_in(self.stack))
        two_nights(environment)
        verdict = self.checker.check(self.ledger.entries)
        verdict.breaches += audited(environment)
        return verdict


_STUCK: Final = (
    "SELECT id, state, step, attempts, error FROM jobs WHERE state IN ('queued', 'running')"
)


@contextmanager
def a_rig(
    folder: Path,
    seed: int,
    *,
    sabotage: str | None = None,
    without: Sequence[str] = (SECOND, "worker-io", *ASIDE),
    **settings: str,
) -> Iterator[Rig]:
    """Start a copy whose parts may die as often as a drill wants; stop it when the block ends.

    `without` are the parts that the drill does not look at.
    """
    path = f"{ROOT / 'tests/drills/sabotage'}:{ROOT}"
    broken = {} if sabotage is None else {"SLUICE_SABOTAGE": sabotage, "PYTHONPATH": path}
    with a_quick_stack(without, **{**_HURRY, **broken, **settings}) as stack:
        # What `./run env` would say, which takes a second.
        stack.env = {**_OPEN_TOKENS, **environment_of(stack, embedded_in(stack))}
        ledger = Ledger(folder / "ledger.jsonl")
        engine = create_engine(stack.env["DATABASE_URL"])
        token = stack.signed(
            sub="drill", scope="files:read files:write files:delete webhooks", exp=_in_a_day()
        )
        clients = Clients(stack.base_url, token, ledger, seed)
        staging = StagedInFolder(Path(stack.env["STAGING_DIR"]))
        checker = Checker(engine, staging, stack.s3, stack.env["S3_BUCKET_NAME"])
        try:
            yield Rig(stack, ledger, clients, checker, seed)
        finally:
            engine.dispose()
            ledger.close()


def embedded_in(stack: Stack) -> Embedded:
    """Return what the stack embeds, as its supervisor has found it."""
    folder = DataFolder(stack.data_dir)
    said = {name: value for name, value in stack.environment.items() if value}
    return embed(said, credentials.kept(folder.credentials), folder, weed=WEED.exists())


def environment_of(stack: Stack, embedded: Embedded) -> Mapping[str, str]:
    """Return the environment of the stack's processes."""
    return {**stack.environment, **embedded.variables}


def kill(rig: Rig, part: str) -> bool:
    """Kill a part with all its children at once; False when there is none now."""
    try:
        process = rig.stack.process(part)
        family = process.children(recursive=True)
    except (AssertionError, psutil.Error):
        return False
    for victim in (process, *family):
        with suppress(psutil.Error):
            victim.kill()
    return True


def _in_a_day() -> int:
    return int(time.time()) + _TOKEN_SECONDS
