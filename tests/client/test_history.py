"""What follows from the list of results, without any socket or clock."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from petsage.client.history import HIDDEN, HIDDEN_OTHER, CurrentState, History
from petsage.client.result import Failure, Outcome, PingResult
from tests.client.results import (
    STARTED_AT,
    failed,
    incorrect,
    nameless,
    old,
    page,
    rate_limited,
    rejection,
    result,
)

Make = Callable[..., PingResult]
ADDRESS = "192.0.2.1:443"


def history(*makes: Make, expected: str | None = "v43", every_s: float = 0.1) -> History:
    """Return a history in which the pings of these results were due at even intervals."""
    past = History(expected)
    for number, make in enumerate(makes):
        past.add(make(due_at=STARTED_AT + number * every_s))
    return past


def at_end(past: History, *, addresses: int = 1, silence_s: float = 0.0) -> CurrentState:
    return past.current(addresses=addresses, last=20, silence_s=silence_s)


def test_results_are_kept_by_due_time_whatever_order_they_come_in() -> None:
    results = [result(due_at=STARTED_AT + number) for number in range(20)]
    past = History("v43")
    for one in random.Random(1).sample(results, len(results)):
        past.add(one)
    assert past.results == results
    assert past.window(5) == results[-6:]
    assert History("v43").window(5) == []


def test_who_responded_correctly_before_does_not_respond_any_more() -> None:
    broken = history(*[old] * 20, *[incorrect] * 5)
    assert at_end(broken).releases == {}
    assert len(at_end(broken).incorrect) == 5
    assert at_end(history(*[old] * 20, *[incorrect] * 4)).releases == {"v42": 20}
    assert at_end(history(*[old] * 20, *[failed] * 5), silence_s=3.0).releases == {"v42": 20}


def test_counts_by_class_release_instance_and_worker() -> None:
    past = history(result, old, old, failed, page, incorrect)
    assert (past.ok, past.failed) == (
        3,
        {Failure.REFUSED: 1, Failure.NOT_THE_SERVICE: 1, Failure.SERVER_ERROR: 1},
    )
    assert {name: stats.count for name, stats in past.releases.items()} == {"v43": 1, "v42": 2}
    assert (past.instances, past.workers) == ({"web.1": 2, "web.2": 2}, {"w1": 2, "w2": 2})


def test_percentiles_are_by_nearest_rank_in_milliseconds() -> None:
    past = History("v43")
    for number in range(1, 101):
        past.add(result(due_at=STARTED_AT + number, latency_s=number / 1000))
    assert past.releases["v43"].latency_ms == {"p50": 50, "p95": 95, "p99": 99, "max": 100}


@pytest.mark.parametrize(
    ("one", "expected", "name"),
    [
        (nameless(), "v43", "v43"),
        (nameless(), None, HIDDEN),
        (nameless(outcome=Outcome.MISMATCH), "v43", HIDDEN_OTHER),
        (result(release=None, commit="3f6c1e0"), "v43", "3f6c1e0"),
        (rejection(), "v43", None),
        (old(bogus=True), "v43", "v42"),
        (incorrect(), "v43", None),
    ],
)
def test_the_name_that_a_response_is_counted_under(
    one: PingResult, expected: str | None, name: str | None
) -> None:
    assert History(expected).release_of(one) == name


def test_the_switch_overlap_and_outage() -> None:
    past = history(old, old, result, old, result)
    assert past.switch.overlap_s == pytest.approx(0.1)
    assert past.outage_s is None
    past = history(old, failed, failed, result)
    assert past.switch.overlap_s == 0
    assert past.outage_s == pytest.approx(0.3)
    assert history(old, result).outage_s is None
    assert history(result, result).switch.overlap_s is None


def test_gaps_leave_out_the_time_in_which_no_ping_was_due() -> None:
    past = history(result, failed, failed, result, result, failed, failed)
    longest, open_gap = past.longest_gap, past.open_gap
    assert longest is not None
    assert open_gap is not None
    assert (longest.seconds, open_gap.seconds) == (pytest.approx(0.3), pytest.approx(0.2))
    assert longest.began_at == STARTED_AT
    past.pause(STARTED_AT + 0.05, STARTED_AT + 0.25)
    longest = past.longest_gap
    assert longest is not None
    assert longest.seconds == pytest.approx(0.1, abs=1e-6)
    assert history(result).longest_gap is None
    assert history(failed).open_gap is None


def test_an_address_that_never_responded_fails_no_ping_of_the_switch() -> None:
    past = History("v43")
    for number in range(6):
        make, address = (failed, "192.0.2.9:443") if number % 2 else (result, ADDRESS)
        past.add(make(due_at=STARTED_AT + number, address=address))
    assert (past.failures, past.open_gap) == ([], None)
    assert past.failed == {Failure.REFUSED: 3}
    past.add(failed(due_at=STARTED_AT + 9, address=ADDRESS))
    assert len(past.failures) == 1
    # Where none ever responded, none can be left out.
    assert len(history(failed, failed).failures) == 2


def test_who_responds_after_one_change_is_the_latest() -> None:
    state = at_end(history(*[old] * 9, *[result] * 3))
    assert (state.releases, state.expected, state.others) == ({"v43": 3}, {"v43"}, [])
    assert state.since == pytest.approx(STARTED_AT + 0.9, abs=1e-6)


def test_releases_that_alternate_are_both_named_the_latest_first() -> None:
    state = at_end(history(*[old, result] * 5))
    assert list(state.releases.items()) == [("v43", 5), ("v42", 5)]
    assert (state.others, state.since) == (["v42"], None)
    assert state.instances == {"v43": ["web.1"], "v42": ["web.2"]}


def test_a_long_series_after_several_changes_is_a_switch() -> None:
    state = at_end(history(*[old, result] * 5, *[old] * 12))
    assert (state.releases, state.expected) == ({"v42": 12}, frozenset())


@pytest.mark.parametrize(
    ("makes", "silence_s", "outcome"),
    [
        ([result, *[failed] * 5], 0.0, Outcome.DOWN),
        ([*[result] * 5, *[failed] * 4], 0.0, None),
        ([*[failed] * 3], 0.0, Outcome.DOWN),
        ([result, *[page] * 5], 0.0, Outcome.NOT_REACHED),
        ([result, *[rate_limited] * 5], 0.0, Outcome.RATE_LIMITED),
        ([result, page, page, failed, failed, rate_limited], 0.0, Outcome.DOWN),
        ([result, *[failed] * 20], 3.0, None),
        ([result, *[failed] * 40], 3.0, Outcome.DOWN),
        ([failed] * 6, 3.0, Outcome.DOWN),
        ([incorrect] * 6, 0.0, None),
        ([], 0.0, None),
    ],
    ids=[
        "down",
        "four failures are none",
        "never responded",
        "a page",
        "429",
        "mixed",
        "not for long enough",
        "for long enough",
        "a rollout that never saw it",
        "its own 500s",
        "no ping",
    ],
)
def test_whether_the_service_is_silent_at_the_end(
    makes: list[Make], silence_s: float, outcome: Outcome | None
) -> None:
    assert at_end(history(*makes), silence_s=silence_s).outcome is outcome


def test_with_several_addresses_each_has_had_its_turn_before_the_service_is_silent() -> None:
    past = history(result, *[failed] * 6)
    assert at_end(past, addresses=3).outcome is Outcome.DOWN
    assert at_end(past, addresses=4).outcome is None


@pytest.mark.parametrize(
    ("makes", "count", "ends_incorrect"),
    [
        ([incorrect, incorrect], 2, True),
        ([result, incorrect, result], 1, False),
        ([incorrect, *[result] * 20], 0, False),
        # Not attributable: no release is named, and the worker has never responded correctly.
        ([lambda **at: incorrect(release=None, commit=None, worker="w9", **at)], 0, False),
        ([result, lambda **at: incorrect(release=None, commit=None, **at)], 1, True),
        ([lambda **at: incorrect(release="v42", worker="w2", **at)], 0, False),
    ],
    ids=["names it", "one", "long over", "nobody's", "a worker of it", "the old one's"],
)
def test_incorrect_responses_of_the_expected_release(
    makes: list[Make], count: int, ends_incorrect: bool
) -> None:
    past = history(*makes)
    found = at_end(past).incorrect
    assert (len(found), past.results[-1] in found) == (count, ends_incorrect)


def test_without_an_expectation_each_incorrect_response_is_the_services() -> None:
    past = history(lambda **at: incorrect(release=None, worker=None, **at), expected=None)
    assert len(at_end(past).incorrect) == 1
