"""Which ports a copy uses: all follow from `PORT`, so two copies run side by side."""

import errno
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from tools.refusal import Refused

DEFAULT_PORT: Final = 8080
HIGHEST_PORT: Final = 45_000
HIGHEST_S3_PORT: Final = 55_000
GRPC_OFFSET: Final = 10_000  # SeaweedFS listens on each of its ports, and on that plus 10000
S3_PARTS: Final = ("S3", "the S3 master", "the S3 volumes", "the S3 filer", "the S3 admin")


@dataclass(frozen=True, slots=True)
class Ports:
    """The port of each part; SeaweedFS takes five from `s3` on, and their gRPC twins."""

    web: int
    redis: int
    flower: int
    s3: int

    @classmethod
    def chosen(cls, configured: Mapping[str, str]) -> "Ports":
        """Follow `PORT` wherever a port of its own is not set."""
        web = _port(configured, "PORT", DEFAULT_PORT, HIGHEST_PORT)
        return cls(
            web=web,
            redis=_port(configured, "REDIS_PORT", web + 1),
            flower=_port(configured, "FLOWER_PORT", web + 2),
            s3=_port(configured, "S3_PORT", web + 10, HIGHEST_S3_PORT),
        )

    def needed(self, *, redis: bool, s3: bool) -> Iterator[tuple[int, str]]:
        """Yield each port that will be listened on, and who listens."""
        yield self.web, "web (PORT)"
        if redis:
            yield self.redis, "valkey (REDIS_PORT)"
        yield self.flower, "flower (FLOWER_PORT)"
        if s3:
            for number, name in enumerate(S3_PARTS, self.s3):
                yield number, f"{name} (S3_PORT)"
                yield number + GRPC_OFFSET, f"{name}'s gRPC (S3_PORT + {GRPC_OFFSET})"


def refuse_taken(needed: Iterator[tuple[int, str]]) -> None:
    """Raise `Refused` naming the first port that is wanted twice or is in use."""
    owners: dict[int, str] = {}
    for port, owner in needed:
        if port in owners:
            raise Refused(f"port {port} is wanted by {owners[port]} and by {owner}: change one")
        owners[port] = owner
    for port, owner in owners.items():
        if _is_taken(port):
            raise Refused(f"port {port} is in use, and {owner} needs it: free it or change PORT")


def _is_taken(port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EACCES:
                raise Refused(f"port {port} may not be used by this user: change PORT") from None
            return True
        return False


def _port(configured: Mapping[str, str], name: str, default: int, highest: int = 65_535) -> int:
    text = configured.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= highest):
        raise Refused(f"{name} is {text!r}, and must be a number from 1 to {highest}")
    return int(text)
