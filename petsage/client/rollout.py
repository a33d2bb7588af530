"""The loop of `petsage rollout`: ping at a fixed rate until the new release has taken over.

Network, clock and command come in as arguments; the loop decides what is done next, and leaves
the verdict to `explain`.
"""

from __future__ import annotations

import math
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from signal import SIGTERM, Signals
from typing import TYPE_CHECKING

from petsage.client.clock import Clock
from petsage.client.result import PingResult
from petsage.client.run import Run
from petsage.client.signals import Interrupted, Interruptible, not_interruptible

if TYPE_CHECKING:
    from petsage.client.deploy import Deploy
    from petsage.client.probe import Probe

# How long the service must be seen to respond before the command is started.
RESPONDING_SECONDS = 1.0
# Pings that were due longer ago than this did not go out because this machine stood still (it
# was suspended, or petsage was stopped): they say nothing of the service.
STALL_SECONDS = 1.0
# The command and the display are looked after at least so often.
_TURN_SECONDS = 0.1
# A ping keeps its own time limit; this is for a machine that gives its thread no time to.
_STRAGGLER_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Due:
    """A ping that is due at `at`, a value of the clock's `now`."""

    number: int
    at: float
    bogus: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """A ping that has ended: how many seconds late it went out, and what it found."""

    due: Due
    late_s: float
    result: PingResult


class PingThreads:
    """Runs `send` in threads: one more whenever all are busy, so that no ping waits.

    They are daemons: a ping that hangs does not delay the end of the process.
    """

    def __init__(self, send: Callable[[Due], PingResult], clock: Clock) -> None:
        self._send, self._clock = send, clock
        self._due: SimpleQueue[Due] = SimpleQueue()
        self._ended: SimpleQueue[Ended | Exception] = SimpleQueue()
        self._lock = threading.Lock()
        # Threads that wait for a ping, less the pings that wait for a thread.
        self._free = 0

    def start(self, due: Due) -> None:
        """Send a ping. Where the system gives no more threads it waits for a free one."""
        self._due.put(due)
        if self._add_free(-1) >= 0:
            return
        try:
            threading.Thread(target=self._run, name="petsage-ping", daemon=True).start()
        except RuntimeError:
            return
        self._add_free(1)

    def wait(self, seconds: float) -> Ended | None:
        """Return the next ping that ends within so many seconds, or None.

        An exception of `send` is raised here.
        """
        try:
            ended = self._ended.get(timeout=max(0.0, seconds))
        except Empty:
            return None
        if isinstance(ended, Exception):
            raise ended
        return ended

    def _add_free(self, change: int) -> int:
        with self._lock:
            self._free += change
            return self._free

    def _run(self) -> None:
        while True:
            due = self._due.get()
            late_s = self._clock.now() - due.at
            try:
                self._ended.put(Ended(due, late_s, self._send(due)))
            except Exception as error:
                self._ended.put(error)
            self._add_free(1)


class OpenLoop:
    """Starts `rate` pings a second, whatever becomes of them, and gives them back by due time."""

    def __init__(
        self,
        threads: PingThreads,
        rate: float,
        clock: Clock,
        interruptible: Interruptible = not_interruptible,
    ) -> None:
        self._threads, self._clock = threads, clock
        self._wait = interruptible(threads.wait)
        self.interval = 1.0 / rate
        self._first_due = clock.now()
        self.intervals = 0
        self._sent = 0
        self._received = 0
        self._early: dict[int, Ended] = {}
        self._turn = 0

    @property
    def in_flight(self) -> int:
        """How many pings have not ended."""
        return self._sent - self._received

    @property
    def next_due(self) -> float:
        """When the next ping is due."""
        # From the start, and not from the ping before: rounding errors and delays don't add up.
        return self._first_due + self.intervals * self.interval

    def send_due(self, *, bogus: bool) -> None:
        """Send the pings that are due by now."""
        now = self._clock.now()
        while self.next_due <= now:
            self._threads.start(Due(self._sent, self.next_due, bogus))
            self.intervals += 1
            self._sent += 1

    def skip_due(self) -> None:
        """Leave out the pings that are due by now."""
        behind = max(0.0, self._clock.now() - self.next_due)
        self.intervals += math.ceil(behind / self.interval)

    def wait(self, seconds: float) -> Ended | None:
        """Return the next ping that ends within so many seconds, or None."""
        ended = self._wait(seconds)
        if ended is not None:
            self._received += 1
            self._early[ended.due.number] = ended
        return ended

    def in_turn(self) -> Iterator[Ended]:
        """Yield, by due time, the pings that have ended and that come after no other one."""
        while (ended := self._early.pop(self._turn, None)) is not None:
            self._turn += 1
            yield ended


