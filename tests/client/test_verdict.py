"""The rule of the streak and its bound, without any socket."""

from __future__ import annotations

import math
import random

import pytest

from petsage.client.result import Failure, Outcome, PingResult
from petsage.client.verdict import ExitCode, Streak, excluded_share, first_of, needed
from tests.client.results import (
    failed,
    incorrect,
    nameless,
    old,
    page,
    rate_limited,
    rejection,
    result,
)

NEW, OLD = result(), old()


def fed(streak: Streak, *results: PingResult) -> Streak:
    for one in results:
        streak.add(one)
    return streak


@pytest.mark.parametrize(
    ("interruptions", "length"), [(0, 20), (1, 30), (2, 35), (19, 60), (99, 82), (399, 100)]
)
def test_the_streak_grows_with_each_interruption(interruptions: int, length: int) -> None:
    assert needed(20, interruptions) == length


@pytest.mark.parametrize(
    ("consecutive", "interruptions", "share"),
    [(20, 0, 0.14), (20, 1, 0.15), (20, 1000, 0.17), (3, 0, 0.64), (1, 0, 0.95), (300, 0, 0.01)],
)
def test_what_the_evidence_excludes(consecutive: int, interruptions: int, share: float) -> None:
    assert excluded_share(consecutive, interruptions) == share


def test_the_bound_is_that_of_the_design() -> None:
    streaks = sum((j + 1) ** -2 for j in range(4))
    assert excluded_share(20, 3) == math.ceil(100 * (1 - (0.05 / streaks) ** (1 / 20))) / 100


def test_the_response_that_ends_the_waiting_does_not_count() -> None:
    streak = fed(Streak("v43", 2), OLD, OLD, NEW)
    assert (streak.waiting, streak.reached, streak.interruptions) == (False, 0, 0)
    assert fed(streak, NEW, NEW).complete()


def test_an_interruption_counts_also_when_the_streak_is_empty() -> None:
    streak = fed(Streak("v43", 20), NEW, OLD, OLD, OLD)
    assert (streak.interruptions, streak.reached, streak.needed) == (3, 0, needed(20, 3))


@pytest.mark.parametrize(
    "between",
    [
        failed(),
        failed(failure=Failure.SERVER_ERROR, status=502),
        failed(Outcome.NOT_REACHED, Failure.DNS),
        failed(Outcome.NOT_REACHED, Failure.TLS, permanent=True),
        rate_limited(),
        result(outcome=Outcome.CACHED),
        result(outcome=Outcome.CACHED, release="v42"),
    ],
    ids=["refused", "proxy's 502", "dns", "certificate", "429", "cached", "cached, old"],
)
def test_what_neither_counts_nor_interrupts(between: PingResult) -> None:
    streak = fed(Streak("v43", 2), between, NEW, NEW, between)
    assert (streak.reached, streak.interruptions) == (1, 0)
    assert fed(streak, NEW).complete()


@pytest.mark.parametrize(
    "between",
    [OLD, incorrect(), page(), result(release="v42"), result(release="unknown")],
    ids=["412", "own 500", "page", "other release", "unknown release"],
)
def test_what_interrupts_once_the_release_has_responded(between: PingResult) -> None:
    streak = fed(Streak("v43", 2), between, NEW, NEW, between, NEW)
    assert (streak.interruptions, streak.reached) == (1, 1)


def test_without_an_expectation_any_release_counts_from_the_first_response_on() -> None:
    assert fed(Streak(None, 3), NEW, result(release="v42"), NEW).complete()


def test_the_streak_goes_on_until_so_many_instances_are_in_it() -> None:
    streak = fed(Streak(None, 2, instances=2), NEW, NEW, NEW)
    assert (streak.complete(), streak.instances_missing) == (False, 1)
    assert fed(streak, result(instance="web.2")).complete()


def test_instances_and_addresses_from_before_an_interruption_are_not_in_the_streak() -> None:
    first = result(address="127.0.0.1:80")
    streak = fed(Streak("v43", 1, instances=2), first, first, OLD)
    assert (streak.instances, streak.addresses) == (set(), set())


def test_every_address_of_the_latest_list_must_be_in_the_streak() -> None:
    one, two = result(address="192.0.2.1:443"), result(address="[2001:db8::1]:443")
    streak = fed(Streak("v43", 2), one, one, one)
    both = ("192.0.2.1:443", "[2001:db8::1]:443")
    assert streak.missing_addresses(both) == ["[2001:db8::1]:443"]
    assert not streak.complete(both)
    # An address that left the list is not needed any more.
    assert streak.complete(("192.0.2.1:443",))
    assert fed(streak, two).complete(both)


