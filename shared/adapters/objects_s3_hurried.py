"""The same bucket for those whom somebody waits for: short time-outs, and none twice.

A store that did not answer is left alone until it does; meanwhile everybody hears so at once.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError

from shared.adapters.client_s3 import HURRIED, Patience, S3Place, translated
from shared.adapters.objects_s3 import S3Objects
from shared.adapters.objects_s3_copies import COPIED_AT_ONCE
from shared.adapters.silence import Silence
from shared.errors import AccessDenied, NotFound, Unavailable


class HurriedS3Objects(S3Objects):
    def __init__(
        self,
        place: S3Place,
        patience: Patience = HURRIED,
        *,
        copied_at_once: int = COPIED_AT_ONCE,
    ) -> None:
        super().__init__(place, patience, copied_at_once=copied_at_once)
        self._silence = Silence("objects", self._answers)

    @contextmanager
    def _asking(self, key: str) -> Iterator[None]:
        if self._silence:
            raise Unavailable("objects", "The object store does not answer.")
        try:
            with translated(key):
                yield
        except Unavailable as outage:
            if not isinstance(outage, AccessDenied) and not isinstance(
                outage.__cause__, ClientError
            ):  # those are answers
                self._silence.begin()
            raise

    def _answers(self) -> bool:
        try:
            with translated(self._place.bucket):
                self._client.head_bucket(Bucket=self._place.bucket)
        except (NotFound, Unavailable) as said:
            return isinstance(said.__cause__, ClientError)
        return True
