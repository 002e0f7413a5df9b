"""Sabotages of grants, and of what comes by them: each turns one defence of it off."""

from collections.abc import Callable
from typing import Any, Final


def revoked_in_two_steps() -> None:
    """What was begun by a grant is ended in a transaction of its own, after the grant."""
    from shared.services import grants
    from shared.services.grants import GrantService
    from shared.services.releasing import give_up

    revoke = GrantService.revoke

    def later(self: GrantService, caller: Any, grant_id: str) -> None:
        with self.records.read() as rows:
            begun = rows.grants.begun(grant_id)
        revoke(self, caller, grant_id)
        with self.records.begin() as rows:
            give_up(rows, *begun)

    vars(grants)["give_up"] = lambda rows, *begun: []
    GrantService.revoke = later  # type: ignore[method-assign]


def links_not_noted() -> None:
    """Nobody knows how long what was handed out works."""
    from shared.adapters.records_sql_direct import SqlDirectRows

    SqlDirectRows.signed = lambda self, upload_id, lifetime: None  # type: ignore[method-assign]


def nobody_weighs() -> None:
    """What grows in the store is summed up when it is complete, and not before."""
    from shared.services.weighing import Weighing

    Weighing.round = lambda self, after: ""  # type: ignore[method-assign]


SABOTAGES: Final[dict[str, Callable[[], None]]] = {
    "revoked-in-two-steps": revoked_in_two_steps,
    "links-not-noted": links_not_noted,
    "nobody-weighs": nobody_weighs,
}
