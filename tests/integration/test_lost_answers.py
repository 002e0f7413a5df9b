"""Commits whose answers get lost: what was made by one is looked up, and not made again."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from shared.errors import OutcomeUnknown
from shared.model.layout import Layout
from shared.model.webhook import NewWebhook
from shared.services.copies import NewCopy
from tests.integration.test_claims import Undone
from tests.support.cable import Cable, a_cable
from tests.support.factory import UPLOADS, Factory, a_factory
from tests.support.workshop import ALICE

WEBHOOK = NewWebhook("https://93.184.216.34/hook", ["file.ready"])


@pytest.fixture
def cable(postgres_rows: str) -> Iterator[Cable]:
    with a_cable(postgres_rows) as made:
        yield made


@pytest.fixture
def factory(cable: Cable, tmp_path: Path) -> Iterator[Factory]:
    with a_factory(tmp_path, cable.url) as made:
        yield made


def test_a_webhook_is_made_once(factory: Factory, cable: Cable) -> None:
    cable.loses_the_answer_to(b"COMMIT")

    made = factory.services.webhooks.create(ALICE, WEBHOOK)

    assert cable.lost == 1
    assert factory.services.webhooks.page(ALICE, 10).webhooks == [made]


def test_a_grant_is_made_once_and_opens(factory: Factory, cable: Cable) -> None:
    cable.loses_the_answer_to(b"COMMIT")

    grant, capability = factory.services.grants.give(ALICE, None)

    assert cable.lost == 1
    assert factory.services.grants.enter(capability) == grant
    assert len(factory.query("SELECT id FROM grants")) == 1


def test_a_copy_goes_on_with_the_name_that_it_has_claimed(factory: Factory, cable: Cable) -> None:
    source = factory.run(factory.received(b"hello world")).upload_id
    rules = replace(UPLOADS, layout=Layout("{name}", ""))
    copies = replace(factory.services.copies, rules=rules)
    cable.loses_the_answer_to(b"COMMIT")

    made = copies.copy(ALICE, source, NewCopy(filename="other.txt"))

    assert cable.lost == 1
    assert (made.key, factory.content(made.key)) == ("other.txt", b"hello world")
    assert factory.quota() == (22, 0)


@pytest.mark.parametrize(
    "make",
    [
        lambda factory, undone: replace(factory.services.webhooks, records=undone).create(
            ALICE, WEBHOOK
        ),
        lambda factory, undone: replace(factory.services.grants, records=undone).give(ALICE, None),
    ],
    ids=["webhook", "grant"],
)
def test_what_was_not_made_is_not_answered_as_if_it_were(
    factory: Factory, make: Callable[[Factory, Undone], object]
) -> None:
    with pytest.raises(OutcomeUnknown):
        make(factory, Undone(factory.records))
