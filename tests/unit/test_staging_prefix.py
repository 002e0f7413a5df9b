"""Where uploads wait in the store no file may end: a link to write there could write over it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shared.errors import Unprocessable
from shared.model.layout import Named
from tests.support.factory import UPLOADS

RULES = replace(UPLOADS, staging_prefix="incoming/")


def named(folder: str) -> Named:
    return Named("id", "a.pdf", folder, "default", "alice", None, datetime(2025, 1, 15, tzinfo=UTC))


@pytest.mark.parametrize("folder", ["incoming", "incoming/direct"])
def test_a_folder_below_the_staging_prefix_is_refused(folder: str) -> None:
    with pytest.raises(Unprocessable):
        RULES.key_of(named(folder), RULES.layout)


def test_a_folder_beside_it_is_not() -> None:
    assert RULES.key_of(named("incoming-2"), RULES.layout).startswith("incoming-2/")
