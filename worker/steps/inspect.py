"""Decide from the head what the file is, and whether it is allowed here."""

from dataclasses import replace
from itertools import islice

from shared.errors import TooLarge, Unsupported
from shared.services.intake import HEAD_BYTES
from worker.draft import BLOCK_BYTES, Draft, Workbench


def inspect(draft: Draft, bench: Workbench) -> Draft:
    """Raise `Unsupported` or `TooLarge` for what the upload's profile does not allow.

    Raises `Damaged` instead when staging has not what was acknowledged.
    """
    claim = draft.claim
    head = b""
    for chunk in claim.chunks:
        for block in islice(bench.staging.read(chunk, BLOCK_BYTES), 1):
            head += block
        if len(head) >= HEAD_BYTES:
            break
    try:
        verdict = bench.screening.judge(claim.upload, head[:HEAD_BYTES], claim.upload.received)
    except (Unsupported, TooLarge):
        # Nobody is refused for bytes that only our staging made of theirs.
        for _ in bench.blocks(claim):
            bench.watch.check()
        raise
    return replace(draft, verdict=verdict)
