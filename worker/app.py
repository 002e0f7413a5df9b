"""Celery's entry: the app, its tasks and schedule, and what happens around the fork."""

from functools import lru_cache
from typing import Any

from celery import signals

from shared import logs
from shared.adapters.board_redis import RedisBoard, redis_client
from shared.adapters.dispatch_celery import celery_app
from shared.config import settings
from shared.wiring import Services, build
from worker import leaving, stopping
from worker.schedule import SCHEDULE

app = celery_app(settings().redis_url)
app.conf.beat_schedule = SCHEDULE
app.conf.beat_max_loop_interval = 10
app.conf.worker_concurrency = settings().worker_concurrency
app.conf.imports = ["worker.tasks"]


@lru_cache(maxsize=1)
def services() -> Services:
    """Return the services of this process: made at first use, which is after the fork."""
    return build(settings(), celery=app)


@signals.setup_logging.connect
def _set_up_logs(**said: Any) -> None:
    del said
    logs.set_up(settings().log_level, settings().log_format)


@signals.worker_ready.connect
def _leave_in_time(**said: Any) -> None:
    del said
    stopping.stop_at_signals()
    leaving.leave_in_time()


@signals.worker_shutting_down.connect
def _hand_back(**said: Any) -> None:
    del said
    stopping.stop()  # of a signal that came before `worker_ready`


@signals.heartbeat_sent.connect
def _show_life(sender: Any, **said: Any) -> None:
    del said
    _board().beat(str(sender.eventer.hostname))


@lru_cache(maxsize=1)
def _board() -> RedisBoard:
    return RedisBoard(redis_client(settings().redis_url))
