"""Make smaller pictures of an image, in a child process with limits."""

from collections.abc import Iterator
from dataclasses import replace

from worker import images
from worker.draft import Draft, Workbench


def thumbnail(draft: Draft, bench: Workbench) -> Draft:
    """Raise `Rejected` for an image that can't be decoded, or only at too great a cost."""
    verdict = draft.verdict
    if verdict is None:
        raise ValueError("thumbnail runs after inspect")
    if not images.supports(verdict.content_type):
        return draft
    blocks: Iterator[bytes]
    blocks = iter((draft.body,)) if draft.body is not None else bench.source.blocks(draft.claim)
    decoded = images.decode(
        blocks,
        content_type=verdict.content_type,
        specs=bench.thumbnails,
        limits=bench.limits,
        check=bench.watch.check,
    )
    return replace(draft, decoded=decoded)
