"""Decide from the head what the file is, and whether it is allowed here."""

from dataclasses import replace

from shared.errors import TooLarge, Unsupported
from shared.services.intake import HEAD_BYTES
from worker.draft import Draft, Workbench


def inspect(draft: Draft, bench: Workbench) -> Draft:
    """Raise `Unsupported` or `TooLarge` for what the upload's profile does not allow.

    Raises `Damaged` instead when staging has not what was acknowledged.
    """
    claim = draft.claim
    head = bench.source.head(claim, HEAD_BYTES)
    try:
        verdict = bench.screening.judge(claim.upload, head, claim.upload.received)
    except (Unsupported, TooLarge):
        if claim.direct is None:
            # Nobody is refused for bytes that only our staging made of theirs.
            for _ in bench.source.blocks(claim):
                bench.watch.check()
        raise
    return replace(draft, verdict=verdict)
