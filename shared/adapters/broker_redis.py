"""Kombu's transport for Redis, with the end of a connection told as one.

As kombu 5.7 has it, a channel that is closed after its connection asks a transport that is gone for
the address, and the AttributeError of that ends the worker, as often as the broker goes away.
"""

from typing import Any, Final

from kombu.transport import redis
from redis.exceptions import ConnectionError as RedisConnectionError


class Channel(redis.Channel):
    def _connparams(self, asynchronous: bool = False) -> Any:
        transport: Any = self.connection
        if transport is None or transport.client is None:
            raise RedisConnectionError("the connection of this channel is closed")
        return super()._connparams(asynchronous=asynchronous)  # type: ignore[misc]  # not in its stub


class Transport(redis.Transport):
    Channel = Channel


# By the scheme of the broker's URL.
ALIASES: Final = dict.fromkeys(("redis", "rediss"), f"{__name__}:{Transport.__name__}")
