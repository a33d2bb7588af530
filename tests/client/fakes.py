"""A clock, a probe, threads and a command without real time, network or processes."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from signal import Signals

from petsage.client.clock import Clock
from petsage.client.result import PingResult
from petsage.client.rollout import Due, Ended
from petsage.client.run import DeployResult
from tests.client.results import STARTED_AT


class FakeClock(Clock):
    """A clock that goes on only when somebody waits."""

    def __init__(self) -> None:
        self.time = 100.0
        self.waits: list[float] = []

    def now(self) -> float:
        return self.time

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.time += seconds

    def unix_time(self, at: float) -> float:
        return STARTED_AT + at


@dataclass
class FakeProbe:
    """A probe whose ping number n finds `script(n)`, or the result itself of a bogus ping.

    Each ping takes as long as its result says.
    """

    script: Callable[[int], PingResult]
    clock: FakeClock
    bogus: Callable[[int], PingResult] | None = None
    addresses: tuple[str, ...] = ()
    warnings: list[str] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)
    expected: list[str | None] = field(default_factory=list)
    bogus_pings: int = 0

    def ping(
        self, *, expect: str | None, timeout: float, bogus: bool = False, due: float | None = None
    ) -> PingResult:
        number = len(self.timeouts)
        self.timeouts.append(timeout)
        self.expected.append(expect)
        self.bogus_pings += bogus
        found = (self.bogus or self.script)(number) if bogus else self.script(number)
        began = self.clock.now()
        self.clock.time += min(found.latency_s, timeout)
        return replace(found, due_at=self.clock.unix_time(began), bogus=bogus)


class FakeThreads:
    """Threads whose pings end, by the clock, when their latency is over."""

    def __init__(self, script: Callable[[Due], PingResult], clock: FakeClock) -> None:
        self._script, self._clock = script, clock
        self._running: list[tuple[float, int, Ended]] = []
        self.started: list[Due] = []

    def start(self, due: Due) -> None:
        found = replace(self._script(due), due_at=self._clock.unix_time(due.at), bogus=due.bogus)
        ended = Ended(due, self._clock.now() - due.at, found)
        heapq.heappush(self._running, (due.at + found.latency_s, due.number, ended))
        self.started.append(due)

    def wait(self, seconds: float) -> Ended | None:
        until = self._clock.now() + max(0.0, seconds)
        if self._running and self._running[0][0] <= until:
            at, _, ended = heapq.heappop(self._running)
            self._clock.time = max(self._clock.time, at)
            return ended
        self._clock.time = until
        return None


class FakeCommand:
    """A command that ends by the clock after so many seconds, with this exit code."""

    def __init__(self, clock: FakeClock, seconds: float = 2.0, code: int = 0) -> None:
        self.result = DeployResult(("deploy",))
        self._clock, self._seconds, self._code = clock, seconds, code
        self.stopped_by: Signals | None = None
        self.started = 0.0

    def start(self) -> None:
        self.started = self._clock.now()
        self.result.started_at = self._clock.unix_time(self.started)

    def poll(self) -> None:
        result = self.result
        if result.started_at is None or result.ended_at is not None:
            return
        if self._clock.now() >= self.started + self._seconds:
            result.ended_at = self._clock.unix_time(self._clock.now())
            result.exit_code = self._code

    def stop(self, number: Signals) -> None:
        self.poll()
        if self.result.started_at is not None and self.result.ended_at is None:
            self.stopped_by, self.result.stopped = number, True
            self.result.ended_at = self._clock.unix_time(self._clock.now())
            self.result.exit_code = 143
