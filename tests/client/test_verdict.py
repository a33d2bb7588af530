"""The rule of the row and its bound, without any socket."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest

from petsage.client.fact import Fact, Failure
from petsage.client.verdict import ExitCode, Row, excluded_share, exit_code, is_final, needed
from tests.client.facts import NEW, OLD, PAGE, fact, lost
from tests.test_doors import ROOT, imports_of


def fed(row: Row, *facts: Fact) -> Row:
    for one in facts:
        row.add(one)
    return row


@pytest.mark.parametrize(
    ("breaks", "answers"), [(0, 20), (1, 30), (2, 35), (19, 60), (99, 82), (399, 100)]
)
def test_the_row_grows_with_each_break(breaks: int, answers: int) -> None:
    assert needed(20, breaks) == answers


@pytest.mark.parametrize(
    ("consecutive", "breaks", "share"),
    [(20, 0, 0.14), (20, 1, 0.15), (20, 1000, 0.17), (3, 0, 0.64), (1, 0, 0.95), (300, 0, 0.01)],
)
def test_what_the_evidence_excludes(consecutive: int, breaks: int, share: float) -> None:
    assert excluded_share(consecutive, breaks) == share


def test_the_bound_is_that_of_the_design() -> None:
    rows = sum((j + 1) ** -2 for j in range(4))
    assert excluded_share(20, 3) == math.ceil(100 * (1 - (0.05 / rows) ** (1 / 20))) / 100


def test_the_answer_that_ends_the_waiting_does_not_count() -> None:
    row = fed(Row("v43", 2), OLD, OLD, NEW)
    assert (row.waiting, row.reached, row.breaks) == (False, 0, 0)
    assert fed(row, NEW, NEW).whole


def test_a_break_counts_also_when_the_row_is_empty() -> None:
    row = fed(Row("v43", 20), NEW, OLD, OLD, OLD)
    assert (row.breaks, row.reached, row.needed) == (3, 0, needed(20, 3))


@pytest.mark.parametrize("failure", [Failure.RESET, Failure.TIMEOUT, Failure.DNS])
def test_a_transport_failure_neither_counts_nor_breaks(failure: Failure) -> None:
    row = fed(Row("v43", 2), NEW, NEW, lost(failure), NEW)
    assert (row.whole, row.breaks, row.lost) == (True, 0, 1)


def test_what_is_not_petsage_breaks_the_row_but_not_the_waiting() -> None:
    row = fed(Row("v43", 2), PAGE, NEW, NEW, PAGE, NEW)
    assert (row.breaks, row.strays, row.reached) == (1, 1, 1)


def test_without_an_expectation_any_release_counts_from_the_first_answer_on() -> None:
    assert fed(Row(None, 3), NEW, fact(release="v42"), NEW).whole


def test_the_row_goes_on_until_so_many_instances_stand_in_it() -> None:
    row = fed(Row(None, 2, instances=2), NEW, NEW, NEW)
    assert (row.whole, row.instances_missing) == (False, 1)
    assert fed(row, fact(instance="web.2")).whole


def test_instances_from_before_a_break_do_not_stand_in_the_row() -> None:
    row = fed(Row("v43", 1, instances=2), NEW, NEW, OLD, fact(instance="web.2"), NEW)
    assert row.instances == {"web.2", "web.1"}
    assert fed(Row("v43", 1, instances=2), NEW, NEW, OLD).instances == set()


def test_nameless_answers_prove_nothing_until_each_worker_has_refused() -> None:
    nameless = fact(release=None, commit=None)
    row = fed(Row("v43", 1), nameless, nameless)
    assert (row.filled, row.whole, row.unproved) == (True, False, {"w1"})
    row.add_control(fact(release=None, commit=None, mismatch=True, worker="w7"))
    assert not row.whole
    row.add_control(fact(release=None, commit=None, mismatch=True))
    assert row.whole


def test_a_worker_that_has_gone_leaves_the_row_in_time() -> None:
    nameless, gone = fact(release=None, commit=None), fact(release=None, commit=None, worker="w9")
    row = fed(Row("v43", 3), nameless, nameless, gone, nameless)
    row.add_control(fact(release=None, commit=None, mismatch=True))
    assert (row.filled, row.unproved) == (True, {"w9"})
    assert not fed(row, nameless).whole
    assert fed(row, nameless).whole


def test_a_control_that_meets_another_release_breaks_the_row() -> None:
    row = fed(Row("v43", 1), NEW, NEW)
    row.add_control(OLD)
    assert (row.breaks, row.reached) == (1, 0)


@pytest.mark.parametrize(
    ("one", "waiting", "final"),
    [
        (NEW, True, False),
        (lost(), True, False),
        (PAGE, True, False),
        (fact(failure=Failure.OTHER_STATUS, status=301, worker=None), True, True),
        (fact(failure=Failure.TLS, untrusted=True, worker=None), True, True),
        (fact(failure=Failure.WRONG_PONG), True, True),
        (fact(failure=Failure.OTHER_STATUS, status=429), False, False),
        (fact(failure=Failure.SERVER_ERROR, status=500), True, False),
        (fact(failure=Failure.SERVER_ERROR, status=500), False, True),
        (fact(failure=Failure.SERVER_ERROR, status=502, worker=None), False, False),
    ],
    ids=[
        "right",
        "transport",
        "not PetSage",
        "redirect",
        "untrusted",
        "wrong pong",
        "429",
        "own 500 while waiting",
        "own 500 in the row",
        "proxy's 502",
    ],
)
def test_what_ends_it_at_once(one: Fact, waiting: bool, final: bool) -> None:
    assert is_final(one, waiting=waiting) is final


def test_the_first_of_several_codes_is_the_exit_code() -> None:
    codes = [6, 5, 4, 1, 3, 130, 2]
    for index in range(len(codes)):
        found = [(ExitCode(code), "") for code in codes[: index + 1]]
        assert exit_code(found) == codes[index]
    assert exit_code([]) == 0


def passes(draw: random.Random, old_share: float, consecutive: int, pings: int) -> float | None:
    """Return what a client claims of a random fleet, or None where it does not pass in time."""
    row = Row("v43", consecutive)
    chance = draw.random
    for _ in range(pings):
        row.add(OLD if chance() < old_share else NEW)
        if row.whole:
            return row.excluded_share
    return None


@pytest.mark.parametrize("percent", range(1, 51))
def test_the_stated_bound_holds_at_its_95_percent(percent: int) -> None:
    # More fleets, and what they were claimed to be, are in bench/release_proof.py.
    draw = random.Random(percent)
    runs = 250
    claims = [passes(draw, percent / 100, 20, 500) for _ in range(runs)]
    wrong = sum(claim is not None and claim <= percent / 100 for claim in claims)
    # Three standard errors of luck over 5 %.
    assert wrong / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


def test_a_fleet_with_a_fifth_of_it_old_passes_in_fewer_than_2_percent_of_runs() -> None:
    draw = random.Random(7)
    runs = 2_000
    passed = sum(passes(draw, 0.2, 20, 600) is not None for _ in range(runs))
    assert passed / runs < 0.02 + 3 * math.sqrt(0.02 * 0.98 / runs)


def test_the_verdict_knows_nothing_of_http() -> None:
    known = set(imports_of(Path(ROOT, "petsage/client/verdict.py")))
    assert {name.partition(".")[0] for name in known} == {
        "__future__",
        "collections",
        "math",
        "enum",
        "petsage",
    }
    assert {name for name in known if name.startswith("petsage.client.")} == {
        "petsage.client.fact",
        "petsage.client.fact.TRANSPORT",
        "petsage.client.fact.Fact",
    }
