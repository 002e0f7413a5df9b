"""The parts of an object, made while the file's bytes are read once: sent, or copied by the store.

Parts are cut from the sequence, ignoring the borders of chunks: equal, and as large as it takes to
stay within 10,000. Where staging is in the store, too, it copies the parts that are in one chunk
(`worker.pieces`), and only the rest is sent. A store that does not make a file of these gets all
bytes sent, within the same attempt.
"""

import hashlib
import logging
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from io import BytesIO
from typing import Final

from shared.errors import Damaged, NotJoined
from shared.model.digest import crc64
from shared.model.stored import Part
from shared.ports_joining import Joiner
from shared.services.claims import Claim
from worker.draft import Draft, Workbench
from worker.pieces import Piece, Stream, equal, joined, part_length

log = logging.getLogger(__name__)

_NOTE_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 1.0


def in_parts(draft: Draft, bench: Workbench) -> Draft:
    """Read the bytes once, for their SHA-256 and for the parts of a multipart upload."""
    joiner = bench.joiner
    if joiner is None or not joiner.joins:
        return _once(draft, bench, None, "assemble")
    try:
        return _once(draft, bench, joiner, "assemble")
    except NotJoined as refusal:
        return _anew(draft, bench, refusal, "assemble")


def sent_instead(draft: Draft, bench: Workbench, refusal: NotJoined) -> Draft:
    """Read the bytes once more and send them all, for the store completes no parts that it copied.

    Raises `Damaged` when they are not those that were read before.
    """
    again = _anew(draft, bench, refusal, "publish")
    if again.sha256 != draft.sha256:
        raise Damaged("Staging has other bytes than it had.")
    return again


def _anew(draft: Draft, bench: Workbench, refusal: NotJoined, step: str) -> Draft:
    log.info("parts_sent_instead", extra={"because": str(refusal)})
    bench.undo.run()
    bench.watch.check()
    return _once(draft, bench, None, step)


def _once(draft: Draft, bench: Workbench, joiner: Joiner | None, step: str) -> Draft:
    claim, verdict = draft.claim, draft.verdict
    if verdict is None:
        raise ValueError("parts are made after inspect")
    upload = claim.upload
    multipart_id = bench.objects.begin_multipart(
        upload.key,
        content_type=verdict.content_type,
        upload_id=upload.id,
        is_public=upload.is_public,
    )
    bench.undo.callback(bench.objects.abort_multipart, upload.key, multipart_id)
    if upload.replaces is None:
        bench.claims.started(claim, upload.key, multipart_id)
    sha256 = hashlib.sha256()
    blocks = hashed(noted(bench, claim, step), sha256)
    parts = _made(bench, claim, joiner, multipart_id, blocks)
    return replace(draft, multipart_id=multipart_id, parts=parts, sha256=sha256.hexdigest())


def _made(
    bench: Workbench,
    claim: Claim,
    joiner: Joiner | None,
    multipart_id: str,
    blocks: Iterator[bytes],
) -> tuple[Part, ...]:
    """Make parts while reading on, at most `parallel_parts` at once, from buffers used again."""
    key, size, stream = claim.upload.key, claim.upload.received, Stream(blocks)
    free = [BytesIO(bytes(part_length(size))) for _ in range(bench.parallel_parts + 1)]
    sending: dict[Future[Part], BytesIO | None] = {}
    parts: list[Part] = []

    def collect(done: Iterable[Future[Part]]) -> None:
        for future in done:
            body = sending.pop(future)
            if body is not None:
                free.append(body)
            parts.append(future.result())

    pool = ThreadPoolExecutor(bench.parallel_parts, thread_name_prefix="part")
    bench.undo.callback(pool.shutdown)  # before the abort, which would miss parts on their way
    try:
        cut = equal(size) if joiner is None else joined(claim.chunks, size)
        for number, piece in enumerate(cut, start=1):
            if joiner is not None and piece.chunk is not None:
                part = Part(number, piece.offset, piece.length, "", _summed(stream, piece))
                bench.watch.check()
                future = pool.submit(joiner.join, piece.chunk, piece.start, key, multipart_id, part)
                sending[future] = None
            else:
                body = _filled(free.pop(), stream, piece)
                bench.watch.check()
                future = pool.submit(
                    bench.objects.put_part, key, multipart_id, number, piece.offset, body
                )
                sending[future] = body
            collect([future for future in sending if future.done()])
            while len(sending) > bench.parallel_parts:
                collect(_done(bench, sending))
        stream.end()
        while sending:
            collect(_done(bench, sending))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return tuple(sorted(parts, key=lambda part: part.number))


def _done(bench: Workbench, sending: Iterable[Future[Part]]) -> set[Future[Part]]:
    """Wait for the next part, and look now and then whether to go on."""
    done = wait(sending, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED).done
    bench.watch.check()
    return done


def _summed(stream: Stream, piece: Piece) -> int:
    checksum = 0
    for view in stream.take(piece.length):
        checksum = crc64(view, checksum)
    return checksum


def _filled(buffer: BytesIO, stream: Stream, piece: Piece) -> BytesIO:
    buffer.seek(0)
    buffer.writelines(stream.take(piece.length))
    buffer.truncate()
    return buffer


def hashed(blocks: Iterator[bytes], sha256: "hashlib._Hash") -> Iterator[bytes]:
    for block in blocks:
        sha256.update(block)
        yield block


def noted(bench: Workbench, claim: Claim, step: str) -> Iterator[bytes]:
    """Pass the blocks on; stop when the job is not ours, and say now and then how far it is."""
    done, noted_at = 0, time.monotonic()
    for block in bench.source.blocks(claim):
        yield block
        done += len(block)
        if time.monotonic() - noted_at >= _NOTE_SECONDS:
            bench.watch.check()
            bench.claims.note(claim, step, done)
            noted_at = time.monotonic()
