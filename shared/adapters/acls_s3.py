"""ACLs of an S3 store: whether it takes them, and whether they let anybody read, learned by asking.

A store that refuses them gets the same request without; none is refused for its ACL alone.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError

from shared.adapters.client_s3 import Patience, S3Place, s3_client, translated

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

_NEVER: Final = frozenset({"AccessControlListNotSupported", "NotImplemented", "501"})
# The last one is also said where public access is blocked, or the role may not set ACLs.
_REFUSED: Final = _NEVER | {"AccessDenied"}
_PAUSE_SECONDS: Final = 10.0

Answer = TypeVar("Answer")


class Acls:
    """Of the objects of public files, if `place.public_acl` says so; else of none."""

    def __init__(self, place: S3Place, client: "S3Client", patience: Patience) -> None:
        self._place = place
        self._client = client
        self._patience = patience
        self._taken = place.public_acl
        self._honoured: bool | None = None if place.public_acl else False
        self._asking = threading.Lock()
        self._ask_at = 0.0

    def sent(self, is_public: bool, send: Callable[..., Answer], **said: Any) -> Answer:
        """Send a write, with the ACL of a public object if that is one and the store takes it."""
        if not (is_public and self._taken):
            return send(**said)
        try:
            return send(**said, ACL="public-read")
        except ClientError as error:
            if _code(error) not in _REFUSED:
                raise
            answer = send(**said)  # raises what was not for the ACL
            self._taken = self._honoured = False
            log.warning("public_acl_refused", extra={"code": _code(error)})
            return answer

    def put(self, key: str, *, is_public: bool) -> None:
        """Make an object readable to all, or to nobody else. A store without ACLs needs neither."""
        if not self._taken and (is_public or not self._place.public_acl):
            return
        acl = "public-read" if is_public else "private"
        with translated(key):
            try:
                self._client.put_object_acl(
                    Bucket=self._place.bucket,
                    Key=key,
                    ACL=acl,  # type: ignore[arg-type]  # it is one of the two
                )
            except ClientError as error:
                if _code(error) not in (_REFUSED if is_public else _NEVER):
                    raise
                log.warning("public_acl_refused", extra={"code": _code(error)})

    def are_honoured(self) -> bool:
        """Say whether anybody may read what has the ACL, as far as is known; never waits.

        Where it is not known a thread finds out, with an object of its own that it takes away again.
        """
        due = self._honoured is None and time.monotonic() >= self._ask_at
        if due and self._asking.acquire(blocking=False):
            threading.Thread(target=self._ask, name="acl-question", daemon=True).start()
        return bool(self._honoured)

    def _ask(self) -> None:
        try:
            self._honoured = self._found()
            if self._honoured is False:
                log.warning("public_acl_without_effect")
        finally:
            self._ask_at = time.monotonic() + _PAUSE_SECONDS
            self._asking.release()

    def _found(self) -> bool | None:
        """Return whether a stranger may read an object with the ACL, None where nobody says."""
        bucket, key = self._place.bucket, f".sluice-acl-{uuid4().hex}"
        try:
            self._client.put_object(Bucket=bucket, Key=key, ACL="public-read")
        except ClientError as error:
            return False if _code(error) in _NEVER else None
        except (BotoCoreError, OSError):
            return None
        try:
            stranger = s3_client(self._place, self._place.endpoint, self._patience, anonymous=True)
            stranger.get_object(Bucket=bucket, Key=key)["Body"].close()
        except ClientError as error:
            return False if _code(error) in {"AccessDenied", "403"} else None
        except (BotoCoreError, OSError):
            return None
        else:
            return True
        finally:
            with suppress(ClientError, BotoCoreError, OSError):
                self._client.delete_object(Bucket=bucket, Key=key)


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")
