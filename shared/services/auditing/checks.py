"""The checks of an audit, in their order: the rows among themselves, then rows against bytes."""

from collections.abc import Callable
from typing import Final

from shared.services.auditing import boards, multiparts, rooms, staged, states, stored, waits
from shared.services.auditing.audit import Audit

Check = Callable[[Audit], None]

# Reservations before quotas: what is given back is counted. The bucket last: it may take longest.
CHECKS: Final[tuple[Check, ...]] = (
    states.uploads,
    states.lone_jobs,
    rooms.rooms,
    waits.jobs,
    waits.deliveries,
    boards.board,
    staged.chunks,
    staged.names,
    multiparts.multiparts,
    stored.rows_of_objects,
    stored.objects,
)
