"""A right to upload that is handed on: its address has it inside, for clients that send no headers."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.model.caller import Caller, Scope
from shared.model.resumable import opens

_SCOPES: Final = frozenset({Scope.FILES_WRITE})


@dataclass(frozen=True, slots=True)
class Grant:
    """One row of `grants`: who uploads by it owns nothing, all is the owner's."""

    id: str
    tenant: str
    owner: str
    secret_sha256: str
    created_at: datetime
    expires_at: datetime

    def opens_with(self, secret: str) -> bool:
        return opens(self.secret_sha256, secret)

    @property
    def holder(self) -> "Holder":
        return Holder(Caller(self.owner, self.tenant, _SCOPES), self.id)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who sends: a caller, maybe by a grant, which reaches only what was opened by it."""

    caller: Caller
    grant_id: str | None = None
