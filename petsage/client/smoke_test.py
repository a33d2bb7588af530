"""The loop of `petsage smoke-test`: ping until the streak is complete, then the rest.

Network, clock and log come in as arguments; the loop decides what is done next, and leaves the
verdict to `explain`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from petsage.client.clock import Clock
from petsage.client.history import History
from petsage.client.result import (
    BadRequestOutcome,
    BadRequestResult,
    Failure,
    Outcome,
    PingResult,
)
from petsage.client.run import LogResult, Run
from petsage.client.signals import Interrupted, Interruptible, not_interruptible
from petsage.client.verdict import Streak

if TYPE_CHECKING:
    from petsage.client.bad_requests import BadRequest
    from petsage.client.probe import Probe

# Between pings that wait for something to change; those of the streak are `interval` apart.
RETRY_SECONDS = 0.5
MAX_RETRY_AFTER_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeTestPlan:
    """What to prove, and by when. All times are seconds.

    `wait` bounds everything to the end of the streak, `timeout` each request; `interval` is the
    pause between the pings of the streak; `logs_within` is how long the log line may take.
    """

    url: str
    expected: str | None = None
    consecutive: int = 3
    instances: int | None = None
    wait: float = 60.0
    interval: float = 0.01
    timeout: float = 10.0
    bad_requests: Sequence[BadRequest] = ()
    logs_within: float = 30.0


SendBadRequest = Callable[["BadRequest"], BadRequestResult]
WaitForLine = Callable[[str, float, float], LogResult]
Progress = Callable[[Run, str], None]


def smoke_test(
    plan: SmokeTestPlan,
    probe: Probe,
    *,
    clock: Clock,
    send_bad_request: SendBadRequest | None = None,
    wait_for_line: WaitForLine | None = None,
    interruptible: Interruptible = not_interruptible,
    progress: Progress = lambda _run, _doing: None,
) -> Run:
    """Run the plan against the service and return what was seen.

    `wait_for_line(request_id, responded, within)` waits at the far end of the log pipeline.
    Interrupted, raised by an interruptible call, ends the run with what was seen until then.
    """
    began = clock.now()
    run = Run(
        kind="smoke-test",
        url=plan.url,
        expected=plan.expected,
        started_at=clock.unix_time(began),
        history=History(plan.expected),
        streak=Streak(plan.expected, plan.consecutive, plan.instances),
        limit_s=plan.wait,
        instances_asked=plan.instances,
        logs_within=plan.logs_within,
    )
    pings = _Pings(plan, probe, clock, run, interruptible, progress)
    try:
        if pings.until_complete():
            if send_bad_request:
                for number, bad_request in enumerate(plan.bad_requests, 1):
                    progress(run, f"bad request {number} of {len(plan.bad_requests)}")
                    run.bad_requests.append(interruptible(send_bad_request)(bad_request))
                if any(one.outcome is BadRequestOutcome.NOT_DELIVERED for one in run.bad_requests):
                    pings.until_responding()
            if wait_for_line and run.current.outcome is None:
                progress(run, "waiting for the log line")
                wait_for_line = interruptible(wait_for_line)
                run.log = wait_for_line(pings.log_id, pings.responded_at, plan.logs_within)
    except Interrupted as interrupted:
        run.interrupted_by = str(interrupted)
    run.warnings += probe.warnings
    run.elapsed_s = clock.now() - began
    return run


class _Pings:
    """Sends pings until the streak is complete; remembers the last one that the service logs."""

    def __init__(
        self,
        plan: SmokeTestPlan,
        probe: Probe,
        clock: Clock,
        run: Run,
        interruptible: Interruptible,
        progress: Progress,
    ) -> None:
        self._plan, self._probe, self._clock = plan, probe, clock
        self._run, self._progress = run, progress
        self._ping, self._wait = interruptible(probe.ping), interruptible(clock.wait)
        self._seen_service = False
        # Failures in a row that waiting can't change.
        self._permanent = 0
        self.log_id = ""
        self.responded_at = 0.0

    def until_complete(self) -> bool:
        """Ping until the streak is complete, or until it can't be; return whether it is."""
        plan, run, clock = self._plan, self._run, self._clock
        deadline = clock.now() + plan.wait
        while (left := deadline - clock.now()) > 0:
            timeout = min(plan.timeout, left)
            run.in_flight = 1
            # Normal pings go on in between, so that the streak outlives workers that are gone. By
            # chance, or a balancer that takes turns would send all bogus ones to the same workers.
            bogus = run.streak.filled and not run.streak.proved and secrets.randbelow(4) > 0
            result = self._ping(expect=plan.expected, timeout=timeout, bogus=bogus)
            run.addresses = self._probe.addresses
            cut_short = timeout < plan.timeout and result.failure is Failure.TIMEOUT
            # A ping that ran into the end of --wait has not failed, unless it was the only one.
            if not cut_short or not run.history.results:
                run.in_flight = 0
                self._take(result)
            self._progress(run, result.detail)
            if run.streak.complete(run.addresses):
                return True
            if self._is_final(result):
                return False
            self._wait(max(0.0, min(self._pause(result), deadline - clock.now())))
        return False

    def until_responding(self) -> None:
        """Ping until something responds once more, or until it is known that nothing does.

        A bad request that got no response may have ended the service.
        """
        plan, run = self._plan, self._run
        while run.current.outcome is None:
            result = self._ping(expect=plan.expected, timeout=plan.timeout, bogus=False)
            self._take(result)
            self._progress(run, result.detail)
            if result.outcome is not Outcome.DOWN:
                return
            self._wait(self._pause(result))

    def _take(self, result: PingResult) -> None:
        run = self._run
        run.history.add(result)
        # To a streak that is complete, one more correct response adds nothing.
        if not (run.proved and run.history.is_expected(result)):
            run.streak.add(result)
        self._seen_service = self._seen_service or result.of_service
        self._permanent = self._permanent + 1 if result.permanent else 0
        if result.of_service and result.log_id is not None:
            self.log_id, self.responded_at = result.log_id, self._clock.now()

    def _is_final(self, result: PingResult) -> bool:
        """Return whether no further ping can complete the streak."""
        streak = self._run.streak
        if streak.instances_hidden:
            return True
        if result.outcome is Outcome.INCORRECT and len(self._run.current.incorrect) > 1:
            # Until R has responded, its own 5xx may be that of a service which is starting.
            return not (streak.waiting and result.failure is Failure.SERVER_ERROR)
        if self._seen_service:
            return False
        # One address with a bad certificate ends nothing while another one may be right.
        return self._permanent >= max(1, len(self._run.addresses))

    def _pause(self, result: PingResult) -> float:
        """Return the seconds until the next ping."""
        plan = self._plan
        if result.failure is None and not self._run.streak.waiting:
            return plan.interval
        limited = result.outcome is Outcome.RATE_LIMITED
        if result.failure is not None and (limited or result.retry_after_s is not None):
            # A Retry-After of 0 is no leave to flood what is down.
            asked = min(result.retry_after_s or 0.0, MAX_RETRY_AFTER_SECONDS)
            return max(plan.interval, RETRY_SECONDS, asked)
        # The Retry-After of a 412 is for curl. Each address gets the pause between two of its own
        # pings, so that a dead one delays no other.
        return max(plan.interval, RETRY_SECONDS / max(1, len(self._run.addresses)))
