"""A poller that holds each answer against the rows: never ahead of them, never long behind, never back, never silent."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import requests

from tests.drills.fleet import now
from tests.drills.load import pieces
from tests.drills.rig import Rig
from tests.support.api import FINAL

# The board may show what is not final for five seconds, and a busy host takes a moment.
_BEHIND_MS: Final = 5500
_WATCHED: Final = 300


@dataclass
class Watcher:
    """`breaches` says what a poll showed that it should not have."""

    rig: Rig
    every_seconds: float = 0.2
    breaches: list[str] = field(default_factory=list)
    polls: int = 0
    _seen: dict[str, str] = field(default_factory=dict)

    def run(self, over: threading.Event) -> None:
        """Poll the newest jobs until `over`."""
        with requests.Session() as session:
            session.trust_env = False
            while not over.wait(self.every_seconds):
                ids = [each.job_id for each in self.rig.ledger.entries if each.job_id]
                for batch in pieces(ids[-_WATCHED:], 100):
                    try:
                        self._look(session, batch)
                    except requests.RequestException as error:
                        self.breaches.append(f"a poll was not answered: {error!r}")

    def _look(self, session: requests.Session, ids: list[str]) -> None:
        before, asked_at = self._rows(), now()
        said = self.rig.clients._send(session, "GET", f"/api/v1/jobs?ids={','.join(ids)}")
        after = self._rows()
        if not said.ok:
            self.breaches.append(f"a poll was answered {said.status_code}")
            return
        for shown in said.json()["items"]:
            self.polls += 1
            job_id, state = shown["id"], shown["state"]
            self._hold(job_id, state, after[job_id]["state"])
            ended_at = before[job_id]["finished_at"]
            if state not in FINAL and ended_at and ended_at < asked_at - _BEHIND_MS:
                self.breaches.append(f"{job_id} is {state}, {asked_at - ended_at} ms after its end")

    def _hold(self, job_id: str, state: str, in_rows: str) -> None:
        seen = self._seen.get(job_id)
        if seen is not None and state != seen:
            self.breaches.append(f"{job_id} went from {seen} to {state}")
        if state in FINAL:
            self._seen[job_id] = state
            if in_rows != state:
                self.breaches.append(f"{job_id} is {state} before its row, which is {in_rows}")

    def _rows(self) -> Mapping[str, Mapping[str, Any]]:
        rows = self.rig.checker.rows("SELECT id, state, finished_at FROM jobs")
        return {row["id"]: row for row in rows}
