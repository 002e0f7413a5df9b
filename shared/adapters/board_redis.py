"""The board in Redis: one hash a job, replaced only by a newer version, gone after two days.

Never raises but in `check`: what Redis does not know or say, the database does. When it does not
answer, it is left alone for a moment, so that no request waits for each of its time-outs; only what
would be wrong without (`forget`) is tried at all times.
"""

import logging
import time
from collections.abc import Sequence
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from redis import Redis
from redis.exceptions import RedisError, ResponseError

from shared.errors import Unavailable
from shared.model.job import JobStatus

log = logging.getLogger(__name__)

_KEEP_SECONDS: Final = 2 * 24 * 3600
_ALIVE_SECONDS: Final = 30
_PAUSE_SECONDS: Final = 1.0
_STATUS: Final = TypeAdapter(JobStatus)

# Replace unless a newer version is shown. KEYS: job; ARGV: version, body, seconds to keep.
_PUT: Final = """
local shown = tonumber(redis.call('HGET', KEYS[1], 'version'))
if shown and shown > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'body', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
"""


class RedisBoard:
    def __init__(self, client: Redis, *, prefix: str = "sluice:") -> None:
        self._client = client
        self._prefix = prefix
        self._put = client.register_script(_PUT)
        self._silent_until = 0.0

    def put(self, status: JobStatus) -> None:
        if self._is_silent:
            return
        body = _STATUS.dump_json(status)
        try:
            self._put(
                keys=[self._key(status.job.id)], args=[status.job.version, body, _KEEP_SECONDS]
            )
        except RedisError as error:
            self._give_up(error, "board_not_written", job_id=status.job.id)

    def find(self, job_ids: Sequence[str]) -> dict[str, JobStatus]:
        if self._is_silent:
            return {}
        pipeline = self._client.pipeline(transaction=False)
        for job_id in job_ids:
            pipeline.hget(self._key(job_id), "body")
        try:
            bodies = pipeline.execute(raise_on_error=False)
        except RedisError as error:
            self._give_up(error, "board_not_read", jobs=len(job_ids))
            return {}
        found = {}
        for job_id, body in zip(job_ids, bodies, strict=True):
            if isinstance(body, bytes) and (status := _parsed(body)) is not None:
                found[job_id] = status
        return found

    def forget(self, job_ids: Sequence[str]) -> None:
        try:
            self._client.delete(*(self._key(job_id) for job_id in job_ids))
        except RedisError as error:
            self._give_up(error, "board_not_written", jobs=len(job_ids))

    def beat(self, worker: str) -> None:
        try:
            self._client.set(f"{self._prefix}worker:{worker}", "1", ex=_ALIVE_SECONDS)
        except RedisError as error:
            self._give_up(error, "board_not_written", worker=worker)

    def workers(self) -> list[str]:
        start = f"{self._prefix}worker:"
        try:
            keys = list(self._client.scan_iter(f"{start}*", count=1000))
        except RedisError:
            return []
        return sorted(key.decode(errors="replace").removeprefix(start) for key in keys)

    def check(self) -> None:
        try:
            self._client.ping()
        except RedisError as error:
            raise Unavailable("board", "Redis does not answer.") from error

    @property
    def _is_silent(self) -> bool:
        return time.monotonic() < self._silent_until

    def _give_up(self, error: RedisError, event: str, **facts: Any) -> None:
        if not isinstance(error, ResponseError):  # that is an answer
            self._silent_until = time.monotonic() + _PAUSE_SECONDS
        log.warning(event, extra=facts)

    def _key(self, job_id: str) -> str:
        return f"{self._prefix}job:{job_id}"


def redis_client(url: str) -> Redis:
    """Return a client that gives up soon: a frozen Redis must not hold a request."""
    return Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1, health_check_interval=10)


def _parsed(body: bytes) -> JobStatus | None:
    """A body of another release, or a stranger's, is no status."""
    try:
        return _STATUS.validate_json(body)
    except ValidationError:
        return None
