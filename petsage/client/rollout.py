"""The loop of `petsage rollout`: ping on until the new release has taken over, whatever happens.

All that touches the world comes in as an argument; this room decides only what is done next.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from signal import SIGTERM, Signals
from typing import Protocol

from petsage.client import rollout_findings as findings
from petsage.client.clock import unix_time
from petsage.client.fact import Fact
from petsage.client.interrupts import Interrupted
from petsage.client.open_loop import Ended, OpenLoop, Send
from petsage.client.outcome import DeployRun, RolloutOutcome
from petsage.client.record import Record
from petsage.client.rollout_findings import Budget
from petsage.client.tally import Tally
from petsage.client.verdict import ExitCode, Row

# For so long the service is seen to answer before the command is started.
FIRST_LOOK_SECONDS = 1.0
# The command and the display are looked after at least so often.
_TURN_SECONDS = 0.1
# A ping keeps its own time limit; this is for a machine that gives its thread no time to.
_STRAGGLER_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to watch for, and the budget. `rate` is pings a second.

    `deadline` (seconds) bounds the sending of pings, `after_command` that from the command's end
    on, `timeout` each ping.
    """

    url: str
    expected: str
    rate: float = 10.0
    consecutive: int = 20
    deadline: float = 900.0
    after_command: float | None = None
    timeout: float = 10.0
    budget: Budget = field(default_factory=Budget)


class Deploy(Protocol):
    """The command that deploys, as this room sees it."""

    run: DeployRun

    @property
    def started(self) -> bool:
        """Whether it was started."""

    def start(self) -> None:
        """Start it."""

    def look(self) -> bool:
        """Note its end, and return whether it has come since the last look."""

    def stop(self, number: Signals) -> None:
        """End it and all that belongs to it."""


Wait = Callable[[float], Ended | None]
Progress = Callable[[RolloutOutcome, Fact | None], None]


class _Watch:
    def __init__(
        self,
        plan: Plan,
        outcome: RolloutOutcome,
        loop: OpenLoop,
        wait: Wait,
        deploy: Deploy | None,
        progress: Progress,
    ) -> None:
        self._plan, self._outcome, self._loop = plan, outcome, loop
        self._wait, self._deploy, self._progress = wait, deploy, progress
        self._first_success: float | None = None
        self._seen_for = 0.0
        # From when on answers may stand in the row that ends the watch.
        self._row_from = math.inf if deploy else None
        self.last: Fact | None = None
        self.most_late_s = 0.0
        self._end = time.monotonic() + plan.deadline

    def until_settled(self) -> None:
        """Ping until the new release has taken over, or the deadline."""
        row, loop = self._outcome.row, self._loop
        self._outcome.within = f"within {self._plan.deadline:g} s"
        while (now := time.monotonic()) < self._end:
            # The row goes on meanwhile, and so outlives workers that are gone (see smoke_test).
            control = row.filled and not row.whole and secrets.randbelow(4) > 0
            loop.send_due(control=control)
            turn = min(loop.next_due, self._end, now + _TURN_SECONDS)
            self._take(self._wait(turn - time.monotonic()))
            if self._deploy and not self._deploy.started and self._seen_for >= FIRST_LOOK_SECONDS:
                self._deploy.start()
            if self._settled():
                self._await_those_in_flight()
                if self._settled():
                    return
                # An answer that was still under way has broken the row.
                loop.resume()
        self._await_those_in_flight()

    def _settled(self) -> bool:
        return self._outcome.row.whole and self._row_from is None

    def none_since_command(self) -> bool:
        """Return whether nothing is known of the time since the command ended by itself."""
        run = self._outcome.deploy
        ended = run is not None and run.ended_at is not None and not run.cut_short
        return ended and self._row_from is not None

    def _await_those_in_flight(self) -> None:
        end = time.monotonic() + self._plan.timeout + _STRAGGLER_SECONDS
        while self._loop.in_flight and (now := time.monotonic()) < end:
            self._take(self._wait(min(_TURN_SECONDS, end - now)))

    def _take(self, ended: Ended | None) -> None:
        if ended is not None:
            self._count(ended)
            for one in self._loop.in_turn():
                self._feed(one)
        self._outcome.in_flight = self._loop.in_flight
        if self._deploy and self._deploy.look():
            self._watch_on()
        self._progress(self._outcome, ended.fact if ended else None)

    def _watch_on(self) -> None:
        """Take note that the command has ended: from now on answers may stand in the row."""
        self._row_from = now = time.monotonic()
        after = self._plan.after_command
        if after is not None and now + after < self._end:
            self._end = now + after
            self._outcome.within = f"within {after:g} s of the command's end"
            self._outcome.bound = "--after-command"

    def _count(self, ended: Ended) -> None:
        """Take in what needs no order, as soon as it is there."""
        fact, due, tally = ended.fact, ended.due, self._outcome.tally
        self.last = fact
        self.most_late_s = max(self.most_late_s, ended.late_s)
        tally.add(fact, control=due.control)
        if fact.tells_of_release(control=due.control):
            new = self._outcome.row.is_right(fact, control=due.control)
            self._outcome.record.add(fact, due.at, tally.release_of(fact), new=new)

    def _feed(self, ended: Ended) -> None:
        """Take in by due time what depends on it: the row and the gap."""
        fact, due, outcome = ended.fact, ended.due, self._outcome
        if self._row_from is not None and due.at >= self._row_from:
            # Before, the deploy may have had the old instances out of rotation.
            outcome.row.begin_anew()
            self._row_from = None
        if due.control:
            outcome.row.add_control(fact)
        else:
            outcome.row.add(fact)
        outcome.record.add_in_turn(fact, due.at, after_pause=due.after_pause)
        outcome.add_present(fact, control=due.control)
        if fact.failure is not None:
            if self._seen_for < FIRST_LOOK_SECONDS and outcome.now.nobody:
                # Whoever answers again after an outage is looked at anew.
                self._first_success = None
            return
        if self._first_success is None:
            self._first_success = due.at
        self._seen_for = due.at - self._first_success


