"""The open loop: pings go out at a fixed rate whatever the answers do, and are due in an order.

It knows no release and passes no verdict.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from petsage.client.crew import Crew
from petsage.client.fact import Fact

# A loop that wakes up later than this was held up itself (a suspended machine, Ctrl-Z): what was
# due meanwhile says nothing of the service.
STALL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Due:
    """A ping that is to go out at `at`, a time.monotonic() value.

    A `control` ping expects a release that no service bears. `after_pause` says that before it
    pings were due which did not go out.
    """

    number: int
    at: float
    control: bool
    after_pause: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """A ping that has come to its end: how late it went out, in seconds, and what it found."""

    due: Due
    late_s: float
    fact: Fact


Send = Callable[[Due], Fact]


class OpenLoop:
    """Sends through `send`, which runs in threads side by side, `rate` pings a second."""

    def __init__(self, send: Send, rate: float) -> None:
        self._send = send
        self._interval = 1.0 / rate
        self._crew = Crew(self._run)
        self._ended: SimpleQueue[Ended | Exception] = SimpleQueue()
        self._early: dict[int, Ended] = {}
        self._turn = 0
        self._first_due = time.monotonic()
        self._intervals = 0
        self._paused = False
        self.sent = 0
        self.received = 0
        self.paused_s = 0.0

    @property
    def in_flight(self) -> int:
        """How many pings are under way."""
        return self.sent - self.received

    @property
    def next_due(self) -> float:
        """When the next ping is due, as time.monotonic() has it."""
        # From the start, not from the ping before: rounding errors and delays don't add up.
        return self._first_due + self._intervals * self._interval

    def send_due(self, *, control: bool = False) -> None:
        """Send what is due by now; after a stall that was held up for long, go on from now."""
        now = time.monotonic()
        if now - self.next_due > STALL_SECONDS:
            self.resume()
        while self.next_due <= now:
            due = Due(self.sent, self.next_due, control, self._paused)
            self._paused = False
            self._intervals += 1
            self.sent += 1
            self._crew.give(due)

    def resume(self) -> None:
        """Leave out the pings that were due until now, and remember that they did not go out."""
        behind = max(0.0, time.monotonic() - self.next_due)
        self.paused_s += behind
        self._intervals += math.ceil(behind / self._interval)
        self._paused = True

    def _run(self, due: Due) -> None:
        late_s = time.monotonic() - due.at
        try:
            self._ended.put(Ended(due, late_s, self._send(due)))
        except Exception as fault:
            self._ended.put(fault)

    def wait(self, seconds: float) -> Ended | None:
        """Return the next ping that comes to its end within so many seconds, or None.

        An error that `send` has raised is raised here.
        """
        try:
            ended = self._ended.get(timeout=max(0.0, seconds))
        except Empty:
            return None
        if isinstance(ended, Exception):
            raise ended
        self.received += 1
        self._early[ended.due.number] = ended
        return ended

    def in_turn(self) -> Iterator[Ended]:
        """Yield, by due time, the ended pings that no unended one comes before."""
        while (ended := self._early.pop(self._turn, None)) is not None:
            self._turn += 1
            yield ended

    def out_of_turn(self) -> Iterator[Ended]:
        """Yield, by due time, the ended pings that an unended one comes before."""
        for number in sorted(self._early):
            yield self._early[number]
