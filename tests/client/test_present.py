"""Who answers now: nobody is said to answer who was not heard of late."""

from __future__ import annotations

from dataclasses import replace

import pytest

from petsage.client.fact import Fact, Failure
from petsage.client.present import Present
from tests.client.facts import NEW, OLD, lost

DEAD = lost(Failure.REFUSED)


def after(*facts: Fact, apart_s: float = 0.25) -> Present:
    """Return what is present after these facts, due so far apart; the first at 0."""
    present = Present()
    for number, one in enumerate(facts):
        present.add(replace(one, due_at=number * apart_s), one.release or "", right=one is NEW)
    return present


def test_before_the_first_ping_nothing_is_said() -> None:
    now = Present().now
    assert (dict(now.answers), now.nobody, now.since) == ({}, False, None)


def test_one_release_that_answers_is_named_with_the_moment_from_which_on() -> None:
    now = after(*[OLD] * 4, *[NEW] * 6).now
    assert (dict(now.answers), now.only, now.new, now.old) == ({"v43": 6}, "v43", True, [])
    assert now.since == 1.0


def test_of_an_outage_the_class_and_the_beginning_are_told() -> None:
    now = after(*[OLD] * 4, *[DEAD] * 40).now
    assert (now.nobody, now.only, now.since, now.failed) == (True, None, 1.0, {"refused": 40})


@pytest.mark.parametrize(
    ("failures", "apart_s", "nobody"),
    [(2, 0.25, False), (3, 0.25, True), (3, 0.001, False), (1, 10.0, True)],
    ids=["two", "three", "three of one moment", "one at a low rate"],
)
def test_a_ping_or_two_that_failed_are_no_outage(
    failures: int, apart_s: float, nobody: bool
) -> None:
    now = after(OLD, *[DEAD] * failures, apart_s=apart_s).now
    assert now.nobody is nobody
    assert now.failed == {"refused": failures}


def test_a_service_that_never_answered_does_not_answer_now() -> None:
    assert after(DEAD).now.nobody


def test_two_that_change_again_and_again_answer_by_turns() -> None:
    now = after(*[OLD, NEW] * 15).now
    assert (now.only, now.turns, now.old, now.new) == (None, ["v42", "v43"], ["v42"], True)
    assert (sum(now.answers.values()), next(iter(now.answers)), now.since) == (20, "v43", None)


def test_after_a_row_of_answers_those_before_it_are_past() -> None:
    assert after(*[OLD, NEW] * 15, *[NEW] * 9).now.only == "v43"


def test_pings_that_hang_when_the_run_is_cut_short_tell_that_nobody_answers() -> None:
    present = after(*[OLD] * 4)
    present.cut_short(15, at=1.5)
    assert present.now.only == "v42"
    present.cut_short(15, at=2.5)
    assert (present.now.nobody, present.now.unanswered) == (True, 15)
