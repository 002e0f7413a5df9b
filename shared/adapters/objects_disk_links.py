"""Links to objects in a folder: our own, signed and expiring; a folder gives nothing to anybody."""

from datetime import timedelta
from typing import Final
from urllib.parse import quote

from itsdangerous import BadData, URLSafeTimedSerializer

from shared.errors import NotFound

_SALT: Final = "sluice-object-link"
_LONGEST_LINK_SECONDS: Final = 7 * 24 * 3600


class DiskLinks:
    def __init__(self, base_url: str, secret: str) -> None:
        self._base_url = base_url
        self._signer = URLSafeTimedSerializer(secret, salt=_SALT)

    def presign(self, key: str, lifetime: timedelta, *, disposition: str, content_type: str) -> str:
        said = [key, int(lifetime.total_seconds()), disposition, content_type]
        return f"{self._base_url}/objects/{self._signer.dumps(said)}"

    def opened(self, token: str) -> tuple[str, str, str]:
        """Return key, disposition and type of one of our links. Raises `NotFound` otherwise."""
        try:
            said = self._signer.loads(token, max_age=_LONGEST_LINK_SECONDS)
            key, lifetime, disposition, content_type = said
            self._signer.loads(token, max_age=lifetime)
        except (BadData, ValueError) as error:
            raise NotFound("link") from error
        return key, disposition, content_type

    def url(self, key: str) -> str:
        return f"{self._base_url}/objects/{quote(key)}"

    gives_away = False

    def set_public(self, key: str, *, is_public: bool) -> None:
        """Do nothing: a folder gives nothing to anybody."""

    def public_url(self, key: str) -> str | None:
        del key
        return None
