"""Rates in Redis: a moving window for each user and kind of request, over all web processes.

Never raises: what Redis does not count goes on, for the database alone is the truth. While it does
not answer nobody waits for it.
"""

import logging
import math
import time
from collections.abc import Mapping

from limits import parse
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter
from redis import Redis
from redis.exceptions import RedisError, ResponseError

from shared.adapters.silence import Silence
from shared.model.caller import Caller
from shared.model.rate import Standing

log = logging.getLogger(__name__)


class RedisRates:
    """`limits` are texts like `10/minute`, by the name of what is counted."""

    def __init__(
        self, client: Redis, limits: Mapping[str, str], *, prefix: str = "sluice:rate"
    ) -> None:
        self._client = client
        self._limits = {name: parse(text) for name, text in limits.items()}
        self._window = MovingWindowRateLimiter(
            RedisStorage("redis://", connection_pool=client.connection_pool, key_prefix=prefix)
        )
        self._silence = Silence("rates", self._answers)

    def count(self, name: str, caller: Caller) -> Standing | None:
        limit = self._limits.get(name)
        if limit is None or self._silence:
            return None
        # The subject last: the others can't have a slash.
        user = (name, caller.tenant, caller.subject)
        try:
            is_over = not self._window.hit(limit, *user)
            resets_at, remaining = self._window.get_window_stats(limit, *user)
        except RedisError as error:
            self._give_up(error)
            return None
        return Standing(
            name,
            limit.amount,
            limit.get_expiry(),
            max(0, remaining),
            max(1, math.ceil(resets_at - time.time())),
            is_over,
        )

    def _give_up(self, error: RedisError) -> None:
        if not isinstance(error, ResponseError):  # that is an answer: it is full, or a replica
            self._silence.begin()
        log.warning("rate_not_counted")

    def _answers(self) -> bool:
        try:
            self._client.ping()
        except ResponseError:
            return True
        except RedisError:
            return False
        return True
