"""The loop of a rollout: what ends it, what it counts, and which code it comes to."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from signal import Signals
from typing import Any

import pytest

from petsage.client.fact import Fact, Failure
from petsage.client.interrupts import Interrupted
from petsage.client.open_loop import Due, Ended
from petsage.client.outcome import DeployRun, RolloutOutcome
from petsage.client.rollout import FIRST_LOOK_SECONDS, Plan, Wait, rollout
from petsage.client.rollout_findings import Budget
from petsage.client.verdict import ExitCode
from tests.client import fleets
from tests.client.facts import NEW, OLD, PAGE, fact, lost
from tests.client.runs import ROOT
from tests.client.runs import rollout as petsage_rollout
from tests.client.servers import serving

RATE = 100


def watched(pick: Callable[[int], Fact], deploy: Any = None, **changes: Any) -> RolloutOutcome:
    """Watch a service whose ping number n finds `pick(n)`."""
    plan = Plan("http://app.example", "v43", RATE, consecutive=5, deadline=3.0, timeout=1.0)
    began = time.time()

    def send(due: Due) -> Fact:
        return replace(pick(due.number), due_at=began + due.number / RATE)

    return rollout(replace(plan, **changes), send, deploy=deploy)


def switching(at: int, *between: Fact) -> Callable[[int], Fact]:
    """Return a service that changes from the old to the new release, by way of `between`."""

    def pick(number: int) -> Fact:
        if number < at:
            return OLD
        return between[number - at] if number - at < len(between) else NEW

    return pick


class Command:
    """A deploy as the loop sees it; it ends after so many seconds with this code."""

    def __init__(self, seconds: float = 0.2, code: int = 0) -> None:
        self.run = DeployRun(("deploy",))
        self._seconds, self._code = seconds, code
        self.stopped: Signals | None = None
        self._begun = 0.0

    @property
    def started(self) -> bool:
        return self.run.started_at is not None

    @property
    def ended(self) -> bool:
        return self.run.ended_at is not None

    def start(self) -> None:
        self.run.started_at = time.time()

    def look(self) -> bool:
        now = time.time()
        if self.started and not self.ended and now - (self.run.started_at or 0) > self._seconds:
            self.run.ended_at, self.run.exit_code = now, self._code
            return True
        return False

    def stop(self, number: Signals) -> None:
        if self.started and not self.ended:
            self.stopped, self.run.cut_short = number, True
            self.run.ended_at, self.run.exit_code = time.time(), 143


def test_a_switch_that_nobody_notices_passes() -> None:
    outcome = watched(switching(30))
    assert (outcome.exit_code, outcome.problems) == (0, [])
    assert not [one for one in outcome.warnings if "too busy" not in one]  # what else runs here
    assert outcome.record.overlap_s == 0.0
    # The answer that ends the waiting does not count.
    assert outcome.row.reached >= 5
    assert outcome.tally.releases["v42"].count == 30


CLOCK_STEPS = """
import time
began, asked = time.monotonic(), time.time
time.time = lambda: asked() + ({step} if time.monotonic() - began > 1.5 else 0)
"""


@pytest.mark.parametrize("step", [-30, 30], ids=["back", "ahead"])
def test_a_clock_that_is_set_in_the_middle_moves_nothing(tmp_path: Path, step: int) -> None:
    # Python imports it before anything else.
    Path(tmp_path, "sitecustomize.py").write_text(CLOCK_STEPS.format(step=step))
    with serving(fleets.switching(30, fleets.resets)) as server:
        done = petsage_rollout(
            *(server.url, "--rate", 20, "--max-failures", 1, "--consecutive", 20),
            PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)]),
        )
    report = done.report
    assert (done.code, report["switch"]["overlap_s"]) == (0, 0.0)
    began, first_new = map(
        datetime.fromisoformat, (report["started_at"], report["switch"]["first_new"])
    )
    assert 1.4 < (first_new - began).total_seconds() < 4.0
    assert report["now"]["answers"] == "v43"


def test_a_hidden_worker_that_has_gone_since_does_not_hold_up_the_proof() -> None:
    def send(due: Due) -> Fact:
        worker = "gone" if due.number == 4 else "w2"
        return fact(
            due_at=time.time(), worker=worker, release=None, commit=None, mismatch=due.control
        )

    plan = Plan("http://app.example", "v43", RATE, consecutive=5, deadline=3.0, timeout=1.0)
    assert rollout(plan, send).exit_code == 0


def test_a_service_that_answers_once_more_after_an_outage_has_no_deploy_started_upon_it() -> None:
    command = Command()
    outcome = watched(lambda number: OLD if number in (*range(20), 200) else lost(), command)
    assert (outcome.exit_code, command.started) == (ExitCode.COMMAND_FAILED, False)


def test_each_break_makes_the_row_longer() -> None:
    outcome = watched(switching(5, NEW, OLD, NEW, OLD, NEW, OLD))
    assert outcome.exit_code == 0
    assert (outcome.row.breaks, outcome.row.needed) == (3, 10)


@pytest.mark.parametrize("failure", Failure)
def test_one_lost_ping_is_over_the_budget(failure: Failure) -> None:
    status = {"5xx": 503, "other status": 404}.get(failure.value)
    broken = fact(failure=failure, status=status, worker=None, release=None, detail="it broke")
    outcome = watched(switching(10, broken))
    assert outcome.exit_code is ExitCode.OVER_BUDGET
    assert outcome.problems[0][1].startswith("1 ping of ")
    assert [one.failure for one in outcome.record.failures] == [failure]


def test_a_budget_allows_what_it_says() -> None:
    pick = switching(10, lost(), lost())
    assert watched(pick, budget=Budget(max_failures=2)).exit_code == 0
    assert watched(pick, budget=Budget(max_failures=1)).exit_code is ExitCode.OVER_BUDGET


def test_a_gap_over_its_budget_is_named_with_its_length_and_place() -> None:
    pick = switching(20, *[lost()] * 19)
    assert watched(pick, budget=Budget(19, max_gap=0.25)).exit_code == 0
    outcome = watched(pick, budget=Budget(19, max_gap=0.15))
    assert outcome.exit_code is ExitCode.OVER_BUDGET
    assert outcome.problems[0][1].startswith("No ping succeeded for 0.20 s, 0.2 s after the start")


def test_a_slow_answer_is_over_the_budget_of_latency() -> None:
    slow = fact(latency_s=0.8)
    pick = switching(10, NEW, slow)
    assert watched(pick, budget=Budget(max_latency=1.0)).exit_code == 0
    outcome = watched(pick, budget=Budget(max_latency=0.5))
    assert outcome.exit_code is ExitCode.OVER_BUDGET
    assert "0.8 s" in outcome.problems[0][1]


@pytest.mark.parametrize(
    ("pick", "code"),
    [
        (lambda _: lost(Failure.REFUSED), ExitCode.UNREACHABLE),
        (lambda _: PAGE, ExitCode.UNREACHABLE),
        (lambda _: OLD, ExitCode.OTHER_RELEASE),
        (lambda _: fact(failure=Failure.WRONG_PONG, detail="odd"), ExitCode.OTHER_RELEASE),
        (lambda number: OLD if number % 2 else NEW, ExitCode.MIXED),
        (lambda number: PAGE if number % 3 else NEW, ExitCode.MIXED),
    ],
    ids=["refused", "a page", "old only", "never rightly", "mixed", "mixed with a page"],
)
def test_what_is_not_settled_at_the_deadline(pick: Callable[[int], Fact], code: ExitCode) -> None:
    outcome = watched(pick, deadline=0.5)
    assert outcome.exit_code is code
    assert outcome.elapsed_s >= 0.5


def test_nothing_ends_it_early_not_even_a_redirect_or_a_wrong_pong() -> None:
    redirect = fact(failure=Failure.OTHER_STATUS, status=301, worker=None, detail="a redirect")
    wrong = fact(failure=Failure.WRONG_PONG, detail="odd")
    outcome = watched(switching(5, redirect, wrong))
    assert outcome.row.whole
    assert outcome.exit_code is ExitCode.OVER_BUDGET


def test_where_no_other_release_was_seen_a_warning_says_so() -> None:
    outcome = watched(lambda _: NEW)
    assert outcome.exit_code == 0
    assert [one for one in outcome.warnings if one.startswith("No switch was observed")]


def test_where_a_switch_is_required_none_is_over_the_budget() -> None:
    outcome = watched(lambda _: NEW, budget=Budget(require_switch=True))
    assert outcome.exit_code is ExitCode.OVER_BUDGET
    assert "Start the rollout before the deploy." in outcome.problems[0][1]
    assert not [one for one in outcome.warnings if "switch" in one]
    assert watched(switching(10), budget=Budget(require_switch=True)).exit_code == 0


@pytest.mark.parametrize(
    ("pick", "code"),
    [
        (lambda _: lost(Failure.REFUSED), ExitCode.UNREACHABLE),
        (lambda _: OLD, ExitCode.OTHER_RELEASE),
        (lambda _: NEW, ExitCode.OVER_BUDGET),
        (lambda number: NEW if number < 3 else PAGE, ExitCode.MIXED),
        (switching(10), ExitCode.PASSED),
    ],
    ids=["neither", "the old one", "the new one", "the new one at first", "both"],
)
def test_a_required_switch_passes_only_where_both_releases_were_seen(
    pick: Callable[[int], Fact], code: ExitCode
) -> None:
    budget = Budget(max_failures=1_000, require_switch=True)
    outcome = watched(pick, deadline=1.0, budget=budget)
    record = outcome.record
    assert outcome.exit_code is code
    assert (code is ExitCode.PASSED) == (None not in (record.first_new, record.last_old))


def test_a_required_switch_is_seen_also_where_releases_are_hidden() -> None:
    hidden = {"release": None, "commit": None}

    def send(due: Due) -> Fact:
        new = replace(NEW, **hidden, mismatch=due.control)
        return replace(OLD, **hidden) if due.number < at else new

    plan = Plan("http://app.example", "v43", RATE, consecutive=5, deadline=3.0)
    plan = replace(plan, budget=Budget(require_switch=True))
    at = 10
    assert rollout(plan, send).exit_code is ExitCode.PASSED
    at = 0
    assert rollout(plan, send).exit_code is ExitCode.OVER_BUDGET


def test_a_slow_answer_from_the_old_release_breaks_the_row_that_overtook_it() -> None:
    began = time.monotonic()

    def send(due: Due) -> Fact:
        if due.number == 2:
            time.sleep(max(0.0, began + 0.5 - time.monotonic()))
            return OLD
        return NEW

    plan = Plan("http://app.example", "v43", RATE, consecutive=5, deadline=3.0)
    outcome = rollout(plan, send)
    assert (outcome.exit_code, outcome.row.breaks) == (0, 1)
    assert outcome.elapsed_s > 0.5


def test_those_in_flight_are_awaited_and_may_break_the_row() -> None:
    def send(due: Due) -> Fact:
        # Numbers 1 to 7 fill the row; number 8 is under way, and those after it must wait for it.
        if due.number == 3:
            time.sleep(0.2)
        if due.number == 8:
            time.sleep(0.4)
        return OLD if 8 <= due.number < 30 else NEW

    plan = Plan("http://app.example", "v43", RATE, consecutive=5, deadline=5.0)
    outcome = rollout(plan, send)
    assert outcome.exit_code == 0
    assert outcome.row.breaks > 10
    assert outcome.row.reached >= outcome.row.needed
    assert [one for one in outcome.warnings if "no pings went out" in one]


@pytest.mark.alone
def test_a_hung_backend_ends_as_its_time_limit_says_and_delays_nobody() -> None:
    hung = threading.Event()

    def send(due: Due) -> Fact:
        if due.number % 3 == 0:
            hung.wait(1.0)
            return lost(Failure.TIMEOUT)
        return NEW if due.number > 50 else OLD

    plan = Plan("http://app.example", "v43", RATE, consecutive=5, deadline=5.0, timeout=1.0)
    outcome = rollout(plan, send)
    assert outcome.exit_code is ExitCode.OVER_BUDGET
    assert set(outcome.tally.failed) == {"timeout"}
    assert (outcome.record.longest_gap_s or 9) < 0.2


def test_where_releases_are_hidden_each_worker_is_asked_to_refuse_one_that_nobody_bears() -> None:
    nameless = fact(release=None, commit=None)

    def send(due: Due) -> Fact:
        return replace(nameless, mismatch=True) if due.control else nameless

    plan = Plan("http://app.example", "v43", RATE, consecutive=5, deadline=3.0)
    assert rollout(plan, send).exit_code == 0
    unproved = rollout(replace(plan, deadline=0.5), lambda _: nameless)
    assert unproved.exit_code is ExitCode.MIXED
    assert "nothing is proved" in unproved.problems[0][1]


def test_the_command_runs_once_the_service_was_seen_for_a_second() -> None:
    command = Command()
    outcome = watched(switching(130), command, deadline=10.0)
    assert outcome.exit_code == 0
    assert command.run.started_at is not None
    assert command.run.started_at - outcome.started_at >= FIRST_LOOK_SECONDS


def test_it_watches_until_the_command_has_ended() -> None:
    command = Command(seconds=1.5)
    outcome = watched(switching(110), command, deadline=10.0)
    assert (outcome.exit_code, command.run.exit_code) == (0, 0)
    assert outcome.elapsed_s > 2.5
    assert command.stopped is None


def test_the_row_that_ends_the_watch_comes_after_the_command() -> None:
    # While the command runs, the last old instance is out of rotation; then it is put back.
    command = Command(seconds=1.0)

    def pick(number: int) -> Fact:
        return OLD if number < 110 or (command.ended and number < 260 and number % 4 == 0) else NEW

    outcome = watched(pick, command, deadline=10.0)
    assert (outcome.exit_code, outcome.elapsed_s > 2.5) == (0, True)
    assert outcome.row.breaks > 5


def test_a_watch_that_ends_with_the_command_proves_nothing_of_what_answers_after_it() -> None:
    # No ping is due between the command's end and that of the watch; another release is back.
    command = Command(seconds=0.3)
    slow: dict[str, Any] = {"rate": 4, "consecutive": 2, "deadline": 10.0}
    outcome = watched(lambda _: OLD if command.ended else NEW, command, after_command=0.001, **slow)
    assert (outcome.exit_code, command.run.exit_code) == (ExitCode.MIXED, 0)
    assert "no answer came since the command's end within 0.001 s" in outcome.problems[0][1]
    assert (outcome.row.whole, outcome.row.excluded_share) == (False, None)


def test_a_command_that_ends_with_the_deadline_leaves_no_row_either() -> None:
    class EndsWithTheDeadline(Command):
        def stop(self, number: Signals) -> None:
            self.run.ended_at, self.run.exit_code = time.time(), 0

    outcome = watched(lambda _: NEW, EndsWithTheDeadline(seconds=60), deadline=1.5)
    assert outcome.exit_code is ExitCode.MIXED
    assert [told for _, told in outcome.problems] == [
        "v43 answered, but no answer came since the command's end within 1.5 s: "
        "the row must stand after it."
    ]


def test_a_command_that_fails_is_8_though_the_release_takes_over() -> None:
    outcome = watched(switching(130, lost()), Command(code=3), deadline=10.0)
    assert outcome.exit_code is ExitCode.COMMAND_FAILED
    codes = [code for code, _ in outcome.problems]
    assert codes == [ExitCode.COMMAND_FAILED, ExitCode.OVER_BUDGET]
    assert "exit code 3" in outcome.problems[0][1]


def test_a_command_that_has_not_ended_at_the_deadline_is_stopped() -> None:
    command = Command(seconds=60)
    outcome = watched(switching(110), command, deadline=2.0)
    assert outcome.exit_code is ExitCode.COMMAND_FAILED
    assert command.stopped is Signals.SIGTERM
    assert "was stopped" in outcome.problems[0][1]


@pytest.mark.parametrize(("code", "verdict"), [(0, ExitCode.OTHER_RELEASE), (3, 8)])
def test_it_watches_on_after_the_command_no_longer_than_was_asked(code: int, verdict: int) -> None:
    outcome = watched(lambda _: OLD, Command(code=code), deadline=30.0, after_command=0.5)
    assert (outcome.exit_code, outcome.elapsed_s < 3) == (verdict, True)
    told = " ".join(sentence for _, sentence in outcome.problems)
    assert "v43 did not answer within 0.5 s of the command's end;" in told


def test_the_deadline_holds_also_where_it_comes_before_the_end_of_that() -> None:
    outcome = watched(lambda _: OLD, Command(), deadline=2.0, after_command=30.0)
    assert (outcome.exit_code, outcome.elapsed_s < 4) == (ExitCode.OTHER_RELEASE, True)
    assert "within 2 s;" in outcome.problems[0][1]


def test_where_the_service_never_answers_the_command_is_not_run() -> None:
    command = Command()
    outcome = watched(lambda _: lost(Failure.REFUSED), command, deadline=1.5)
    assert outcome.exit_code is ExitCode.UNREACHABLE
    assert not command.started


def interrupting(name: str, when: Callable[[], bool]) -> Callable[[Wait], Wait]:
    """Return what makes a wait one that the signal ends."""

    def during(wait: Wait) -> Wait:
        def interruptible(seconds: float) -> Ended | None:
            if when():
                raise Interrupted(name)
            return wait(seconds)

        return interruptible

    return during


def test_an_interrupt_after_the_command_has_failed_names_it_too() -> None:
    command = Command(code=3)

    during = interrupting("SIGINT", lambda: command.ended)
    plan = Plan("http://app.example", "v43", RATE, deadline=5.0)
    outcome = rollout(plan, lambda _: OLD, deploy=command, during=during)
    assert outcome.exit_code is ExitCode.INTERRUPTED
    assert [told for _, told in outcome.problems] == [
        "Interrupted by SIGINT.",
        "The command 'deploy' failed with exit code 3.",
    ]


def test_an_interrupt_leaves_what_was_seen_and_goes_on_to_the_command() -> None:
    command = Command(seconds=60)

    during = interrupting("SIGHUP", lambda: command.started)
    plan = Plan("http://app.example", "v43", RATE, deadline=5.0)
    outcome = rollout(plan, lambda _: OLD, deploy=command, during=during)
    assert outcome.exit_code is ExitCode.INTERRUPTED
    assert command.stopped is Signals.SIGHUP
    assert outcome.tally.ok > 50


def test_a_bug_of_ours_does_not_leave_the_command_running() -> None:
    command = Command(seconds=60)

    def send(_due: Due) -> Fact:
        if command.started:
            raise ValueError("a bug")
        return OLD

    with pytest.raises(ValueError, match="a bug"):
        rollout(Plan("http://app.example", "v43", RATE, deadline=5.0), send, deploy=command)
    assert command.stopped is Signals.SIGTERM
