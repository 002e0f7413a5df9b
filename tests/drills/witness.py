"""Clients that remember how they were refused: with what, how fast, and when to come again."""

import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

import requests

from tests.drills.load import Clients
from tests.drills.rig import Rig


@dataclass(frozen=True)
class Refusal:
    status: int
    code: str
    retry_after: str | None
    seconds: float


@dataclass(frozen=True)
class Witness(Clients):
    """`refusals` are the answers of 500 and above."""

    refusals: list[Refusal] = field(default_factory=list)

    def _send(
        self, session: requests.Session, method: str, path: str, **said: Any
    ) -> requests.Response:
        began = time.monotonic()
        response = super()._send(session, method, path, **said)
        if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            code = response.json().get("type", "") if response.text.startswith("{") else ""
            retry_after = response.headers.get("Retry-After")
            took = time.monotonic() - began
            self.refusals.append(Refusal(response.status_code, code, retry_after, took))
        return response

    def rude(self, allowed: Collection[int]) -> list[Refusal]:
        """Return the refusals of another status, and those that do not say when to come again."""
        refusals = list(self.refusals)
        return [each for each in refusals if each.status not in allowed or not each.retry_after]

    def slowest(self) -> float:
        """Return how many seconds the slowest refusal took."""
        return max((each.seconds for each in list(self.refusals)), default=0.0)

    def codes(self) -> Counter[str]:
        return Counter(each.code for each in list(self.refusals))


def witnessed(rig: Rig) -> tuple[Rig, Witness]:
    """Return the rig with clients that remember."""
    before = rig.clients
    witness = Witness(before.base_url, before.token, before.ledger, before.seed)
    return replace(rig, clients=witness), witness