def test_a_worker_that_hides_its_release_must_have_rejected_a_bogus_one() -> None:
    streak = fed(Streak("v43", 1), nameless(), nameless())
    assert (streak.filled, streak.complete(), streak.unproved) == (True, False, {"w1"})
    assert not fed(streak, rejection(worker="w7")).complete()
    assert fed(streak, rejection()).complete()


def test_a_worker_that_has_gone_leaves_the_streak_in_time() -> None:
    streak = fed(Streak("v43", 3), nameless(), nameless(), nameless(worker="w9"), nameless())
    streak.add(rejection())
    assert (streak.filled, streak.unproved) == (True, {"w9"})
    assert not fed(streak, nameless()).complete()
    assert fed(streak, nameless()).complete()


def test_without_workers_as_many_bogus_pings_as_the_streak_needs_must_be_rejected() -> None:
    hidden = nameless(worker=None)
    streak = fed(Streak("v43", 3), hidden, hidden, hidden, hidden)
    assert (streak.filled, streak.rejections_missing) == (True, 3)
    fed(streak, rejection(worker=None), rejection(worker=None), rejection())
    assert not streak.complete()
    assert fed(streak, rejection(worker=None)).complete()


def test_a_service_that_serves_a_bogus_release_proves_nothing() -> None:
    streak = fed(Streak("v43", 1), nameless(), nameless(), nameless(bogus=True))
    assert (streak.interruptions, streak.complete()) == (1, False)
    # One that names its release needs no proof.
    assert fed(Streak("v43", 1), NEW, NEW, result(bogus=True)).complete()


def test_a_bogus_ping_that_meets_another_release_interrupts() -> None:
    streak = fed(Streak("v43", 1), NEW, NEW, old(bogus=True))
    assert (streak.interruptions, streak.reached) == (1, 0)


@pytest.mark.parametrize(
    ("expected", "release", "commit", "named"),
    [
        ("v43", "v43", None, True),
        ("v43", "v4", None, False),
        ("3F6C1E0", "v43", "3f6c1e0a9b7d", True),
        ("3f6c1e", "v43", "3f6c1e0a9b7d", False),
        ("3f6c1e0a9b7d", "3f6c1e0", None, True),
        ("3f6c1e0", "3f6c1e0a9b7d", None, True),
        ("3f6c1e0-rc1", "3f6c1e0", None, False),
        ("unknown", "unknown", "unknown", False),
    ],
)
def test_which_release_a_response_names(
    expected: str, release: str, commit: str | None, named: bool
) -> None:
    assert result(release=release, commit=commit).names(expected) is named


def test_the_first_of_several_codes_is_the_exit_code() -> None:
    order = [2, 130, 8, 3, 1, 9, 4, 5, 6, 7]
    for index, code in enumerate(order):
        assert first_of(ExitCode(one) for one in reversed(order[index:])) == code
    assert first_of([]) == 0


def passes(draw: random.Random, old_share: float, consecutive: int, pings: int) -> float | None:
    """Return what a client claims of a random fleet, or None where it does not pass in time."""
    streak = Streak("v43", consecutive)
    for _ in range(pings):
        streak.add(OLD if draw.random() < old_share else NEW)
        if streak.complete():
            return streak.excluded_share
    return None


@pytest.mark.parametrize("percent", range(1, 51, 3))
def test_the_stated_bound_holds_at_its_95_percent(percent: int) -> None:
    # More fleets, and what they were claimed to be, are in bench/release_proof.py.
    draw = random.Random(percent)
    runs = 250
    claims = [passes(draw, percent / 100, 20, 500) for _ in range(runs)]
    false = sum(claim is not None and claim <= percent / 100 for claim in claims)
    # Three standard errors of luck over 5 %.
    assert false / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


def test_a_fleet_with_a_fifth_of_it_old_passes_in_fewer_than_2_percent_of_runs() -> None:
    draw = random.Random(7)
    runs = 1_000
    passed = sum(passes(draw, 0.2, 20, 600) is not None for _ in range(runs))
    assert passed / runs < 0.02 + 3 * math.sqrt(0.02 * 0.98 / runs)


@pytest.mark.parametrize("addresses", range(2, 9))
@pytest.mark.parametrize(("stale", "runs"), [("old", 1_000), ("dead", 100)])
def test_a_stale_address_never_passes(addresses: int, stale: str, runs: int) -> None:
    latest = tuple(f"192.0.2.{number}:443" for number in range(addresses))
    bad = old(address=latest[0]) if stale == "old" else failed(address=latest[0])
    good = {address: result(address=address) for address in latest[1:]}
    for seed in range(runs):
        draw = random.Random(f"{addresses} {seed}")
        streak = Streak("v43", 3)
        for _ in range(5):
            for address in draw.sample(latest, addresses):
                streak.add(good.get(address, bad))
                assert not streak.complete(latest)
