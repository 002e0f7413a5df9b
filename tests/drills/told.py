"""What was told in a story, on disk: it outlives the process that the story is told in."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.ports import Answer
from tests.drills.ports import DELIVERED


@dataclass(frozen=True)
class Told:
    """The ledger of one story: lines of JSON in the order they became true."""

    path: Path

    def write(self, what: str, **facts: Any) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps({"what": what, **facts}) + "\n")

    def lines(self, what: str) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        said = [json.loads(line) for line in self.path.read_text().splitlines()]
        return [each for each in said if each["what"] == what]

    def answers(self) -> dict[str, dict[str, Any]]:
        return {each["operation"]: each for each in self.lines("answered")}

    def send(self, url: str, body: bytes, headers: dict[str, str]) -> Answer:
        """Be the receiver of webhooks."""
        del url, body
        self.write("heard", event=headers["webhook-id"])
        return DELIVERED

    def refuse(self, url: str) -> str | None:
        del url
        return None
