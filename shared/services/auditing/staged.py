"""Staging: every chunk has its bytes, and old bytes have their chunk."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter

from shared.model.upload import Chunk
from shared.ports import StagedChunk
from shared.services.auditing.audit import BATCH, Audit
from shared.services.auditing.findings import Kind
from shared.services.auditing.overlooked import overlooked


def chunks(audit: Audit) -> None:
    """Report chunks whose bytes are gone, or are not as many as were acknowledged."""
    after = ("", -1, -1)
    while not audit.stops():
        with audit.parts.records.read() as rows:
            page = rows.audits.chunks(after, BATCH)
        if not page:
            return
        _report_lost(audit, list(_suspects(audit, page)))
        audit.seen += len(page)
        after = (page[-1].upload_id, page[-1].number, page[-1].offset)


def names(audit: Audit) -> None:
    """Report names that no chunk row knows, in folders that nobody touches, and that no sweep removes."""
    for batch in audit.batches(_old(audit)):
        there = _overlooked(audit, _without_row(audit, batch))
        for upload_id, found in groupby(there, key=attrgetter("upload_id")):
            # Listed before their rows were asked for: the upload may have ended in between.
            still = audit.parts.staging.sizes(upload_id)
            for each in found:
                if each.name in still:
                    detail = f"{each.name} of {each.size} bytes has no row"
                    audit.found(Kind.STAGED_UNKNOWN, upload_id, detail)


def _suspects(audit: Audit, page: Sequence[Chunk]) -> Iterator[tuple[Chunk, int | None]]:
    for place, own in groupby(page, key=attrgetter("place")):
        there = audit.parts.staging.sizes(place)
        for chunk in own:
            if there.get(chunk.name) != chunk.length:
                yield chunk, there.get(chunk.name)


def _report_lost(audit: Audit, suspects: Sequence[tuple[Chunk, int | None]]) -> None:
    """Rows go before their bytes: a row that is still there wants its bytes."""
    still = kept(audit, [chunk for chunk, _ in suspects])
    for chunk, size in suspects:
        if (chunk.place, chunk.name) not in still:
            continue
        if size is None:
            audit.found(Kind.CHUNK_MISSING, chunk.upload_id, f"{chunk.name} is not in staging")
        else:
            detail = f"{chunk.name} has {size} bytes of {chunk.length}"
            audit.found(Kind.CHUNK_WRONG_SIZE, chunk.upload_id, detail)


def kept(audit: Audit, own: Sequence[Chunk | StagedChunk]) -> set[tuple[str, str]]:
    """Return which of these have a row now, as the place they lie in and their name."""
    if not own:
        return set()
    with audit.parts.records.read() as rows:
        places = list({each.place for each in own})
        return rows.audits.kept(places, [each.name for each in own])


def _old(audit: Audit) -> Iterator[StagedChunk]:
    for _, found in groupby(audit.parts.staging.listing(), key=attrgetter("upload_id")):
        folder = list(found)
        if max(each.touched_at for each in folder) <= audit.unswept:
            yield from folder


def _without_row(audit: Audit, batch: Sequence[StagedChunk]) -> list[StagedChunk]:
    known = kept(audit, batch)
    return [each for each in batch if (each.upload_id, each.name) not in known]


def _overlooked(audit: Audit, alone: Sequence[StagedChunk]) -> list[StagedChunk]:
    things = {each.path: (each.touched_at, each.upload_id) for each in alone}
    left = overlooked(audit, "staging-orphans", "staging", things)
    return [each for each in alone if each.path in left]
