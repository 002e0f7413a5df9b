"""Who polls while parts die takes silence and refusals for breaches: that nothing was seen proves nothing."""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
import requests

from tests.drills.ledger import Ledger
from tests.drills.load import Clients, Poller
from tests.drills.rig import Rig
from tests.drills.watching import Watcher
from tests.support.waiting import eventually


@dataclass(frozen=True)
class Refused(Clients):
    """Clients of a service that answers this status and nothing else; none at all is 0."""

    status: int = 503

    def _send(
        self, session: requests.Session, method: str, path: str, **said: Any
    ) -> requests.Response:
        del session, method, path, said
        if not self.status:
            raise requests.ConnectionError("Nobody is there.")
        answer = requests.Response()
        answer.status_code = self.status
        return answer


@dataclass(frozen=True)
class Nothing:
    """As much of a rig as somebody asks for who polls it."""

    clients: Clients
    ledger: Ledger

    @property
    def checker(self) -> "Nothing":
        return self

    def rows(self, question: str) -> list[dict[str, Any]]:
        del question
        return []


@pytest.mark.parametrize("status", [0, 404, 500, 502, 503])
@pytest.mark.parametrize("is_watcher", [False, True])
def test_a_poll_that_is_not_answered_is_a_breach(
    tmp_path: Path, status: int, *, is_watcher: bool
) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.begin("notes.txt", "", 1).job_id = "one"
    clients, over = Refused("", "", ledger, 1, status=status), threading.Event()
    poller = Watcher(cast("Rig", Nothing(clients, ledger)), 0.01) if is_watcher else Poller(clients)

    polling = threading.Thread(target=poller.run, args=(over,))
    polling.start()
    eventually(lambda: poller.breaches, 5, says="nobody complains")
    over.set()
    polling.join()
    ledger.close()

    assert poller.polls == 0
