"""Who asks: the authenticated principal of a request."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from shared.errors import Forbidden


class Scope(StrEnum):
    FILES_READ = "files:read"
    FILES_WRITE = "files:write"
    FILES_DELETE = "files:delete"
    WEBHOOKS = "webhooks"
    ADMIN = "admin"


# What a token without a `scope` claim may do.
DEFAULT_SCOPES: Final = frozenset(
    {Scope.FILES_READ, Scope.FILES_WRITE, Scope.FILES_DELETE, Scope.WEBHOOKS}
)


@dataclass(frozen=True, slots=True)
class Caller:
    """One user of one tenant. `admin` sees its whole tenant, everybody else what they own."""

    subject: str
    tenant: str = "default"
    scopes: frozenset[Scope] = DEFAULT_SCOPES

    @property
    def is_admin(self) -> bool:
        return Scope.ADMIN in self.scopes

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes or self.is_admin

    def require(self, scope: Scope) -> None:
        """Raise `Forbidden` unless the token carries `scope`; `admin` carries all."""
        if not self.may(scope):
            raise Forbidden(f"This token lacks the scope {scope}.", scope=str(scope))

    def sees(self, *, tenant: str, owner: str) -> bool:
        return tenant == self.tenant and (self.is_admin or owner == self.subject)
