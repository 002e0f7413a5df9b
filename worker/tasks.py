"""The tasks: Celery's concerns only."""

from typing import Any

from celery import shared_task

from shared.adapters.dispatch_celery import DELIVER, PROCESS
from worker import stopping
from worker.app import services
from worker.processing import Processing


@shared_task(name=PROCESS, bind=True)
def process(self: Any, job_id: str) -> None:
    """Take a queued job to its end."""
    Processing(services(), self.request.hostname, stopping.is_stopping).process(job_id)


@shared_task(name=DELIVER)
def deliver(delivery_id: str) -> None:
    """Try one delivery of a webhook."""
    services().deliveries.deliver(delivery_id, is_stopping=stopping.is_stopping)


@shared_task(name="maintenance.sweep")
def sweep(name: str) -> None:
    """Run one sweep, if it is due."""
    services().sweeps.run_if_due(name, is_stopping=stopping.is_stopping)
