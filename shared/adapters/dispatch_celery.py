"""Celery as the bell that wakes workers. By name, so that web and worker never meet.

A message that is lost costs latency, never work: the reconciler rings again. While the broker does
not answer nobody rings, so that no request waits for each time-out.
"""

import logging
import threading
from typing import Any, Final

from celery import Celery
from kombu.exceptions import OperationalError
from kombu.transport import TRANSPORT_ALIASES
from redis.exceptions import RedisError

from shared.adapters import broker_redis
from shared.adapters.silence import Silence

log = logging.getLogger(__name__)

PROCESS: Final = "ingest.process"
DELIVER: Final = "webhooks.deliver"
_CONNECTIONS: Final = 8
_NO_ANSWER: Final = (OperationalError, RedisError, OSError)  # kombu translates some, not all


class CeleryDispatcher:
    def __init__(self, app: Celery) -> None:
        self._app = app
        self._silence = Silence("broker", self._answers)
        # As many as there are connections: whoever waits for one looks again whether it is any use.
        self._free = threading.BoundedSemaphore(_CONNECTIONS)

    def process(self, job_id: str) -> bool:
        return self._send(PROCESS, job_id, "ingest")

    def deliver(self, delivery_id: str) -> bool:
        return self._send(DELIVER, delivery_id, "webhooks")

    def backlog(self, queue: str) -> int | None:
        if self._silence:
            return None
        try:
            return self._length(queue)
        except _NO_ANSWER:
            self._silence.begin()
            return None

    def _send(self, task: str, id_: str, queue: str) -> bool:
        if self._silence:
            return False
        with self._free:
            if self._silence:
                return False
            try:
                self._app.send_task(task, args=[id_], queue=queue, retry=False, ignore_result=True)
            except _NO_ANSWER:
                self._silence.begin()
                log.warning("dispatch_not_sent", extra={"task": task, "id": id_})
                return False
            return True

    def _length(self, queue: str) -> int:
        with self._app.connection_for_write() as connection:
            channel: Any = connection.default_channel  # the Redis transport's
            return int(channel.client.llen(queue))

    def _answers(self) -> bool:
        try:
            self._length("ingest")
        except _NO_ANSWER:
            return False
        return True


def celery_app(broker_url: str) -> Celery:
    """Return the app that both sides share: broker and settings, no tasks."""
    TRANSPORT_ALIASES.update(broker_redis.ALIASES)
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
        broker_channel_error_retry=True,  # a broker whose disk is full refuses: no reason to end
        broker_pool_limit=_CONNECTIONS,
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
    """Return the app of a process that only rings: a silent broker costs it 1.5 s, once."""
    app = celery_app(broker_url)
    # Without these, kombu tries for six seconds to reach a broker that refuses the connection.
    at_once = {"max_retries": 0, "interval_start": 0, "interval_step": 0, "interval_max": 0}
    app.conf.broker_transport_options |= {
        "socket_timeout": 1.5,
        "socket_connect_timeout": 1.5,
        **at_once,
    }
    return app
