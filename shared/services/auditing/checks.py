"""The checks of an audit, in their order: the rows among themselves, then rows against bytes.

They stand alone: where a part does not answer, the checks of the others are made all the same.
"""

import logging
from collections.abc import Callable
from typing import Final

from shared.errors import AppError
from shared.services.auditing import boards, multiparts, rooms, sent, staged, states, stored, waits
from shared.services.auditing.audit import Audit

log = logging.getLogger(__name__)

Check = Callable[[Audit], None]

# Reservations before quotas: what is given back is counted. The bucket last: it may take longest.
CHECKS: Final[tuple[Check, ...]] = (
    states.uploads,
    states.lone_jobs,
    rooms.rooms,
    waits.overdue,
    waits.unowned,
    boards.board,
    boards.strangers,
    staged.chunks,
    staged.names,
    sent.waiting,
    sent.leftovers,
    multiparts.multiparts,
    stored.rows_of_objects,
    stored.unfinished,
    stored.objects,
)


def make(audit: Audit) -> None:
    """Make every check; then raise what broke the first of those that could not end."""
    broken: list[AppError] = []
    for check in CHECKS:
        try:
            check(audit)
        except AppError as problem:
            broken.append(problem)
            facts = {"check": f"{check.__module__}.{check.__name__}", "code": problem.code}
            log.warning("audit_check_broken", extra=facts)
    if broken:
        raise broken[0]
