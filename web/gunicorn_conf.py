"""gunicorn's settings: threads, so that slow bodies and waits share few processes."""

from shared.config import settings

bind = f"{settings().bind}:{settings().port}"
worker_class = "gthread"
workers = settings().web_workers
threads = settings().web_threads
worker_connections = 1000
keepalive = 30
timeout = 120
graceful_timeout = 20
max_requests = 0
control_socket_disable = True
accesslog = None
errorlog = "-"
loglevel = "warning"
limit_request_line = 8190
forwarded_allow_ips = "127.0.0.1"
