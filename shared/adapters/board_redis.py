"""The board in Redis: one hash a job, replaced only by a newer version, gone after two days.

Never raises but in `check`: what Redis does not know or say, the database does. While it does not
answer it is left alone; what changes meanwhile, it is told to forget before we read it again.
"""

import logging
import threading
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import islice
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

from shared.adapters.silence import Silence
from shared.errors import Unavailable
from shared.model.job import JobStatus, Shown

log = logging.getLogger(__name__)

_KEEP_SECONDS: Final = 2 * 24 * 3600
_FORGOTTEN_SECONDS: Final = 60  # longer than who read a row may take to put it
_MOST_OWED: Final = 50_000
_PAID_AT_ONCE: Final = 1000
_NEWEST: Final = 2**53  # no version is newer; Lua counts no further
_ALIVE_SECONDS: Final = 30
_CHECK_SECONDS: Final = 60
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
        self._silence = Silence("board", self._answers)
        self._owed: set[str] = set()
        self._owed_lock = threading.Lock()

    def put(self, status: JobStatus) -> None:
        job = status.job
        if self._silence:
            self._owe([job.id])
            return
        try:
            body = _STATUS.dump_json(status)
            self._put(keys=[self._key(job.id)], args=[job.version, body, _KEEP_SECONDS])
        except ValueError:  # half a character in a name, as file systems know them
            log.exception("board_not_written", extra={"job_id": job.id})
            self.forget([job.id])
        except RedisError as error:
            self._give_up(error, "board_not_written", job_id=job.id)
            self.forget([job.id])  # what it shows is not true any more

    def find(self, job_ids: Sequence[str]) -> dict[str, Shown]:
        if self._silence:
            return {}
        pipeline = self._client.pipeline(transaction=False)
        for job_id in job_ids:
            # The time first: put in between, the body is younger than it is said to be.
            pipeline.pttl(self._key(job_id))
            pipeline.hget(self._key(job_id), "body")
        try:
            said = pipeline.execute(raise_on_error=False)
        except RedisError as error:
            self._give_up(error, "board_not_read", jobs=len(job_ids))
            return {}
        found = {}
        for job_id, left, body in zip(job_ids, said[::2], said[1::2], strict=True):
            if isinstance(body, bytes) and (status := _parsed(body)) is not None:
                found[job_id] = Shown(status, _age(left))
        return found

    def forget(self, job_ids: Sequence[str]) -> None:
        """Leave what refuses all puts for a while: some may have read the rows before us."""
        self._owe(job_ids)
        if self._silence:
            return
        try:
            self._pay()
        except RedisError as error:
            self._give_up(error, "board_not_written", jobs=len(job_ids))

    def job_ids(self) -> Iterator[str]:
        if self._silence:
            return
        start = self._key("")
        try:
            for key in self._client.scan_iter(f"{start}*", count=1000):
                yield key.decode(errors="replace").removeprefix(start)
        except RedisError as error:
            self._give_up(error, "board_not_read")

    def beat(self, worker: str) -> None:
        if self._silence:
            return
        try:
            self._client.set(f"{self._prefix}worker:{worker}", "1", ex=_ALIVE_SECONDS)
        except RedisError as error:
            self._give_up(error, "board_not_written", worker=worker)

    def workers(self) -> list[str]:
        if self._silence:
            return []
        start = f"{self._prefix}worker:"
        try:
            keys = list(self._client.scan_iter(f"{start}*", count=1000))
        except RedisError as error:
            self._give_up(error, "board_not_read")
            return []
        return sorted(key.decode(errors="replace").removeprefix(start) for key in keys)

    def check(self) -> None:
        """Write something: a Redis that is full, or has become a replica, still answers a PING."""
        try:
            self._client.set(f"{self._prefix}check", "1", ex=_CHECK_SECONDS)
        except ResponseError as error:
            raise Unavailable("board", "Redis refuses to write.") from error
        except RedisError as error:
            raise Unavailable("board", "Redis does not answer.") from error

    def _answers(self) -> bool:
        """Tell whether Redis answers again, and then what it is owed."""
        try:
            self._client.ping()
            self._pay()
        except ResponseError:
            return True
        except RedisError:
            return False
        return True

    def _owe(self, job_ids: Sequence[str]) -> None:
        with self._owed_lock:
            if len(self._owed) < _MOST_OWED:
                self._owed.update(job_ids)

    def _pay(self) -> None:
        """Forget all that is to be forgotten, of this call or since an outage."""
        while owed := set(islice(self._owed.copy(), _PAID_AT_ONCE)):
            pipeline = self._client.pipeline(transaction=True)
            for key in map(self._key, owed):
                pipeline.delete(key)
                pipeline.hset(key, "version", str(_NEWEST))
                pipeline.expire(key, _FORGOTTEN_SECONDS)
            try:
                pipeline.execute()
            except ResponseError:  # one that is full can't take the mark, but delete it can
                self._client.delete(*map(self._key, owed))
            with self._owed_lock:
                self._owed -= owed

    def _give_up(self, error: RedisError, event: str, **facts: Any) -> None:
        if not isinstance(error, ResponseError):  # that is an answer
            self._silence.begin()
        log.warning(event, extra=facts)

    def _key(self, job_id: str) -> str:
        return f"{self._prefix}job:{job_id}"


def redis_client(url: str, *, seconds: float = 1) -> Redis:
    """Return a client that gives up soon: a frozen Redis must not hold a request.

    It tries again only what met a connection that ended while nobody used it.
    """
    again = Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,))
    return Redis.from_url(
        url,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        health_check_interval=10,
        retry=again,
    )


def _age(milliseconds_left: int) -> timedelta:
    """How long ago it was put, from when it will be gone: by Redis's clock alone."""
    return timedelta(seconds=_KEEP_SECONDS) - timedelta(milliseconds=max(0, milliseconds_left))


def _parsed(body: bytes) -> JobStatus | None:
    """A body of another release, or a stranger's, is no status."""
    try:
        return _STATUS.validate_json(body)
    except ValidationError:
        return None
