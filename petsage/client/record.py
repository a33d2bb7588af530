"""What happened when in a rollout: the switch, the gap, the failures, and each ping in nine bytes.

It passes no verdict.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from petsage.client.fact import Fact, Failure

FAILURES_KEPT = 1_000
_CLASSES = [failure.value for failure in Failure]
# What a byte can count, less the expected release and the further ones; a fleet of more
# releases than that has other troubles.
_MOST_ENDINGS = 254
_FURTHER_RELEASES = "(further releases)"


@dataclass(frozen=True, slots=True)
class FailedPing:
    """A ping that failed: when it was due (Unix time), in which class, and a sentence."""

    due_at: float
    failure: Failure
    detail: str


@dataclass(frozen=True, slots=True)
class Point:
    """A ping: seconds from the start to its due time, its latency, and its release or failure."""

    due_s: float
    latency_s: float
    ending: str
    failed: bool


class Record:
    """The history of one rollout. `first_new` and the like are Unix time, of the answers."""

    def __init__(self, started: float) -> None:
        self._started = started
        self._dues = array("f")
        self._latencies = array("f")
        self._endings = array("B")
        self._names = list(_CLASSES)
        self._numbers = {name: number for number, name in enumerate(_CLASSES)}
        self._release_numbers: dict[str, int] = {}
        self._last_success: float | None = None
        # From when on nobody has answered, as far as was asked; None before the first answer.
        self._silent_from: float | None = None
        self._last_due = 0.0
        self.failures: list[FailedPing] = []
        # The name of the expected release, which may have been asked for by its commit.
        self.new_name: str | None = None
        self.first_new: float | None = None
        self.last_new: float | None = None
        self.first_old: float | None = None
        self.last_old: float | None = None
        self.longest_gap_s: float | None = None
        self.gap_begins_s = 0.0
        self.slowest_s = 0.0

    @property
    def overlap_s(self) -> float | None:
        """For how long both the old and the new release answered; None where one never did."""
        return None if self.change is None else max(0.0, self.change[1] - self.change[0])

    @property
    def change(self) -> tuple[float, float] | None:
        """When the second of old and new first answered, and when the first of them to end ended.

        In Unix time; backwards where they follow each other. None where one never answered.
        """
        if self.first_new is None or self.last_new is None:
            return None
        if self.first_old is None or self.last_old is None:
            return None
        return max(self.first_new, self.first_old), min(self.last_new, self.last_old)

    @property
    def open_gap_s(self) -> float | None:
        """For how long nobody had answered when the last ping was due.

        None where that one was answered, or where nobody ever has answered.
        """
        if self._silent_from is None or self._last_due <= self._silent_from:
            return None
        return self._last_due - self._silent_from

    @property
    def open_gap_begins_s(self) -> float:
        """When that began, in seconds from the start."""
        return (self._silent_from or 0.0) - self._started

    @property
    def releases(self) -> list[str]:
        """The releases, as they first came."""
        return list(self._release_numbers)

    def add(self, fact: Fact, due: float, release: str, *, new: bool) -> None:
        """Take in what a ping found that was due at `due` (monotonic), in whatever order.

        `release` is the name that a success is filed under; `new` whether it came from the
        expected release.
        """
        if fact.failure is not None:
            number = self._numbers[fact.failure.value]
            if len(self.failures) < FAILURES_KEPT:
                self.failures.append(FailedPing(fact.due_at, fact.failure, fact.detail))
        else:
            number = self._release_number(release, first=new and self.new_name is None)
            self.slowest_s = max(self.slowest_s, fact.latency_s)
            seen = fact.due_at + fact.latency_s
            if new:
                self.new_name = release
                self.first_new = min(self.first_new or seen, seen)
                self.last_new = max(self.last_new or seen, seen)
            else:
                self.first_old = min(self.first_old or seen, seen)
                self.last_old = max(self.last_old or seen, seen)
        self._dues.append(due - self._started)
        self._latencies.append(fact.latency_s)
        self._endings.append(number)

    def add_in_turn(self, fact: Fact, due: float, *, after_pause: bool) -> None:
        """Take in the same again by due time, for the gap; none is measured over a pause."""
        self._last_due = due
        if after_pause:
            self._last_success = None
            self._silent_from = None if self._silent_from is None else due
        if fact.failure is not None:
            return
        if self._last_success is not None:
            gap = due - self._last_success
            if gap > (self.longest_gap_s or 0.0):
                self.longest_gap_s = gap
                self.gap_begins_s = self._last_success - self._started
        self._last_success = self._silent_from = due

    def _release_number(self, release: str, *, first: bool) -> int:
        number = self._release_numbers.get(release)
        if number is None:
            if len(self._names) >= _MOST_ENDINGS and not first:
                release = _FURTHER_RELEASES
            number = self._release_numbers.setdefault(release, len(self._names))
            if number == len(self._names):
                self._names.append(release)
        return number

    def points(self) -> Iterator[Point]:
        """Yield every ping, as they ended."""
        for due, latency, number in zip(self._dues, self._latencies, self._endings, strict=True):
            yield Point(due, latency, self._names[number], number < len(_CLASSES))
