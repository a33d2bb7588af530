"""The loop of `petsage smoke-test`: ping until the row is whole, then the refusals, then the log.

All that touches the world comes in as an argument; this room decides only what is done next.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile
from typing import Protocol

from petsage.client import findings
from petsage.client.clock import unix_time
from petsage.client.fact import Fact, Failure
from petsage.client.interrupts import Interrupted
from petsage.client.logs import LogFinding
from petsage.client.outcome import Outcome
from petsage.client.refusals import REFUSALS, Refusal, Refused
from petsage.client.tally import Tally
from petsage.client.verdict import ExitCode, Row, is_final

# Between pings that wait for something to change; those in the row are `interval` apart.
WAITING_PAUSE_SECONDS = 0.5
MAX_RETRY_AFTER_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to prove, and by when. All times are seconds.

    `wait` bounds everything to the end of the row; `timeout` each request; `interval` is the
    pause between the pings of the row; `logs_within` bounds the log line's way from its
    answer.
    """

    url: str
    expected: str | None = None
    consecutive: int = 3
    instances: int | None = None
    wait: float = 60.0
    interval: float = 0.01
    timeout: float = 10.0
    refusals: bool = True
    logs_within: float = 30.0


class Service(Protocol):
    """The service as this room sees it: what can be asked of it."""

    def ping(self, expect: str | None, timeout: float) -> Fact:
        """Send one ping."""

    def control(self, timeout: float) -> Fact:
        """Send a ping that expects a release which no service bears."""

    def refuse(self, refusal: Refusal) -> Refused:
        """Send a request that must be refused."""


AwaitLine = Callable[[str, float, float], LogFinding]
Progress = Callable[[Tally, Row, str], None]


@dataclass(slots=True)
class _Run:
    plan: Plan
    service: Service
    sleep: Callable[[float], None]
    progress: Progress
    outcome: Outcome
    last: Fact | None = None
    marker: str = ""
    answered: float = 0.0
    final: Fact | None = None

    def ping_until_whole(self) -> None:
        plan, row, tally = self.plan, self.outcome.row, self.outcome.tally
        deadline = time.monotonic() + plan.wait
        # No waiting makes a service name its instances.
        while not (row.whole or row.instances_hidden) and self.final is None:
            left = deadline - time.monotonic()
            if left <= 0:
                return
            # The row goes on meanwhile, and so outlives workers that are gone. By chance and not
            # in turns, or a balancer that goes round would send all of them to the same ones.
            control = row.filled and secrets.randbelow(4) > 0
            timeout = min(plan.timeout, left)
            self.outcome.in_flight = 1
            fact = (
                self.service.control(timeout)
                if control
                else self.service.ping(plan.expected, timeout)
            )
            cut = timeout < plan.timeout and fact.failure is Failure.TIMEOUT
            # One that ran into the end of the waiting has not failed; the first one counts.
            if not (cut and tally.sent):
                self.outcome.in_flight = 0
                tally.add(fact, control=control)
                self._take(fact, control=control)
            self.progress(tally, row, self._told(fact))
            if not (row.whole or row.instances_hidden):
                self.sleep(min(self._pause(fact), max(0.0, deadline - time.monotonic())))

    def _take(self, fact: Fact, *, control: bool) -> None:
        row, self.last = self.outcome.row, fact
        self.outcome.add_present(fact, control=control)
        if is_final(fact, waiting=row.waiting):
            self.final = fact
            return
        if control:
            row.add_control(fact)
        else:
            row.add(fact)
        if fact.failure is None:
            self.marker, self.answered = fact.request_id, time.monotonic()
            if control and not fact.mismatch and not fact.names_release:
                self.final = fact

    def _told(self, fact: Fact) -> str:
        """Return, for the progress, what is amiss with a ping or who answers meanwhile."""
        if fact.failure is Failure.NOT_PETSAGE:
            return f"not PetSage: {fact.detail}"
        if fact.failure is None and self.outcome.row.waiting:
            return f"{self.outcome.tally.release_of(fact)} answers"
        return fact.detail

    def _pause(self, fact: Fact) -> float:
        if fact.failure is None and not self.outcome.row.waiting:
            return self.plan.interval
        # A 412's Retry-After is for curl; one of 0 is no leave to flood what is down.
        asked = (fact.retry_after_s or 0.0) if fact.failure is not None else 0.0
        return max(self.plan.interval, WAITING_PAUSE_SECONDS, min(asked, MAX_RETRY_AFTER_SECONDS))

    def judge_pings(self) -> None:
        outcome = self.outcome
        if self.final is None:
            outcome.problems += findings.row_problems(
                outcome.row, outcome.tally, self.last, outcome.within
            )
        else:
            after_right = outcome.tally.ok > 0
            outcome.problems.append(findings.final_problem(self.final, after_right=after_right))

    def refuse(self) -> None:
        outcome = self.outcome
        for number, refusal in enumerate(REFUSALS, 1):
            self.progress(outcome.tally, outcome.row, f"refusal {number} of {len(REFUSALS)}")
            outcome.refusals.append(self.service.refuse(refusal))

    def note_silence(self) -> None:
        """Take note of what was asked last and in vain: a ping that hangs, bad requests."""
        refusals = takewhile(lambda one: one.unreachable, reversed(self.outcome.refusals))
        in_vain = self.outcome.in_flight + len(list(refusals))
        self.outcome.present.cut_short(in_vain, unix_time())

    def read_log(self, await_line: AwaitLine) -> None:
        outcome = self.outcome
        self.progress(outcome.tally, outcome.row, "waiting for the log line")
        outcome.log = await_line(self.marker, self.answered, self.plan.logs_within)


def smoke_test(
    plan: Plan,
    service: Service,
    *,
    await_line: AwaitLine | None = None,
    sleep: Callable[[float], None] = time.sleep,
    progress: Progress = lambda _tally, _row, _doing: None,
) -> Outcome:
    """Run the plan against the service and return what was found.

    `await_line(request_id, answered, within)` waits at the far end of the log; without it no
    log is looked at. Interrupted, from any of the callables, ends the run with what was seen
    until then.
    """
    started = time.monotonic()
    outcome = Outcome(
        url=plan.url,
        expected=plan.expected,
        started_at=unix_time(),
        tally=Tally(plan.expected),
        row=Row(plan.expected, plan.consecutive, plan.instances),
        within=f"within {plan.wait:g} s",
    )
    run = _Run(plan, service, sleep, progress, outcome)
    try:
        run.ping_until_whole()
        run.judge_pings()
        if not outcome.problems:
            if plan.refusals:
                run.refuse()
            if await_line:
                run.read_log(await_line)
    except Interrupted as interrupted:
        outcome.problems.append((ExitCode.INTERRUPTED, f"Interrupted by {interrupted}."))
    run.note_silence()
    outcome.problems += findings.refusal_problems(outcome.refusals)
    outcome.problems += findings.log_problems(outcome.log, plan.logs_within)
    outcome.warnings += findings.warnings(outcome.row, outcome.tally, outcome.refusals, outcome.log)
    outcome.elapsed_s = time.monotonic() - started
    return outcome
