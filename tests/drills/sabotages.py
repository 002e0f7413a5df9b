"""Defences that can be turned off, each by its name. Imports what it breaks only when it does."""

from collections.abc import Callable
from typing import Final

from tests.drills import sabotages_bytes, sabotages_grants, sabotages_replacements
from tests.drills import sabotages_jobs as jobs
from tests.drills import sabotages_parts as parts


def no_reconciler() -> None:
    """Nobody looks for forgotten work."""
    from shared.services.reconciling import Reconciler

    Reconciler.round = lambda self: None  # type: ignore[method-assign]


SABOTAGES: Final[dict[str, Callable[[], None]]] = {
    "no-reconciler": no_reconciler,
    "attempts-not-counted": jobs.attempts_not_counted,
    "unfenced": jobs.unfenced,
    "hand-back-off": jobs.hand_back_off,
    "board-goes-back": jobs.board_goes_back,
    "any-answer-is-good": jobs.any_answer_is_good,
    "cut-bodies-taken": jobs.cut_bodies_taken,
    "sealed-afterwards": jobs.sealed_afterwards,
    **sabotages_bytes.SABOTAGES,
    **sabotages_replacements.SABOTAGES,
    **sabotages_grants.SABOTAGES,
    "no-verification": parts.no_verification,
    "outage-costs-an-attempt": parts.outage_costs_an_attempt,
    "repeats-blindly": parts.repeats_blindly,
    "short-writes": parts.short_writes,
    "refusals-end-workers": parts.refusals_end_workers,
    # These break nothing: they make trouble likelier, or time shorter.
    "poison": jobs.poison,
    "signing": jobs.signing,
    "dawdling": jobs.dawdling,
    "lingering": jobs.lingering,
    "late-puts": jobs.late_puts,
    "hurried-webhooks": jobs.hurried_webhooks,
    "hurried-store": parts.hurried_store,
}
