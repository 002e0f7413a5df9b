"""Celery as the bell that wakes workers. By name, so that web and worker never meet.

A message that is lost costs latency, never work: the reconciler rings again. When the broker does
not answer, ringing is given up for a few seconds, so that no request waits for each time-out.
"""

import logging
import time
from typing import Any, Final

from celery import Celery
from kombu.exceptions import OperationalError

log = logging.getLogger(__name__)

PROCESS: Final = "ingest.process"
DELIVER: Final = "webhooks.deliver"
_PAUSE_SECONDS: Final = 5.0


class CeleryDispatcher:
    def __init__(self, app: Celery) -> None:
        self._app = app
        self._silent_until = 0.0

    def process(self, job_id: str) -> bool:
        return self._send(PROCESS, job_id, "ingest")

    def deliver(self, delivery_id: str) -> bool:
        return self._send(DELIVER, delivery_id, "webhooks")

    def backlog(self, queue: str) -> int | None:
        try:
            with self._app.connection_for_write() as connection:
                channel: Any = connection.default_channel  # the Redis transport's
                return int(channel.client.llen(queue))
        except (OperationalError, OSError):
            return None

    def _send(self, task: str, id_: str, queue: str) -> bool:
        if time.monotonic() < self._silent_until:
            return False
        try:
            self._app.send_task(task, args=[id_], queue=queue, retry=False, ignore_result=True)
        except (OperationalError, OSError):
            self._silent_until = time.monotonic() + _PAUSE_SECONDS
            log.warning("dispatch_not_sent", extra={"task": task, "id": id_})
            return False
        return True


def celery_app(broker_url: str) -> Celery:
    """Return the app that both sides share: broker and settings, no tasks."""
    app = Celery("sluice", broker=broker_url)
    app.conf.update(
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=False,  # a poison file would loop for ever; attempts are counted
        task_serializer="json",
        accept_content=["json"],
        task_default_queue="ingest",
        task_create_missing_queues=True,
        worker_prefetch_multiplier=1,
        task_soft_time_limit=3 * 3600,
        task_time_limit=3 * 3600 + 300,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_pool_limit=8,
        broker_transport_options={
            "visibility_timeout": 4 * 3600,
            "socket_timeout": 5,
            "socket_connect_timeout": 2,
            "socket_keepalive": True,
            "health_check_interval": 10,
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
        },
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=False,
        worker_send_task_events=True,
        task_send_sent_event=True,
        timezone="UTC",
    )
    return app


def ringing_app(broker_url: str) -> Celery:
    """Return the app of a process that only rings: a silent broker costs it two seconds, once."""
    app = celery_app(broker_url)
    # Without these, kombu tries for six seconds to reach a broker that refuses the connection.
    at_once = {"max_retries": 0, "interval_start": 0, "interval_step": 0, "interval_max": 0}
    app.conf.broker_transport_options |= {"socket_timeout": 2, **at_once}
    return app