def rollout(
    plan: Plan,
    send: Send,
    *,
    deploy: Deploy | None = None,
    during: Callable[[Wait], Wait] = lambda wait: wait,
    progress: Progress = lambda _outcome, _last: None,
) -> RolloutOutcome:
    """Watch the service until `plan.expected` has taken over, and return what was found.

    `send` makes one ping, in a thread of its own. `deploy` is started once the service is
    seen to answer, and what ends the watch is then a row of answers from after its end.
    `during` makes the wait one that may raise Interrupted, which ends the run with what was
    seen until then.
    """
    started = time.monotonic()
    loop = OpenLoop(send, plan.rate)
    outcome = RolloutOutcome(
        url=plan.url,
        expected=plan.expected,
        started_at=unix_time(),
        tally=Tally(plan.expected),
        row=Row(plan.expected, plan.consecutive),
        rate=plan.rate,
        record=Record(started),
        deploy=deploy.run if deploy else None,
    )
    watch = _Watch(plan, outcome, loop, during(loop.wait), deploy, progress)
    number = SIGTERM
    interrupted = None
    try:
        watch.until_settled()
    except Interrupted as told:
        interrupted = told
        number = Signals[str(told)]
    finally:
        if deploy:
            deploy.stop(number)
    none_since = watch.none_since_command()
    if none_since:
        outcome.row.begin_anew()
    if interrupted:
        # Behind one ping that hangs others may have been answered.
        for one in loop.out_of_turn():
            outcome.add_present(one.fact, control=one.due.control)
        outcome.present.cut_short(outcome.in_flight, unix_time())
        outcome.problems.append((ExitCode.INTERRUPTED, f"Interrupted by {interrupted}."))
    else:
        outcome.problems += findings.takeover_problems(outcome, watch.last, none_since=none_since)
    outcome.problems += findings.command_problems(
        outcome, plan.deadline, interrupted=interrupted is not None
    )
    outcome.problems += findings.budget_problems(outcome, plan.budget)
    # What decides the verdict comes first.
    verdict = outcome.exit_code
    outcome.problems.sort(key=lambda problem: problem[0] is not verdict)
    outcome.warnings += findings.warnings(
        outcome, plan.budget, most_late_s=watch.most_late_s, paused_s=loop.paused_s
    )
    outcome.elapsed_s = time.monotonic() - started
    return outcome
