"""The loop of `petsage smoke-test`: ping until the streak is complete, then the rest.

Network, clock and log come in as arguments; the loop decides what is done next, and leaves the
verdict to `explain`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from petsage.client.clock import Clock
from petsage.client.result import (
    BadRequestOutcome,
    BadRequestResult,
    Failure,
    Outcome,
    PingResult,
)
from petsage.client.run import LogResult, Run
from petsage.client.signals import Interrupted, Interruptible, not_interruptible

if TYPE_CHECKING:
    from petsage.client.probe import Probe

# Between pings that wait for something to change; those of the streak are `interval` apart.
RETRY_SECONDS = 0.5
MAX_RETRY_AFTER_SECONDS = 5.0


SendBadRequest = Callable[[], BadRequestResult]
WaitForLine = Callable[[str, float, float], LogResult]
Progress = Callable[[Run, str], None]


def smoke_test(
    run: Run,
    probe: Probe,
    *,
    clock: Clock,
    bad_requests: Sequence[SendBadRequest] = (),
    wait_for_line: WaitForLine | None = None,
    interruptible: Interruptible = not_interruptible,
    progress: Progress = lambda _run, _doing: None,
) -> None:
    """Do what `run` asks, and note in it what is seen.

    `bad_requests` are functions that send one each.
    `wait_for_line(request_id, responded, within)` waits at the far end of the log pipeline.
    Interrupted, raised by an interruptible call, ends the run with what was seen until then.
    """
    began = clock.now()
    run.started_at = clock.unix_time(began)
    pings = _Pings(run, probe, clock, interruptible, progress)
    try:
        if pings.until_complete():
            for number, send_bad_request in enumerate(bad_requests, 1):
                progress(run, f"bad request {number} of {len(bad_requests)}")
                run.bad_requests.append(interruptible(send_bad_request)())
            if any(one.outcome is BadRequestOutcome.NOT_DELIVERED for one in run.bad_requests):
                pings.until_responding()
            if wait_for_line and run.current.outcome is None:
                progress(run, "waiting for the log line")
                wait_for_line = interruptible(wait_for_line)
                run.log = wait_for_line(pings.log_id, pings.responded_at, run.logs_within)
    except Interrupted as interrupted:
        run.interrupted_by = str(interrupted)
    run.warnings += probe.warnings
    run.elapsed_s = clock.now() - began


class _Pings:
    """Sends pings until the streak is complete; remembers the last one that the service logs."""

    def __init__(
        self, run: Run, probe: Probe, clock: Clock, interruptible: Interruptible, progress: Progress
    ) -> None:
        self._run, self._probe = run, probe
        self._clock, self._progress = clock, progress
        self._ping, self._wait = interruptible(probe.ping), interruptible(clock.wait)
        self.log_id = ""
        self.responded_at = 0.0

    def until_complete(self) -> bool:
        """Ping until the streak is complete, or until it can't be; return whether it is."""
        run, clock = self._run, self._clock
        deadline = clock.now() + run.limit_s
        while (left := deadline - clock.now()) > 0:
            timeout = min(run.timeout, left)
            run.in_flight = 1
            # Normal pings go on in between, so that the streak outlives workers that are gone. By
            # chance, or a balancer that takes turns would send all bogus ones to the same workers.
            bogus = run.streak.filled and not run.streak.proved and secrets.randbelow(4) > 0
            result = self._ping(expect=run.expected, timeout=timeout, bogus=bogus)
            run.addresses = self._probe.addresses
            cut_short = timeout < run.timeout and result.failure is Failure.TIMEOUT
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
        run = self._run
        while run.current.outcome is None:
            result = self._ping(expect=run.expected, timeout=run.timeout, bogus=False)
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
        # One address with a bad certificate ends nothing while another one may be right.
        count = max(1, len(self._run.addresses))
        last = self._run.history.results[-count:]
        permanent = len(last) == count and all(one.permanent for one in last)
        return permanent and not self._run.history.responded

    def _pause(self, result: PingResult) -> float:
        """Return the seconds until the next ping."""
        interval = self._run.interval
        if result.failure is None and not self._run.streak.waiting:
            return interval
        limited = result.outcome is Outcome.RATE_LIMITED
        if result.failure is not None and (limited or result.retry_after_s is not None):
            # A Retry-After of 0 is no leave to flood what is down.
            asked = min(result.retry_after_s or 0.0, MAX_RETRY_AFTER_SECONDS)
            return max(interval, RETRY_SECONDS, asked)
        # The Retry-After of a 412 is for curl. Each address gets the pause between two of its own
        # pings, so that a dead one delays no other.
        return max(interval, RETRY_SECONDS / max(1, len(self._run.addresses)))
