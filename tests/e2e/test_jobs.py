"""Jobs: polled, waited for, streamed, retried."""

import json
import threading
from collections.abc import Iterator
from typing import Any, Final

import pytest
import requests
from standardwebhooks import Webhook

from tests.support.api import Api, Body, answered, refused
from tests.support.receiver import a_receiver
from tests.support.samples import text
from tests.support.stack import Stack
from tests.support.waiting import eventually

NOBODYS: Final = "01890000-0000-7000-8000-000000000000"
STEPS = ["inspect", "assemble", "thumbnail", "publish", "record"]


def test_an_unfinished_job_says_when_to_ask_again(alice: Api, stack: Stack) -> None:
    with stack.paused("worker"):
        job = queued(alice)
        early = alice.get(f"/api/v1/jobs/{job['id']}")
    alice.ended(job["id"])
    late = alice.get(f"/api/v1/jobs/{job['id']}")

    assert (answered(early, 200)["state"], early.headers["Retry-After"]) == ("queued", "1")
    assert answered(late, 200)["state"] == "succeeded"
    assert "Retry-After" not in late.headers


def test_a_job_that_is_as_it_was_answers_304(alice: Api) -> None:
    job = alice.chunked(text())
    first = alice.get(f"/api/v1/jobs/{job['id']}")

    again = alice.get(f"/api/v1/jobs/{job['id']}", headers={"If-None-Match": first.headers["ETag"]})
    other = alice.get(f"/api/v1/jobs/{job['id']}", headers={"If-None-Match": '"0-0"'})

    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert other.status_code == 200


def test_the_etag_changes_with_the_job(alice: Api, stack: Stack) -> None:
    with stack.paused("worker"):
        job = queued(alice)
        early = alice.get(f"/api/v1/jobs/{job['id']}").headers["ETag"]
    alice.ended(job["id"])

    late = alice.get(f"/api/v1/jobs/{job['id']}", headers={"If-None-Match": early})

    assert (late.status_code, late.headers["ETag"] == early) == (200, False)


def test_waiting_answers_when_the_time_is_over(alice: Api, stack: Stack) -> None:
    with stack.paused("worker"):
        job = queued(alice)
        etag = alice.get(f"/api/v1/jobs/{job['id']}").headers["ETag"]

        answer = alice.get(f"/api/v1/jobs/{job['id']}?wait=1", headers={"If-None-Match": etag})

    assert answer.status_code == 304
    assert 1 <= answer.elapsed.total_seconds() < 8
    alice.ended(job["id"])


def test_waiting_answers_as_soon_as_something_changes(alice: Api, stack: Stack) -> None:
    with stack.paused("worker"):
        job = queued(alice)
        soon = threading.Timer(0.5, stack.resume, ["worker"])
        soon.start()

        answer = alice.get(f"/api/v1/jobs/{job['id']}?wait=25")

    assert answered(answer, 200)["state"] != "queued"
    assert answer.elapsed.total_seconds() < 15
    alice.ended(job["id"])


def test_waiting_for_what_has_ended_answers_at_once(alice: Api) -> None:
    job = alice.chunked(text())

    answer = alice.get(f"/api/v1/jobs/{job['id']}?wait=20")

    assert answer.elapsed.total_seconds() < 8


@pytest.mark.parametrize("wait", ["-1", "31", "long", "nan", "inf", ""])
def test_one_waits_up_to_30_seconds(alice: Api, wait: str) -> None:
    refused(alice.get(f"/api/v1/jobs/{NOBODYS}", params={"wait": wait}), 422, "invalid_request")


def test_many_jobs_are_shown_at_once_in_the_order_asked_for(alice: Api, bob: Api) -> None:
    mine = [answered(alice.submit(text(), Prefer="wait=0"), 202)["id"] for _ in range(3)]
    his = answered(bob.submit(text(), Prefer="wait=0"), 202)["id"]
    asked = [mine[2], his, NOBODYS, mine[0], "nonsense", mine[1], mine[0]]

    found = answered(alice.get("/api/v1/jobs", params={"ids": ",".join(asked)}), 200)

    assert [job["id"] for job in found["items"]] == [mine[2], mine[0], mine[1]]
    assert found["next_cursor"] is None
    for job_id in mine:
        alice.ended(job_id)


def test_an_admin_sees_the_jobs_of_its_tenant(alice: Api, admin: Api) -> None:
    job = alice.chunked(text())

    seen = answered(admin.get(f"/api/v1/jobs/{job['id']}"), 200)
    timeline = seen.pop("timeline")
    assert seen == job
    assert [each["step"] for each in timeline] == STEPS
    assert {each["outcome"] for each in timeline} == {"finished"}
    assert answered(admin.get(f"/api/v1/jobs?ids={job['id']}"), 200)["items"] == [job]


