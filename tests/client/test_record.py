"""What happened when: the switch, the gap, the failures and the points of the timeline."""

from __future__ import annotations

import pytest

from petsage.client.fact import Fact, Failure
from petsage.client.record import FAILURES_KEPT, Record
from tests.client.facts import NEW, OLD, fact, lost

START = 1_800_000_000.0


def at(due: float, one: Fact, latency: float = 0.0) -> tuple[float, Fact]:
    fields = {name: getattr(one, name) for name in Fact.__dataclass_fields__}
    return due, Fact(**(fields | {"due_at": START + due, "latency_s": latency}))


def recorded(*pings: tuple[float, Fact], pauses: tuple[float, ...] = ()) -> Record:
    record = Record(0.0)
    for due, one in pings:
        new = one.failure is None and not one.mismatch
        record.add(one, due, one.release or "", new=new)
        record.add_in_turn(one, due, after_pause=due in pauses)
    return record


def test_the_switch_goes_from_the_first_new_answer_to_the_last_old_one() -> None:
    record = recorded(at(0, OLD), at(1, NEW, 0.5), at(2, NEW), at(3, OLD, 0.25), at(4, NEW))
    assert (record.first_new, record.last_old) == (START + 1.5, START + 3.25)
    assert record.overlap_s == 1.75
    assert record.new_name == "v43"


def test_what_has_been_taken_back_no_longer_overlaps() -> None:
    flipped = recorded(at(0, OLD), at(1, NEW), at(2, NEW), at(3, OLD), at(90, OLD))
    assert (flipped.last_old, flipped.overlap_s) == (START + 90, 1.0)
    assert recorded(at(0, NEW), at(5, NEW), at(6, OLD), at(90, OLD)).overlap_s == 0.0


def test_releases_that_follow_each_other_do_not_overlap() -> None:
    assert recorded(at(0, OLD), at(1, NEW)).overlap_s == 0.0
    assert recorded(at(0, NEW)).overlap_s is None
    assert recorded(at(0, OLD)).overlap_s is None


def test_the_gap_lies_between_the_due_times_of_two_successes() -> None:
    record = recorded(at(0, OLD), at(1, lost()), at(2, lost()), at(3, NEW, 9.0), at(4, NEW))
    assert (record.longest_gap_s, record.gap_begins_s) == (3.0, 0.0)
    assert recorded(at(0, lost()), at(5, NEW)).longest_gap_s is None


def test_no_gap_is_measured_over_a_pause() -> None:
    record = recorded(at(0, NEW), at(1, NEW), at(30, NEW), at(31, NEW), pauses=(30,))
    assert record.longest_gap_s == 1.0


def test_of_the_failures_the_first_thousand_are_kept_and_all_are_points() -> None:
    record = recorded(*(at(number / 50, lost(Failure.TIMEOUT)) for number in range(1_500)))
    assert len(record.failures) == FAILURES_KEPT
    points = list(record.points())
    assert len(points) == 1_500
    assert {(point.ending, point.failed) for point in points} == {("timeout", True)}


def test_a_point_tells_when_it_was_due_how_long_it_took_and_who_answered() -> None:
    (point,) = recorded(at(2.5, OLD, 0.125)).points()
    assert (point.due_s, point.latency_s, point.ending) == (2.5, 0.125, "v42")
    assert not point.failed


def test_more_releases_than_a_byte_can_count_are_filed_together() -> None:
    pings = [at(number, fact(release=f"v{number}")) for number in range(400)]
    record = recorded(*pings)
    assert len(list(record.points())) == 400
    assert len(record.releases) < 256


def test_the_expected_release_has_its_points_after_however_many_others() -> None:
    old = [at(number, fact(release=f"old-{number}", mismatch=True)) for number in range(400)]
    record = recorded(*old, at(400, NEW), at(401, NEW))
    assert [point.ending for point in record.points()][-2:] == ["v43", "v43"]
    assert (record.new_name, len(record.releases) + len(Failure)) == ("v43", 256)


@pytest.mark.parametrize("failure", Failure)
def test_every_class_of_failure_has_its_own_points(failure: Failure) -> None:
    (point,) = recorded(at(0, lost(failure))).points()
    assert (point.ending, point.failed) == (failure.value, True)
