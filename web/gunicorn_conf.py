"""gunicorn's settings: threads, so that slow bodies and waits share few processes."""

import resource
import sys
from importlib import import_module
from typing import Final

from shared.config import BadSettings, settings

# Once, before the fork: a process is there, or back, a second earlier. The application itself is made
# after it.
import_module("web.app")

_MOST_FILES: Final = 8192  # more than that many is of no use here
_FILES_OF_A_THREAD: Final = 7  # its client, staging, the database, Redis twice, the store, a spare

try:
    settings()
except BadSettings as error:
    sys.exit(f"sluice: {error}")

_soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
_files = max(_soft, _MOST_FILES if _hard == resource.RLIM_INFINITY else min(_hard, _MOST_FILES))
resource.setrlimit(resource.RLIMIT_NOFILE, (_files, _hard))

bind = f"{settings().bind}:{settings().port}"
worker_class = "web.server.worker.Worker"
workers = settings().web_workers
threads = settings().web_threads
# Further clients wait in the kernel's queue.
worker_connections = max(threads + 1, min(1000, _files - _FILES_OF_A_THREAD * threads))
keepalive = 30
timeout = 120
graceful_timeout = 20
max_requests = 0
control_socket_disable = True
accesslog = None
errorlog = "-"
loglevel = "warning"
limit_request_line = 8190
secure_scheme_headers: dict[
    str, str
] = {}  # TRUSTED_PROXIES says who is believed, to the application
http_parser = "python"  # the other one could wait for more of a head than was waited for
sendfile = False  # it would go past what the server still has to send
