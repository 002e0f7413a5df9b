"""The supervisor of `./run`, one that starts again what dies however often it does.

It starts as fast as it can: all at once after the broker, on a database that was migrated elsewhere,
without the token that nobody reads and without the parts that `RESTLESS_WITHOUT` names. There is a
second worker beside the first unless that is among them.
"""

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from typing import Final

from tools import plan, supervisor
from tools.crew import Patience
from tools.embedded import Embedded
from tools.part import Part, Stage

WITHOUT: Final = "RESTLESS_WITHOUT"
DATABASE: Final = "RESTLESS_DATABASE"
SECOND: Final = "worker-2"
_FIRST: Final = frozenset({"valkey", "migrate"})
_LAST: Final = frozenset({"s3-sync"})
_SETTLES_SECONDS: Final = 0.1  # what has no probe: the web takes longer to be ready anyway


def stages(embedded: Embedded) -> tuple[Stage, ...]:
    beside = plan._worker(embedded, SECOND, "other", "ingest")
    away = {"bucket", *_said(WITHOUT).split(",")}  # SeaweedFS makes the bucket itself
    if embedded.database and not embedded.folder.database.exists():
        shutil.copyfile(_said(DATABASE), embedded.folder.database)
    if embedded.database:
        away.add("migrate")
    parts = [
        replace(part, settles_seconds=_SETTLES_SECONDS)
        for part in (*chain(*plan.stages(embedded)), beside)
        if part.name not in away
    ]
    order: tuple[list[Part], ...] = ([], [], [])
    for part in parts:
        order[0 if part.name in _FIRST else 2 if part.name in _LAST else 1].append(part)
    return tuple(tuple(stage) for stage in order if stage)


def _no_token(environment: Mapping[str, str]) -> str:
    del environment
    return "none"


def _said(setting: str) -> str:
    return os.environ[setting]  # noqa: TID251  # a setting of its own


if __name__ == "__main__":
    supervisor.stages = stages  # type: ignore[attr-defined]  # a name it imports
    supervisor._token = _no_token
    sys.exit(supervisor.main(Patience(pauses_seconds=(0.1,) * 100_000)))
