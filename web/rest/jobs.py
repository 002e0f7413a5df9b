"""Jobs: polled, waited for, streamed; retried by admins."""

import re
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any, Final

from apiflask import APIBlueprint
from flask import Response, json, make_response, request, stream_with_context

from shared.model.caller import Caller
from shared.model.job import JobStatus, StepRun
from web.auth import caller
from web.conditions import not_modified
from web.limits import holds_slot
from web.requests import whole_number
from web.rest.documented import answers
from web.rest.inputs import JobsQuery, WaitQuery
from web.rest.outputs import JobOut, JobsOut
from web.server.stopping import stopping
from web.services import services

bp = APIBlueprint("jobs", __name__, url_prefix="/api/v1/jobs", tag="Jobs")

_STREAM_SECONDS: Final = 300
_SILENCE_SECONDS: Final = 15


@bp.get("/<job_id>")
@bp.input(WaitQuery, location="query", arg_name="query")
@answers({200: JobOut, 304: None}, problems=(404, 412))
def show_job(job_id: str, query: WaitQuery) -> Any:
    """Show a job; with `wait`, as soon as something changes. Admins see its timeline."""
    status = services().jobs.status(caller(), job_id)
    if query.wait and not status.job.is_final:
        seen = re.match(r'(?:W/)?"(\d{1,15})-', request.headers.get("If-None-Match", ""))
        known = int(seen[1]) if seen else status.job.version
        status = _waited(caller(), status, query.wait, known)
    return _presented(status, services().jobs.timeline(caller(), job_id))


@bp.get("")
@bp.input(JobsQuery, location="query", arg_name="query")
@answers({200: JobsOut})
def show_jobs(query: JobsQuery) -> Any:
    """Show up to 100 jobs at once; those that are not the caller's are left out."""
    found = services().jobs.statuses(caller(), query.ids)
    items = [services().describing.job(status) for status in found]
    return {"items": items, "next_cursor": None}, {"Cache-Control": "no-store"}


@bp.get("/<job_id>/events")
@answers({200: "text/event-stream", 204: None}, problems=(404,))
def stream_job(job_id: str) -> Response:
    """Stream the job's changes as server-sent events until it is final."""
    seen = whole_number(request.headers.get("Last-Event-ID", ""))
    known = -1 if seen is None else seen
    who, status = caller(), services().jobs.status(caller(), job_id)
    if status.job.is_final and status.job.version <= known:
        return Response(status=HTTPStatus.NO_CONTENT)  # tells an EventSource not to come back
    events = _events(who, status, known, seconds=_STREAM_SECONDS if holds_slot() else 0)
    response = Response(stream_with_context(events), mimetype="text/event-stream")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    return response


@bp.post("/<job_id>/retry")
@answers({202: JobOut}, problems=(404, 409))
def retry_job(job_id: str) -> Any:
    """Run a failed job again from the start; wants the admin scope."""
    job = services().jobs.retry(caller(), job_id)
    described = services().describing.job(services().jobs.begun(caller(), job))
    location = services().describing.job_url(job.id)
    return described, HTTPStatus.ACCEPTED, {"Location": location}


def _waited(who: Caller, status: JobStatus, seconds: float, known: int) -> JobStatus:
    """Wait while a thread may be held for it, else answer with what there is."""
    if not holds_slot():
        return status
    return services().jobs.wait(who, status, seconds, known=known, is_over=stopping.has_begun)


def _presented(status: JobStatus, timeline: Sequence[StepRun]) -> Response:
    said = services().describing.job(status)
    if timeline:
        said["timeline"] = [services().describing.step_run(run) for run in timeline]
    body = f"{json.dumps(said)}\n"
    response = make_response(
        body, {"Content-Type": "application/json", "Cache-Control": "no-store"}
    )
    response.add_etag()
    response.set_etag(f"{status.job.version}-{response.get_etag()[0]}")
    if not status.job.is_final:
        response.headers["Retry-After"] = "1"
    not_modified(request, response)
    return response


def _events(who: Caller, status: JobStatus, known: int, *, seconds: int) -> Iterator[str]:
    yield "retry: 2000\n\n"
    until = services().clock.monotonic() + seconds
    while True:
        if status.job.version > known:
            known = status.job.version
            said = json.dumps(services().describing.job(status))
            yield f"id: {known}\nevent: {status.job.state}\ndata: {said}\n\n"
        is_over = stopping.has_begun() or services().clock.monotonic() >= until
        if status.job.is_final or is_over:
            return
        status = services().jobs.wait(
            who, status, _SILENCE_SECONDS, known=known, is_over=stopping.has_begun
        )
        if status.job.version <= known:
            yield ": still here\n\n"
