"""How far the database has come, noted in the bucket: so a database that is older than that is known.

A number in the database, and the same in an object of ours. It grows when there is a new upload or
file, in the database first. One that was restored from a dump has a lower number than the bucket, and
catches up by nothing that it does: what has come since the dump has objects there, and no rows.

Invariant: while the database is behind, nothing is removed for want of a row.
"""

import logging
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from shared.errors import Conflict, KeyTaken, NotFound
from shared.records import Transaction
from shared.services.sweeps.runs import Run, Sweeper

log = logging.getLogger(__name__)

_LEASE: Final = "high-water"
_HOLDER: Final = "database"  # whoever it is: the row is locked, and not kept
_SEEN_BEFORE: Final = ("object", "staging", "multipart")  # kinds of sightings
_LONGEST: Final = 200  # bytes of the object that are read
_OLDER: Final = "The database is older than the bucket; nothing without a row is removed."


@dataclass(frozen=True, slots=True)
class _Mark:
    """`ident` is the database's, made once; dumps of it have the same."""

    ident: str
    number: int


def high_water(sweeper: Sweeper, run: Run) -> None:
    """Note in the bucket that there is something new; with `alarm` where the database is behind."""
    noted = _noted(sweeper)  # first: meanwhile the database's may only grow
    with sweeper.records.read() as rows:
        own, progress = _own(rows), rows.audits.progress()
        said = _said(rows).get("progress")
    if _is_older(own, noted):
        _alarm(run, own, noted)
    elif not run.dry_run and (own is None or own != noted or said != progress):
        following = own if own is not None and said == progress else _following(own)
        if _kept(sweeper, own, following, progress):
            _note(sweeper, following)


def is_behind(sweeper: Sweeper, run: Run) -> bool:
    """Say whether rows may be missing that the bucket's objects once had; then the run has an alarm."""
    noted = _noted(sweeper)
    with sweeper.records.read() as rows:
        own = _own(rows)
    if not _is_older(own, noted):
        return False
    _alarm(run, own, noted)
    return True


def settle(sweeper: Sweeper) -> None:
    """Go on with this database, though it is behind: what has no row may go after another grace.

    For operators, who have looked. Raises `Conflict` where it is not behind, and `Unavailable`.
    """
    noted = _noted(sweeper)
    with sweeper.records.read() as rows:
        own, progress = _own(rows), rows.audits.progress()
    if noted is None or not _is_older(own, noted):
        raise Conflict("The database is not older than the bucket.")
    number = max(noted.number, 0 if own is None else own.number) + 1
    following = _Mark(noted.ident, number)
    if not _kept(sweeper, own, following, progress):
        raise Conflict("Somebody else has just settled this.")
    with sweeper.records.begin() as rows:
        for kind in _SEEN_BEFORE:  # before the dump, or since
            rows.leases.forget_unseen(kind, rows.now() + timedelta(seconds=1))
    _note(sweeper, following)
    log.warning("older_database_settled", extra={"number": number})


def _is_older(own: _Mark | None, noted: _Mark | None) -> bool:
    if noted is None:
        return False
    return own is None or own.ident != noted.ident or own.number < noted.number


def _alarm(run: Run, own: _Mark | None, noted: _Mark | None) -> None:
    numbers = {
        "number": None if own is None else own.number,
        "noted": None if noted is None else noted.number,
    }
    log.error("database_is_older", extra={"sweep": run.sweep, **numbers})
    run.facts["alarm"] = _OLDER


def _following(own: _Mark | None) -> _Mark:
    return _Mark(secrets.token_hex(8), 1) if own is None else _Mark(own.ident, own.number + 1)


def _said(rows: Transaction) -> dict[str, Any]:
    return (rows.leases.find(_LEASE) or {}).get("result") or {}


def _own(rows: Transaction) -> _Mark | None:
    said = _said(rows)
    return _Mark(said["ident"], said["number"]) if said else None


def _kept(sweeper: Sweeper, before: _Mark | None, following: _Mark, progress: str) -> bool:
    """Keep the mark in the database, unless another has one there by now."""
    with sweeper.records.begin() as rows:
        rows.leases.take(_LEASE, _HOLDER, timedelta())
        if _own(rows) != before:
            return False
        result = {"ident": following.ident, "number": following.number, "progress": progress}
        rows.leases.leave(_LEASE, _HOLDER, result)
        return True


def _noted(sweeper: Sweeper) -> _Mark | None:
    objects, key = sweeper.objects, sweeper.rules.high_water
    if objects.find(key) is None:  # and not the bucket, or the disk
        return None
    try:
        said = b"".join(objects.read(key, 0, _LONGEST)).decode(errors="replace").strip()
    except NotFound:
        return None
    ident, _, number = said.rpartition(" ")
    return _Mark(ident, int(number)) if number.isdecimal() else _Mark(said, 0)


def _note(sweeper: Sweeper, mark: _Mark) -> None:
    objects, key = sweeper.objects, sweeper.rules.high_water
    there = objects.find(key)
    body = f"{mark.ident} {mark.number}\n".encode()
    over = None if there is None else there.etag
    try:
        objects.put(key, body, content_type="text/plain", upload_id="sluice", over=over)
    except KeyTaken:  # somebody else notes it: the next run looks again
        log.info("high_water_taken", extra={"number": mark.number})
