"""Who waits, and for how long already."""

from web.server.waiting import Waiting


def test_the_first_to_come_is_the_first_to_be_overdue() -> None:
    place = a_place()

    assert place.overdue(9.9) == []
    assert place.overdue(10.0) == ["ann"]
    assert place.overdue(15.0) == ["ann", "bob"]


def test_who_has_left_is_not_overdue() -> None:
    place = a_place()

    place.remove("ann")

    assert place.overdue(100.0) == ["bob"]
    assert len(place) == 1


def test_who_comes_back_waits_anew() -> None:
    place = a_place()
    place.remove("ann")

    place.add("ann", 8.0)

    assert place.overdue(15.0) == ["bob"]
    assert place.overdue(18.0) == ["bob", "ann"]


def test_a_shorter_time_counts_from_when_it_is_said() -> None:
    place = a_place()

    place.shorten(2.0, 9.0)
    place.add("eve", 10.0)

    assert place.overdue(10.9) == []
    assert place.overdue(11.0) == ["ann", "bob"]
    assert place.overdue(12.0) == ["ann", "bob", "eve"]


def test_a_time_is_never_made_longer() -> None:
    place = a_place()

    place.shorten(60.0, 5.0)

    assert place.overdue(15.0) == ["ann", "bob"]


def a_place() -> Waiting[str]:
    place: Waiting[str] = Waiting(10.0)
    place.add("ann", 0.0)
    place.add("bob", 5.0)
    return place