def rollout(
    run: Run,
    probe: Probe,
    threads: PingThreads,
    *,
    clock: Clock,
    command: Deploy | None = None,
    interruptible: Interruptible = not_interruptible,
    progress: Callable[[Run], None] = lambda _run: None,
) -> None:
    """Watch until `run.expected` has taken over, and note in `run` what is seen.

    The pings run in `threads`; `probe` tells the addresses. `command` is started once the service
    is seen to respond, and then the streak that ends the watch must begin after the command's
    end. Interrupted, raised while the loop waits, ends the run with what was seen until then.
    """
    began = clock.now()
    run.started_at = clock.unix_time(began)
    run.deploy = command.result if command else None
    loop = OpenLoop(threads, run.rate, clock, interruptible)
    watch = _Watch(run, probe, loop, clock, command, progress)
    stop_signal = SIGTERM
    try:
        watch.until_settled()
    except Interrupted as interrupted:
        run.interrupted_by = str(interrupted)
        stop_signal = Signals[run.interrupted_by]
    finally:
        if command:
            command.stop(stop_signal)
    watch.close()
    run.elapsed_s = clock.now() - began


class _Watch:
    def __init__(
        self,
        run: Run,
        probe: Probe,
        loop: OpenLoop,
        clock: Clock,
        command: Deploy | None,
        progress: Callable[[Run], None],
    ) -> None:
        self._run, self._probe, self._loop = run, probe, loop
        self._clock, self._command, self._progress = clock, command, progress
        self._end = clock.now() + run.limit_s
        # The first and the last response of an unbroken sequence of them, by due time.
        self._responding: tuple[float, float] | None = None
        # From when on responses count for the streak; None while the command has not ended.
        self._count_from = None if command else -math.inf

    def until_settled(self) -> None:
        """Ping until the new release has taken over, or until the deadline."""
        loop, streak, clock = self._loop, self._run.streak, self._clock
        while (now := clock.now()) < self._end:
            if now - loop.next_due > STALL_SECONDS:
                self._pause()
            # Normal pings go on in between, so that the streak outlives workers that are gone.
            bogus = streak.filled and not streak.proved and secrets.randbelow(4) > 0
            loop.send_due(bogus=bogus)
            turn = min(loop.next_due, self._end, now + _TURN_SECONDS)
            self._take(loop.wait(turn - clock.now()))
            self._start_command()
            if self._is_settled():
                self._wait_for_those_in_flight()
                if self._is_settled():
                    return
                # A response that was still under way has interrupted the streak.
                self._pause()
        self._wait_for_those_in_flight()

    def close(self) -> None:
        """Note what is known at the end of the run."""
        run = self._run
        if run.deploy and run.deploy.started_at is not None and self._count_from is None:
            # It ended since the last look, or was stopped: no response is from after its end.
            run.streak.begin_anew()
        run.warnings += self._probe.warnings

    def _is_settled(self) -> bool:
        complete = self._run.streak.complete(self._run.addresses)
        return complete and self._count_from is not None

    def _pause(self) -> None:
        began, ended = self._loop.next_due, self._clock.now()
        self._loop.skip_due()
        if ended > began:
            self._run.history.pause(self._clock.unix_time(began), self._clock.unix_time(ended))

    def _wait_for_those_in_flight(self) -> None:
        end = self._clock.now() + self._run.timeout + _STRAGGLER_SECONDS
        while self._loop.in_flight and (now := self._clock.now()) < end:
            self._take(self._loop.wait(min(_TURN_SECONDS, end - now)))

    def _take(self, ended: Ended | None) -> None:
        run = self._run
        if ended is not None:
            run.history.add(ended.result)
            run.most_late_s = max(run.most_late_s, ended.late_s)
            if ended.result.of_service:
                self._note_response(ended.due.at)
            for one in self._loop.in_turn():
                if self._count_from is None or one.due.at >= self._count_from:
                    run.streak.add(one.result)
        run.in_flight = self._loop.in_flight
        run.addresses = self._probe.addresses
        self._note_command_end()
        self._progress(run)

    def _note_response(self, due_at: float) -> None:
        first, last = self._responding or (due_at, due_at)
        # After an outage the service must be seen to respond for a second anew.
        if due_at - last > max(RESPONDING_SECONDS, 2 * self._loop.interval):
            first = due_at
        self._responding = first, max(last, due_at)

    def _start_command(self) -> None:
        if self._command and self._command.result.started_at is None and self._responding:
            first, last = self._responding
            if last - first >= RESPONDING_SECONDS:
                self._command.start()

    def _note_command_end(self) -> None:
        if self._command is None or self._count_from is not None:
            return
        self._command.poll()
        if self._command.result.ended_at is None:
            return
        # Before, the deploy may have had the old instances out of rotation.
        self._run.streak.begin_anew()
        self._count_from = now = self._clock.now()
        if self._run.after_command is not None:
            self._end = min(self._end, now + self._run.after_command)