@pytest.mark.parametrize("ids", [None, "", ",", ",".join([NOBODYS] * 101)])
def test_between_1_and_100_jobs_are_asked_for_at_once(alice: Api, ids: str | None) -> None:
    refused(alice.get("/api/v1/jobs", params={"ids": ids}), 422, "invalid_request")


def test_events_tell_a_job_from_the_queue_to_its_end(alice: Api, stack: Stack) -> None:
    with stack.paused("worker"):
        job = queued(alice)
        stream = alice.get(f"/api/v1/jobs/{job['id']}/events", stream=True)
        events = told(stream)
        first = next(events)
    rest = list(events)

    assert stream.headers["Content-Type"].startswith("text/event-stream")
    assert (first["event"], first["data"]["state"]) == ("queued", "queued")
    assert (rest[-1]["event"], rest[-1]["data"]["state"]) == ("succeeded", "succeeded")
    assert rest[-1]["data"] == answered(alice.get(f"/api/v1/jobs/{job['id']}"), 200)
    numbers = [int(each["id"]) for each in (first, *rest)]
    assert numbers == sorted(set(numbers))


def test_a_stream_goes_on_behind_the_last_event_that_was_seen(alice: Api) -> None:
    job = alice.chunked(text())
    path = f"/api/v1/jobs/{job['id']}/events"
    last = list(told(alice.get(path, stream=True)))[-1]
    before = str(int(last["id"]) - 1)

    assert list(told(alice.get(path, headers={"Last-Event-ID": last["id"]}, stream=True))) == []
    assert list(told(alice.get(path, headers={"Last-Event-ID": before}, stream=True))) == [last]


@pytest.mark.parametrize("seen", ["", "x", "-1", "²", "1" * 5000])
def test_an_odd_last_event_does_no_harm(alice: Api, seen: str) -> None:
    job = alice.chunked(text())

    answer = alice.get(f"/api/v1/jobs/{job['id']}/events", headers={"Last-Event-ID": seen.encode()})

    assert answer.status_code == 200


def test_a_retry_wants_an_admin(alice: Api) -> None:
    job = alice.chunked(text())

    refused(alice.post(f"/api/v1/jobs/{job['id']}/retry"), 403, "forbidden")


def test_what_has_not_failed_is_not_tried_again(alice: Api, admin: Api, stack: Stack) -> None:
    with stack.paused("worker"):
        job = queued(alice)
        refused(admin.post(f"/api/v1/jobs/{job['id']}/retry"), 409)
    alice.ended(job["id"])

    refused(admin.post(f"/api/v1/jobs/{job['id']}/retry"), 409)


def test_bytes_that_changed_in_staging_fail_the_job_until_they_are_right_again(
    alice: Api, admin: Api, stack: Stack
) -> None:
    with a_receiver() as receiver:
        asked = {"url": receiver.url(), "events": ["file.failed", "file.ready"]}
        hook = answered(alice.post("/api/v1/webhooks", json=asked), 201)
        with stack.paused("worker"):
            job = queued(alice)
            place = next(path for path in stack.staging.glob(f"*/{job['upload_id']}/*"))
            place.write_bytes(text().replace(b"a", b"b"))

        failed = alice.ended(job["id"])
        assert (failed["state"], failed["error"]["code"]) == ("failed", "storage_corrupt")
        assert alice.complete(job["upload_id"]) == failed
        place.write_bytes(text())
        answer = admin.post(f"/api/v1/jobs/{job['id']}/retry")

        assert answered(answer, 202)["id"] == job["id"]
        assert alice.ended(job["id"])["state"] == "succeeded"
        assert alice.download(job["upload_id"]).content == text()
        eventually(lambda: len(receiver.calls) == 2)
        said = [
            Webhook(hook["secret"]).verify(each.body, dict(each.headers)) for each in receiver.calls
        ]
        assert {each["type"] for each in said} == {"file.failed", "file.ready"}


def queued(api: Api) -> Body:
    opened = api.open_upload(size=len(text()))
    answered(api.put_chunk(opened["id"], 0, text()), 200)
    return api.complete(opened["id"])


def told(stream: requests.Response) -> Iterator[dict[str, Any]]:
    """Yield the events of a stream, their data read, until it ends."""
    event: dict[str, Any] = {}
    for line in stream.iter_lines(decode_unicode=True):
        name, _, value = line.partition(": ")
        if line == "" and "data" in event:
            yield event | {"data": json.loads(event["data"])}
        event = {} if line == "" else event | {name: value}
