"""Which processes make the service, in which order: the stages that the supervisor starts.

`Procfile` lists the same processes for a host that has its own stores.
"""

import socket
import sys
from dataclasses import replace
from typing import Final

from tools import valkey, weed
from tools.embedded import Embedded
from tools.part import Part, Stage
from tools.probes import celery_answers, http_answers

CELERY: Final = ("celery", "-q", "-A", "worker.app")
_A_DAY: Final = 24 * 3600.0


def stages(embedded: Embedded) -> tuple[Stage, ...]:
    """Return the stages: stores, their preparation, then everything that uses them."""
    stores: list[Part] = []
    preparations: list[Part] = []
    if embedded.broker:
        stores.append(valkey.part(embedded))
    if embedded.objects:
        stores.append(weed.part(embedded))
        preparations += [_once("bucket", "make-bucket"), weed.synced_writes(embedded)]
    # A large database of our user's own may want hours, and half an index is none.
    stores.append(replace(_once("migrate", "migrate"), ready_within_seconds=_A_DAY))
    return tuple(filter(None, (tuple(stores), tuple(preparations), _service(embedded))))


def _service(embedded: Embedded) -> Stage:
    ports = embedded.ports
    return (
        Part(
            "web",
            _python("gunicorn", "-c", "web/gunicorn_conf.py", "web.wsgi:app"),
            ready=http_answers(embedded.web("/healthz")),
            stops_within_seconds=35,
        ),
        _worker(embedded, "worker", "ingest", "ingest"),
        _worker(embedded, "worker-io", "io", "webhooks,maintenance", "-P", "threads", "-c", "16"),
        Part("reconciler", _python("worker.reconciler")),
        Part(
            "beat",
            _python(*CELERY, "beat", "-s", str(embedded.folder.beat / "schedule"), "--pidfile="),
            folder=embedded.folder.beat,
        ),
        Part(
            "flower",
            _python(
                *(*CELERY, "flower", "--logging=error"),
                *("--address=127.0.0.1", f"--port={ports.flower}"),
            ),
            ready=http_answers(f"http://127.0.0.1:{ports.flower}/healthcheck"),
        ),
    )


def _worker(embedded: Embedded, name: str, node: str, queues: str, *options: str) -> Part:
    # Copies that share a broker must not share node names, or a ping reaches the other one. What
    # mingling workers would tell one another, tasks that were revoked, is not used: it takes a second.
    full_name = f"{node}-{embedded.ports.web}@{socket.gethostname()}"
    return Part(
        name,
        _python(*CELERY, "worker", "-Q", queues, "-n", full_name, *options, "--without-mingle"),
        ready=celery_answers(embedded.variables["REDIS_URL"], full_name),
        stops_within_seconds=30,
    )


def _once(name: str, command: str) -> Part:
    return Part(name, _python("cli", command), once=True)


def _python(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, *arguments)
