"""One pass over the bytes: their SHA-256, and the parts of the object.

What lies in the store already is read and not sent again: the store copies it at the end.
Parts are cut from the sequence, ignoring the borders of chunks: equal, and as large as it takes to
stay within 10,000. Where staging is in the store, too, it copies the parts that are in one chunk
(`worker.pieces`), and only the rest is sent. A small file is kept in memory for one PUT. Nothing is readable under the final
key until `publish` completes it.
"""

import hashlib
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from io import BytesIO
from typing import Final

from shared.errors import Rejected
from shared.model.digest import crc64
from shared.model.direct import Direct
from shared.model.naming import thumbnail_key
from shared.model.stored import Copied, Part
from shared.services.claims import Claim
from worker import images, pieces
from worker.draft import Draft, Workbench
from worker.pieces import Piece, Stream, equal, joined, part_length

_NOTE_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 1.0


def assemble(draft: Draft, bench: Workbench) -> Draft:
    """Raise `Rejected` when the whole is not what the client said it would be."""
    claim, verdict = draft.claim, draft.verdict
    if verdict is None:
        raise ValueError("assemble runs after inspect")
    upload = claim.upload
    names = (
        [spec.name for spec in bench.thumbnails] if images.supports(verdict.content_type) else []
    )
    intended = [thumbnail_key(upload.id, name) for name in names]
    if upload.replaces is None:  # else the key is that file's until this one is published
        intended.append(upload.key)
    bench.claims.intend(claim, intended)
    sha256 = hashlib.sha256()
    blocks = _hashed(_noted(bench, claim), sha256)
    if claim.direct is not None:
        draft = _read_through(draft, claim.direct, blocks)
    elif upload.received <= pieces.SMALL_BYTES:
        draft = replace(draft, body=b"".join(blocks))
    else:
        multipart_id = bench.objects.begin_multipart(
            upload.key,
            content_type=verdict.content_type,
            upload_id=upload.id,
            is_public=upload.is_public,
        )
        bench.undo.callback(bench.objects.abort_multipart, upload.key, multipart_id)
        if upload.replaces is None:
            bench.claims.started(claim, upload.key, multipart_id)
        parts = _sent(bench, claim, multipart_id, blocks)
        draft = replace(draft, multipart_id=multipart_id, parts=parts)
    digest = sha256.hexdigest()
    if upload.sha256 not in {None, digest}:
        raise Rejected(
            "digest_mismatch",
            "The file's SHA-256 is not the one that was announced.",
            expected=upload.sha256,
            actual=digest,
        )
    return replace(draft, sha256=digest)


def _read_through(draft: Draft, direct: Direct, blocks: Iterator[bytes]) -> Draft:
    """Sum up what lies in the store already; keep what the next steps would read again, if small."""
    length = checksum = 0
    kept: list[bytes] | None = [] if draft.claim.upload.received <= pieces.SMALL_BYTES else None
    for block in blocks:
        length += len(block)
        checksum = crc64(block, checksum)
        if kept is not None:
            kept.append(block)
    copied = Copied(length, checksum, direct.etag or "")
    return replace(draft, copied=copied, body=None if kept is None else b"".join(kept))


def _sent(
    bench: Workbench, claim: Claim, multipart_id: str, blocks: Iterator[bytes]
) -> tuple[Part, ...]:
    """Send parts while reading on, at most `parallel_parts` at once, from buffers used again.

    What lies in the store, and is long enough, the store copies.
    """
    key, size, stream = claim.upload.key, claim.upload.received, Stream(blocks)
    length = part_length(size)
    free = [BytesIO(bytes(length)) for _ in range(bench.parallel_parts + 1)]
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
        for number, piece in enumerate(_pieces(bench, claim), start=1):
            if bench.joiner is not None and piece.chunk is not None:
                part = Part(number, piece.offset, piece.length, "", _summed(stream, piece))
                bench.watch.check()
                future = pool.submit(
                    bench.joiner.join, piece.chunk, piece.start, key, multipart_id, part
                )
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


def _pieces(bench: Workbench, claim: Claim) -> Iterator[Piece]:
    size = claim.upload.received
    return equal(size) if bench.joiner is None else joined(claim.chunks, size)


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


def _hashed(blocks: Iterator[bytes], sha256: "hashlib._Hash") -> Iterator[bytes]:
    for block in blocks:
        sha256.update(block)
        yield block


def _noted(bench: Workbench, claim: Claim) -> Iterator[bytes]:
    """Pass the blocks on; stop when the job is not ours, and say now and then how far it is."""
    done, noted_at = 0, time.monotonic()
    for block in bench.source.blocks(claim):
        yield block
        done += len(block)
        if time.monotonic() - noted_at >= _NOTE_SECONDS:
            bench.watch.check()
            bench.claims.note(claim, "assemble", done)
            noted_at = time.monotonic()
