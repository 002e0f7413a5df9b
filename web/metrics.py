"""`GET /metrics`: figures for Prometheus, read from the database when they are asked for.

The same from every process, and about nobody: no tenant, no owner, no id.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from apiflask import APIBlueprint
from flask import Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from shared.model.lifecycle import JobState
from shared.services.auditing.findings import Kind
from shared.services.measuring import Measured
from web.auth import public
from web.rest.documented import answers
from web.services import services

bp = APIBlueprint("metrics", __name__, tag="Metrics")

_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_AUDITING: Final = ("audit", "reread")


@bp.get("/metrics")
@answers({200: "text/plain"}, problems=(503,), open_to_all=True)
@public
def metrics() -> Response:
    """Tell Prometheus how much waits, and what the sweeps and the auditor last found."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(services().measuring.figures()))
    page = Response(generate_latest(registry), content_type=_TYPE)
    page.headers["Cache-Control"] = "no-store"
    return page


class _Collector(Collector):
    def __init__(self, measured: Measured) -> None:
        self._measured = measured

    def collect(self) -> Iterable[Metric]:
        yield from _work(self._measured)
        yield from _sweeps(self._measured)
        yield from _audits(self._measured)


def _work(measured: Measured) -> Iterator[Metric]:
    rows = measured.rows
    jobs = GaugeMetricFamily("sluice_jobs", "Jobs by state.", labels=["state"])
    for state in JobState:
        jobs.add_metric([state], rows.jobs.get(state, 0))
    yield jobs
    yield GaugeMetricFamily(
        "sluice_oldest_queued_job_age_seconds",
        "How long the oldest due job has waited for a worker.",
        0.0 if rows.oldest_due_at is None else (rows.now - rows.oldest_due_at).total_seconds(),
    )
    yield GaugeMetricFamily(
        "sluice_deliveries_due", "Deliveries of webhooks that are due.", rows.deliveries_due
    )


def _sweeps(measured: Measured) -> Iterator[Metric]:
    ages = GaugeMetricFamily(
        "sluice_sweep_last_run_age_seconds", "Since a sweep last ended.", labels=["sweep"]
    )
    failures = GaugeMetricFamily(
        "sluice_sweep_last_run_failed",
        "1 when the last run of a sweep broke off or left something undone.",
        labels=["sweep"],
    )
    for name, sweep in measured.sweeps.items():
        if sweep.finished_at is not None:
            age = (measured.rows.now - sweep.finished_at).total_seconds()
            ages.add_metric([name], max(0.0, age))
            is_bad = (
                "error" in sweep.result or "alarm" in sweep.result or sweep.result.get("failed")
            )
            failures.add_metric([name], 1 if is_bad else 0)
    yield from (ages, failures)


def _audits(measured: Measured) -> Iterator[Metric]:
    found = GaugeMetricFamily(
        "sluice_audit_findings", "What the last audit found, by kind.", labels=["kind"]
    )
    last = [measured.sweeps[name] for name in _AUDITING]
    for kind in Kind:
        found.add_metric([kind], sum(each.result.get("findings", {}).get(kind, 0) for each in last))
    yield found
    unrepaired = sum(each.result.get("unrepaired", 0) for each in last)
    yield GaugeMetricFamily(
        "sluice_audit_unrepaired", "Findings that somebody has to look at.", unrepaired
    )
    audit, reread = last
    for name, sweep in (("audit", audit), ("reread", reread)):
        yield GaugeMetricFamily(
            f"sluice_{name}_last_run_timestamp_seconds",
            f"When the sweep {name} last ended, 0 when it has not.",
            _timestamp(sweep.finished_at),
        )
    for name, fact, meaning in (
        ("files", "files_total", "Files whose bytes were read again."),
        ("damaged", "damaged_total", "Files and chunks that were not what was written."),
    ):
        yield CounterMetricFamily(f"sluice_reread_{name}", meaning, reread.result.get(fact, 0))


def _timestamp(at: datetime | None) -> float:
    return 0.0 if at is None else at.timestamp()
