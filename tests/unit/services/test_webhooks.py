"""Who may register what, and who sees it afterwards."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.records_sql import SqlRecords
from shared.errors import Conflict, Forbidden, NotFound, Unprocessable
from shared.model.caller import Caller, Scope
from shared.model.webhook import EventType, NewWebhook
from shared.ports import Answer
from shared.services.webhooks import MOST_WEBHOOKS, WebhookService
from tests.support.workshop import ALICE, BOB, a_workshop

ADMIN = Caller("root", scopes=frozenset({Scope.ADMIN}))
NEW = NewWebhook("https://example.com/hook", ["file.ready"])


class Telephone:
    """A notifier that may call everybody but one."""

    def refuse(self, url: str) -> str | None:
        return "Not there." if url == "https://inside.example/" else None

    def send(self, url: str, body: bytes, headers: dict[str, str]) -> Answer:
        raise AssertionError(url, body, headers)


@pytest.fixture
def records(tmp_path: Path) -> Iterator[SqlRecords]:
    made = a_workshop(tmp_path).records
    yield made
    made.close()


@pytest.fixture
def webhooks(records: SqlRecords) -> WebhookService:
    return WebhookService(records, Telephone())


def test_a_webhook_is_found_as_it_was_made(webhooks: WebhookService) -> None:
    new = NewWebhook(
        "https://example.com/x?y=1", ["file.failed", "file.ready"], "ours", enabled=False
    )

    made = webhooks.create(ALICE, new)

    assert webhooks.find(ALICE, made.id) == made
    assert (made.url, made.events, made.description) == (new.url, new.events, "ours")
    assert (made.enabled, made.disabled_reason) == (False, None)
    assert (made.tenant, made.created_by, made.owner) == ("default", "alice", "alice")


def test_every_secret_is_32_bytes_of_its_own(webhooks: WebhookService) -> None:
    secrets = {webhooks.create(ALICE, NEW).secret for _ in range(5)}

    assert len(secrets) == 5
    assert all(secret.startswith("whsec_") for secret in secrets)
    assert {len(base64.b64decode(secret[6:], validate=True)) for secret in secrets} == {32}


def test_an_event_named_twice_is_heard_once(webhooks: WebhookService) -> None:
    made = webhooks.create(ALICE, replace(NEW, events=["file.ready", "file.ready"]))

    assert made.events == ["file.ready"]


def test_only_an_admins_webhook_hears_the_whole_tenant(
    webhooks: WebhookService, records: SqlRecords
) -> None:
    mine, all_ours = webhooks.create(ALICE, NEW), webhooks.create(ADMIN, NEW)
    webhooks.create(replace(ADMIN, tenant="other"), NEW)
    webhooks.create(ALICE, replace(NEW, events=["file.deleted"]))
    webhooks.create(ALICE, replace(NEW, enabled=False))

    with records.read() as rows:
        of_alice = rows.webhooks.listening("default", "alice", EventType.READY)
        of_bob = rows.webhooks.listening("default", "bob", EventType.READY)

    assert {webhook.id for webhook in of_alice} == {mine.id, all_ours.id}
    assert {webhook.id for webhook in of_bob} == {all_ours.id}


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"events": []}, "/events"),
        ({"events": ["file.eaten"]}, "/events/0"),
        ({"events": ["file.ready", "FILE.READY"]}, "/events/1"),
        ({"url": "https://inside.example/"}, "/url"),
    ],
)
def test_what_is_wrong_is_pointed_at(
    webhooks: WebhookService, changes: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(Unprocessable) as refusal:
        webhooks.create(ALICE, replace(NEW, **changes))

    assert [error["pointer"] for error in refusal.value.facts["errors"]] == [pointer]


def test_a_tenant_has_so_many_and_no_more(webhooks: WebhookService) -> None:
    for _ in range(MOST_WEBHOOKS - 1):
        webhooks.create(ALICE, NEW)
    last = webhooks.create(BOB, NEW)

    with pytest.raises(Conflict):
        webhooks.create(ALICE, NEW)
    webhooks.create(replace(ALICE, tenant="other"), NEW)
    webhooks.delete(BOB, last.id)
    webhooks.create(ALICE, NEW)


def test_a_token_without_the_scope_does_nothing(webhooks: WebhookService) -> None:
    reader = Caller("alice", scopes=frozenset({Scope.FILES_READ, Scope.FILES_WRITE}))
    made = webhooks.create(ALICE, NEW)

    with pytest.raises(Forbidden):
        webhooks.create(reader, NEW)
    with pytest.raises(Forbidden):
        webhooks.find(reader, made.id)
    with pytest.raises(Forbidden):
        webhooks.page(reader, 10)
    with pytest.raises(Forbidden):
        webhooks.delete(reader, made.id)


@pytest.mark.parametrize(
    "stranger", [BOB, replace(ALICE, tenant="other"), replace(ADMIN, tenant="other")]
)
def test_somebody_elses_webhook_is_not_there(webhooks: WebhookService, stranger: Caller) -> None:
    made = webhooks.create(ALICE, NEW)

    with pytest.raises(NotFound) as refusal:
        webhooks.find(stranger, made.id)
    with pytest.raises(NotFound):
        webhooks.delete(stranger, made.id)

    assert refusal.value.code == "webhook_not_found"
    assert webhooks.page(stranger, 10).webhooks == []
    assert webhooks.find(ALICE, made.id) == made


def test_an_admin_sees_and_removes_the_webhooks_of_its_tenant(webhooks: WebhookService) -> None:
    made = webhooks.create(ALICE, NEW)

    assert webhooks.find(ADMIN, made.id) == made
    assert webhooks.page(ADMIN, 10).webhooks == [made]
    webhooks.delete(ADMIN, made.id)
    assert webhooks.page(ALICE, 10).webhooks == []


def test_pages_join_to_the_whole_list_newest_first(webhooks: WebhookService) -> None:
    made = [webhooks.create(ALICE, NEW).id for _ in range(7)]
    webhooks.create(BOB, NEW)
    seen: list[str] = []
    sizes, after = [], None

    while True:
        page = webhooks.page(ALICE, 3, after)
        seen += [webhook.id for webhook in page.webhooks]
        sizes.append(len(page.webhooks))
        after = page.after
        if after is None:
            break

    assert seen == made[::-1]
    assert sizes == [3, 3, 1]


@pytest.mark.parametrize(
    "odd_id", ["", "x", "0" * 36, "../", "018f0000-0000-7000-8000-00000000000g"]
)
def test_an_id_that_is_none_finds_nothing(webhooks: WebhookService, odd_id: str) -> None:
    with pytest.raises(NotFound):
        webhooks.find(ALICE, odd_id)
