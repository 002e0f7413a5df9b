"""The parts that their sender names, held against those that the store has."""

import pytest

from shared.errors import TooLarge, Unprocessable
from shared.model.direct import SMALLEST_PART, Named
from shared.model.stored import PartSeen

FIRST = PartSeen(1, SMALLEST_PART, "one")
SECOND = PartSeen(2, SMALLEST_PART, "two")
LAST = PartSeen(7, 1, "end")
SEEN = (LAST, FIRST, SECOND, PartSeen(2, SMALLEST_PART, "two, before"))


def test_just_the_named_ones_are_taken_in_order() -> None:
    assert Named({7: "end", 1: "one"}).of(SEEN) == [FIRST, LAST]
    assert Named({2: "two", 1: "one"}, 2 * SMALLEST_PART).of(SEEN) == [FIRST, SECOND]


def test_what_is_not_there_as_named_is_lost() -> None:
    assert Named({1: "one", 2: "two, before", 7: "end"}).lost(SEEN) == []
    assert Named({8: "one", 2: "three", 1: "one"}).lost(SEEN) == [2, 8]


def test_all_but_the_last_have_a_size_that_s3_joins() -> None:
    small = PartSeen(1, SMALLEST_PART - 1, "small")

    with pytest.raises(Unprocessable):
        Named({1: "small", 7: "end"}).of((small, LAST))
    assert Named({1: "small"}).of((small, LAST)) == [small]


def test_together_they_are_no_larger_than_a_file_may_be() -> None:
    with pytest.raises(TooLarge) as refusal:
        Named({1: "one", 7: "end"}, SMALLEST_PART).of(SEEN)

    assert refusal.value.facts == {"limit": SMALLEST_PART}
