"""Grants to upload: made by a caller, handed on by it, and taken back."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from uuid_utils.compat import uuid7

from shared.errors import NotFound, OutcomeUnknown
from shared.model.caller import Caller, Scope
from shared.model.grant import Grant
from shared.model.resumable import Capability
from shared.ports import Clock
from shared.records import Records, Transaction
from shared.services.finding import is_id, looked_up
from shared.services.releasing import give_up

_NOUN = "upload grant"


@dataclass(frozen=True, slots=True)
class GrantService:
    """`lifetime` is how long a grant is in force when nothing else is said."""

    records: Records
    clock: Clock
    lifetime: timedelta

    def give(self, caller: Caller, lifetime: timedelta | None) -> tuple[Grant, Capability]:
        """Make a grant to upload as this caller; its secret is nowhere but in the answer."""
        caller.require(Scope.FILES_WRITE)
        capability, now = Capability.new(str(uuid7())), self.clock.now()
        owner = (caller.tenant, caller.subject)
        new = Grant(capability.upload_id, *owner, capability.secret_sha256, now, now)
        try:
            with self.records.begin() as rows:
                made = rows.grants.add(new, lifetime or self.lifetime)
        except OutcomeUnknown as lost:
            made = looked_up(self.records, lost, lambda rows: rows.grants.find(new.id))
        return made, capability

    def enter(self, capability: Capability) -> Grant:
        """Return the grant of an address. Raises `NotFound`, also for one that is over."""
        grant = None
        if is_id(capability.upload_id):
            with self.records.read() as rows:
                grant = rows.grants.find(capability.upload_id)
        if grant is None or not grant.opens_with(capability.secret):
            raise NotFound(_NOUN)
        return grant

    def revoke(self, caller: Caller, grant_id: str) -> None:
        """End a grant: what was begun by it and is not whole goes on no more."""
        caller.require(Scope.FILES_WRITE)
        with self.records.begin() as rows:
            grant = rows.grants.find(grant_id) if is_id(grant_id) else None
            if grant is None or not caller.sees(tenant=grant.tenant, owner=grant.owner):
                raise NotFound(_NOUN)
            rows.grants.drop(grant_id)
            # What comes by links that still work is nobody's then, and is removed.
            give_up(rows, *rows.grants.begun(grant_id))


def held(rows: Transaction, grant_id: str) -> datetime:
    """Keep a grant in force as long as the transaction lasts, and return when it is over.

    So whoever ends it finds what is opened by it meanwhile. Raises `NotFound`.
    """
    expires_at = rows.grants.hold(grant_id)
    if expires_at is None:
        raise NotFound(_NOUN)
    return expires_at
