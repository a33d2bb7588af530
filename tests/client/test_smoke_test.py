"""The loop, with a service, a clock's sleep and a log that are made up."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from petsage.client.fact import Fact, Failure
from petsage.client.interrupts import Interrupted
from petsage.client.logs import LogFinding
from petsage.client.outcome import Outcome
from petsage.client.refusals import Refusal, Refused
from petsage.client.reports import rendered
from petsage.client.reports.advice import next_step
from petsage.client.reports.headline import headline
from petsage.client.smoke_test import Plan, smoke_test
from tests.client.facts import NEW, OLD, PAGE, fact, lost


@dataclass
class Scripted:
    """A service that finds what the script says, its last word time and again."""

    script: list[Fact]
    refused: Callable[[Refusal], Refused]
    timeouts: list[float] = field(default_factory=list)

    def ping(self, expect: str | None, timeout: float) -> Fact:
        self.timeouts.append(timeout)
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    def control(self, timeout: float) -> Fact:
        return fact(release=None, commit=None, mismatch=True)

    def refuse(self, refusal: Refusal) -> Refused:
        return self.refused(refusal)


def as_must_be(refusal: Refusal) -> Refused:
    return Refused(refusal.name, True, refusal.expected, refusal.expected)


def ran(
    *script: Fact,
    refused: Callable[[Refusal], Refused] = as_must_be,
    log: LogFinding | None = None,
    pauses: list[float] | None = None,
    expected: str | None = None,
    wait: float = 0.2,
    consecutive: int = 3,
) -> Outcome:
    """Run a smoke test on the script and return its outcome."""
    plan = Plan("http://app.example", expected, consecutive, wait=wait, interval=0.0)
    slept = [] if pauses is None else pauses
    return smoke_test(
        plan,
        Scripted(list(script), refused),
        await_line=None if log is None else lambda *_: log,
        sleep=slept.append,
    )


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ([NEW], 0),
        ([lost(), PAGE, NEW], 0),
        ([lost()], 3),
        ([PAGE], 1),
        ([OLD], 4),
        ([NEW, OLD, OLD], 5),
        ([OLD, lost()], 4),
        ([PAGE, lost()], 3),
        ([lost(), PAGE], 1),
        ([NEW, NEW, lost()], 3),
    ],
    ids=lambda value: None,
)
def test_what_was_seen_until_the_deadline_decides(script: list[Fact], code: int) -> None:
    assert ran(*script, expected="v43").exit_code == code


def test_a_ping_that_only_ran_into_the_deadline_does_not_decide() -> None:
    assert ran(PAGE, PAGE, lost(Failure.TIMEOUT), wait=0.05).exit_code == 1


@pytest.mark.parametrize(
    ("first", "pause"),
    [
        (fact(failure=Failure.SERVER_ERROR, status=503, worker=None, retry_after_s=2.0), 2.0),
        (fact(failure=Failure.SERVER_ERROR, status=503, worker=None, retry_after_s=99.0), 5.0),
        (fact(failure=Failure.SERVER_ERROR, status=503, worker=None, retry_after_s=0.0), 0.5),
        (fact(mismatch=True, status=412, release="v42", retry_after_s=1.0), 0.5),
        (lost(), 0.5),
        (fact(), 0.0),
    ],
    ids=["Retry-After", "a long Retry-After", "Retry-After: 0", "412", "transport", "right"],
)
def test_how_long_it_pauses(first: Fact, pause: float) -> None:
    pauses: list[float] = []
    ran(first, NEW, expected="v43", wait=60, pauses=pauses)
    assert pauses[0] == pytest.approx(pause)


def test_no_ping_and_no_pause_goes_past_the_deadline() -> None:
    pauses: list[float] = []
    ran(lost(), pauses=pauses, wait=0.1)
    assert max(pauses) <= 0.1


def test_a_bad_refusal_does_not_keep_the_log_from_being_read() -> None:
    def refused(refusal: Refusal) -> Refused:
        return Refused(refusal.name, refusal.name != "null", refusal.expected, "200")

    outcome = ran(NEW, refused=refused, log=LogFinding(found=False))
    assert (outcome.exit_code, len(outcome.problems)) == (1, 2)


def test_an_interrupt_among_the_refusals_keeps_those_that_were_seen() -> None:
    def refused(refusal: Refusal) -> Refused:
        if refusal.name == "unknown member":
            raise Interrupted("SIGTERM")
        return as_must_be(refusal)

    outcome = ran(NEW, refused=refused)
    assert (outcome.exit_code, len(outcome.refusals)) == (130, 3)


def test_a_ping_that_the_waiting_cuts_off_has_not_failed() -> None:
    class Hanging(Scripted):
        def ping(self, expect: str | None, timeout: float) -> Fact:
            found = super().ping(expect, timeout)
            time.sleep(timeout if found.failure else 0.0)
            return found

    cut = fact(failure=Failure.TIMEOUT, worker=None, release=None, detail="no whole answer")
    plan = Plan("http://app.example", "v43", 20, wait=0.2, interval=0.0)
    outcome = smoke_test(plan, Hanging([NEW, NEW, cut], as_must_be), sleep=lambda _: None)
    assert (outcome.exit_code, outcome.tally.failed, outcome.warnings) == (5, {}, [])
    assert "2 sent, 2 ok, 1 more under way" in rendered(outcome, "text")


def test_a_rate_limiter_that_thins_out_the_row_is_named_as_such() -> None:
    limited = fact(failure=Failure.OTHER_STATUS, status=429, worker=None, release=None)
    outcome = ran(NEW, limited, expected="v43", wait=0.2)
    assert outcome.exit_code == 3
    assert next_step(outcome).startswith("Something limits the rate of requests")


def asked_long_ago(**changes: Any) -> Fact:
    return fact(due_at=time.time() - 9, **changes)


def test_a_ping_that_hangs_when_the_run_is_cut_short_tells_that_nobody_answers() -> None:
    class Hanging(Scripted):
        def ping(self, expect: str | None, timeout: float) -> Fact:
            found = super().ping(expect, timeout)
            if found.failure and self.interrupted:
                raise Interrupted("SIGINT")
            time.sleep(timeout if found.failure else 0.0)
            return found

        interrupted = False

    cut = fact(failure=Failure.TIMEOUT, worker=None, release=None, detail="no whole answer")
    plan = Plan("http://app.example", "v43", 20, wait=0.2, interval=0.0)
    service = Hanging([asked_long_ago()] * 2 + [cut], as_must_be)
    outcome = smoke_test(plan, service, sleep=lambda _: None)
    assert (outcome.exit_code, headline(outcome)) == (5, "v43 answered, but now nobody answers.")
    assert next_step(outcome).startswith("Nobody answers any more")
    service = Hanging([asked_long_ago()] * 2 + [cut], as_must_be)
    service.interrupted = True
    outcome = smoke_test(plan, service, sleep=lambda _: None)
    assert (outcome.exit_code, outcome.now.nobody, outcome.now.unanswered) == (130, True, 1)
    assert "2 sent, 2 ok, 1 more under way" in rendered(outcome, "text")


@pytest.mark.parametrize(("last", "nobody"), [(False, True), (True, False)], ids=["gone", "back"])
def test_who_takes_no_connection_for_the_bad_requests_does_not_answer_now(
    last: bool, nobody: bool
) -> None:
    def refused(refusal: Refusal) -> Refused:
        if last and refusal.name == "unknown path":
            return as_must_be(refusal)
        got = "no connection: Connection refused"
        return Refused(refusal.name, False, refusal.expected, got, unreachable=True)

    outcome = ran(asked_long_ago(), refused=refused)
    assert (outcome.exit_code, outcome.now.nobody) == (3, nobody)
    told = "and then nobody did" if nobody else "but not every bad request"
    assert headline(outcome) == f"PetSage answered its pings, {told}."
    assert ("it answers, but not each time" in next_step(outcome)) is not nobody


@pytest.mark.parametrize(
    ("expected", "told"),
    [
        ("v43", "Only v43 answered, but too slowly for a row of 999999 within 0.2 s."),
        (None, "PetSage answered, but too slowly for a row of 999999 within 0.2 s."),
    ],
    ids=["a release", "any"],
)
def test_a_service_that_is_only_slow_is_told_as_slow(expected: str | None, told: str) -> None:
    outcome = ran(NEW, expected=expected, wait=0.2, consecutive=999_999)
    assert (outcome.exit_code, headline(outcome)) == (5, told)
    assert next_step(outcome).startswith("Raise --wait")
    assert "new release" not in rendered(outcome, "text")


@pytest.mark.parametrize(
    ("before", "told"),
    [
        (OLD, "v43 answered, but too late or too slowly for a row of 999999 within 0.2 s."),
        (lost(), "Only v43 answered, but too late or too slowly for a row of 999999 within 0.2 s."),
    ],
    ids=["another release", "nobody"],
)
def test_a_release_that_came_too_late_is_not_told_as_slow_nor_as_the_only_one(
    before: Fact, told: str
) -> None:
    outcome = ran(before, NEW, expected="v43", wait=0.2, consecutive=999_999)
    assert (outcome.exit_code, headline(outcome)) == (5, told)
    assert next_step(outcome) == "Give it longer: --wait."


def test_instances_that_are_missing_are_asked_after_by_the_name_of_the_one_that_answers() -> None:
    plan = Plan("http://app.example", "v43", 3, instances=2, wait=0.2, interval=0.0)
    outcome = smoke_test(plan, Scripted([NEW], as_must_be), sleep=lambda _: None)
    assert (outcome.exit_code, headline(outcome)) == (
        *(5, "v43 answers, but from 1 instance and not from 2."),
    )
    assert next_step(outcome).startswith("Only web.1 answered: is every other in rotation")


def test_where_instances_are_hidden_nothing_is_waited_for() -> None:
    plan = Plan("http://app.example", "v43", 3, instances=2, wait=60.0, interval=0.0)
    hidden = fact(instance=None)
    began = time.monotonic()
    outcome = smoke_test(plan, Scripted([hidden], as_must_be), sleep=lambda _: None)
    assert time.monotonic() - began < 5
    assert (outcome.exit_code, outcome.tally.sent) == (5, 4)
    assert "PETSAGE_DISCLOSE_RELEASE=false" in outcome.problems[0][1]


def test_an_outage_at_the_end_is_told_by_a_smoke_test_too() -> None:
    outcome = smoke_test(
        Plan("http://app.example", "v43", 3, wait=1.0, interval=0.0),
        Scripted([OLD, lost(), lost(), lost()], as_must_be),
        sleep=lambda _: None,
    )
    assert (outcome.exit_code, outcome.now.nobody) == (4, False)
    late = [fact(due_at=1_800_000_000.0 + 9, failure=Failure.REFUSED, worker=None)] * 3
    outcome = smoke_test(
        Plan("http://app.example", "v43", 3, wait=0.2, interval=0.0),
        Scripted([OLD, *late], as_must_be),
        sleep=lambda _: None,
    )
    assert headline(outcome) == "v43 never answered, and now nobody answers."
    assert next_step(outcome).startswith("Nobody answers any more")
