"""What the pings of a run have found: the list of results, and everything that follows from it.

Times are Unix time and durations seconds. It passes no verdict.
"""

from __future__ import annotations

import bisect
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from petsage.client.result import Outcome, PingResult
from petsage.client.verdict import is_expected

# What a response is counted under that names no release: any, or another than the expected one.
HIDDEN = "(hidden)"
HIDDEN_OTHER = "(hidden, another)"
# So many of the last responses tell who responds, and so many failed pings in a row that the
# service does not.
LAST_RESPONSES = 20
_FAILED_IN_A_ROW = 5


@dataclass(slots=True)
class ReleaseStats:
    """The correct responses of one release, by due time."""

    name: str
    results: list[PingResult] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many responses came from it."""
        return len(self.results)

    @property
    def first_seen(self) -> float:
        """When the first response came."""
        return min(map(responded_at, self.results))

    @property
    def last_seen(self) -> float:
        """When the last response came."""
        return max(map(responded_at, self.results))

    @property
    def instances(self) -> Counter[str]:
        """The number of responses of each instance."""
        return Counter(one.instance for one in self.results if one.instance is not None)

    @property
    def latency_ms(self) -> dict[str, float]:
        """p50, p95, p99 and max in milliseconds."""
        ordered = sorted(one.latency_s for one in self.results)
        ranks = {"p50": 50, "p95": 95, "p99": 99, "max": 100}
        return {name: round(percentile(ordered, rank) * 1000, 3) for name, rank in ranks.items()}


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in which no ping succeeded: from one success to the next, or to the last ping."""

    began_at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Switch:
    """When responses of the expected release and of others first and last came.

    None where none did.
    """

    first_new: float | None = None
    last_new: float | None = None
    first_old: float | None = None
    last_old: float | None = None

    @property
    def change(self) -> tuple[float, float] | None:
        """When the second of new and old first responded, and the first of them last did.

        Backwards where they followed each other. None where one never responded.
        """
        if self.first_new is None or self.last_new is None:
            return None
        if self.first_old is None or self.last_old is None:
            return None
        return max(self.first_new, self.first_old), min(self.last_new, self.last_old)

    @property
    def overlap_s(self) -> float | None:
        """For how long both responded; None where one never did."""
        return None if self.change is None else max(0.0, self.change[1] - self.change[0])


@dataclass(frozen=True, slots=True)
class CurrentState:
    """Who responds at the end.

    `releases` is how many of the last responses came from each release that responds: one, or
    several that alternate, the latest first; empty where none does. `expected` are those of them
    that are the expected release, `instances` the instances of each. `since` is when an unbroken
    series of such responses, or of failed pings, began; None where releases alternate. `outcome`
    is what most of the last pings came to where none got a response of the service: DOWN,
    NOT_REACHED, RATE_LIMITED or CACHED, and `failed` the last of those; else `failed` is the very
    last ping, where that failed.
    `incorrect` are the incorrect responses of the expected release among the last pings.
    """

    releases: Mapping[str, int] = field(default_factory=dict)
    expected: frozenset[str] = frozenset()
    instances: Mapping[str, list[str]] = field(default_factory=dict)
    since: float | None = None
    outcome: Outcome | None = None
    failed: PingResult | None = None
    incorrect: Sequence[PingResult] = ()

    @property
    def others(self) -> list[str]:
        """The other releases that respond."""
        return [name for name in self.releases if name not in self.expected]


class History:
    """The results of a run by due time. `expected` is the expected release, None for any."""

    def __init__(self, expected: str | None) -> None:
        self.expected = expected
        self.results: list[PingResult] = []
        self.pauses: list[tuple[float, float]] = []

    def add(self, result: PingResult) -> None:
        """Take in a result, in whatever order they come."""
        bisect.insort(self.results, result, key=lambda one: one.due_at)
        self._forget()

    def pause(self, began_at: float, ended_at: float) -> None:
        """Take note that no ping was due for a while: no gap is measured over that time."""
        self.pauses.append((began_at, ended_at))
        self._forget()

    def _forget(self) -> None:
        """Drop what was derived from the list before it grew: the reports ask for it repeatedly."""
        for name in ("failures", "releases", "switch", "longest_gap"):
            self.__dict__.pop(name, None)

    def window(self, seconds: float) -> list[PingResult]:
        """Return the results of the last so many seconds, by due time."""
        if not self.results:
            return []
        begin = self.results[-1].due_at - seconds
        return self.results[bisect.bisect_left(self.results, begin, key=lambda one: one.due_at) :]

    def is_expected(self, result: PingResult) -> bool:
        """Return whether this is a correct response of the expected release."""
        return is_expected(result, self.expected)

    def release_of(self, result: PingResult) -> str | None:
        """Return the name that a correct response is counted under; None where it tells of none.

        A failed ping tells of none, nor does the response to a bogus ping that names none.
        """
        if result.failure is not None:
            return None
        name = result.release or result.commit
        if name is None and result.bogus:
            return None
        if name is None and result.outcome is Outcome.MISMATCH:
            return HIDDEN_OTHER
        return name or self.expected or HIDDEN

    @property
    def ok(self) -> int:
        """How many pings did not fail, whichever release responded."""
        return sum(one.failure is None for one in self.results)

    @property
    def failed(self) -> Counter[str]:
        """The number of failed pings in each class."""
        return failed_by_class(self.results)

    @cached_property
    def failures(self) -> list[PingResult]:
        """The failed pings, but for those to addresses that never responded."""
        return [one for one in self._of_live_addresses() if one.failure is not None]

    @property
    def responded(self) -> bool:
        """Whether the service itself has ever responded, correctly or not."""
        return any(one.of_service for one in self.results)

    @cached_property
    def releases(self) -> dict[str, ReleaseStats]:
        """The releases that responded, in the order in which they first did."""
        found: dict[str, ReleaseStats] = {}
        for one in self.results:
            name = self.release_of(one)
            if name is not None and one.outcome is not Outcome.CACHED:
                found.setdefault(name, ReleaseStats(name)).results.append(one)
        return found

    @property
    def addresses(self) -> dict[str, list[PingResult]]:
        """The results of each address."""
        found = defaultdict(list)
        for one in self.results:
            if one.address is not None:
                found[one.address].append(one)
        return dict(found)

    @property
    def instances(self) -> Counter[str]:
        """The number of responses of each instance, whatever its release."""
        return Counter(one.instance for one in self.results if one.instance is not None)

    @property
    def workers(self) -> Counter[str]:
        """The number of responses of each worker process."""
        return Counter(one.worker for one in self.results if one.worker is not None)

    @cached_property
    def switch(self) -> Switch:
        """When the expected release and others responded."""
        seen: dict[bool, list[float]] = {True: [], False: []}
        for one in self.results:
            if self.release_of(one) is not None and one.outcome is not Outcome.CACHED:
                seen[self.is_expected(one)].append(responded_at(one))
        new, old = seen[True], seen[False]
        return Switch(
            min(new, default=None),
            max(new, default=None),
            min(old, default=None),
            max(old, default=None),
        )

    @property
    def outage_s(self) -> float | None:
        """For how long nobody responded between one release and the other.

        None where no ping was due in between, or where both responded for a while.
        """
        change = self.switch.change
        if change is None or not any(change[1] <= one.due_at <= change[0] for one in self.failures):
            return None
        return change[0] - change[1]

    @cached_property
    def longest_gap(self) -> Gap | None:
        """The longest time between two pings that succeeded."""
        dues = [one.due_at for one in self.results if one.failure is None]
        gaps = [Gap(begin, self._without_pauses(begin, end)) for begin, end in pairwise(dues)]
        return max(gaps, key=lambda gap: gap.seconds, default=None)

    @property
    def open_gap(self) -> Gap | None:
        """The time from the last success to the last ping, where that failed."""
        results = self._of_live_addresses()
        last = next((one for one in reversed(results) if one.failure is None), None)
        if last is None or results[-1] is last:
            return None
        return Gap(last.due_at, self._without_pauses(last.due_at, results[-1].due_at))

    def belongs_to_expected(self, incorrect: Iterable[PingResult]) -> list[PingResult]:
        """Return those of incorrect responses that are the expected release's.

        Each that names it, or that comes from a worker which has responded correctly as it did;
        all of the service's where no release is expected.
        """
        found = list(incorrect)
        expected = self.expected
        if expected is None or not found:
            return found
        workers = {one.worker for one in self.results if self.is_expected(one)} - {None}
        return [one for one in found if one.names(expected) or one.worker in workers]

    def current(self, *, addresses: int, last: int, silence_s: float) -> CurrentState:
        """Return who responds at the end.

        The service has `addresses` addresses; incorrect responses count among the `last` pings,
        and it takes `silence_s` seconds for a service that has responded to count as silent.
        """
        # Each address has its turn within two rounds.
        tail = self.results[-max(_FAILED_IN_A_ROW, 2 * addresses) :]
        responded = any(one.of_service for one in tail)
        if tail and not responded and self._silent_for(silence_s):
            met = Counter(one.outcome for one in tail)
            # In doubt the service is down, and not merely out of reach.
            order = (Outcome.DOWN, Outcome.NOT_REACHED, Outcome.RATE_LIMITED, Outcome.CACHED)
            outcome = max(order, key=lambda one: met[one])
            failed = next(one for one in reversed(tail) if one.outcome is outcome)
            return CurrentState(since=self._silent_from(), outcome=outcome, failed=failed)
        recent = self.results[-max(last, LAST_RESPONSES) :]
        wrong = [one for one in recent if one.outcome is Outcome.INCORRECT]
        releases, since = self._responding()
        if responded and all(one.failure is not None for one in tail):
            # The last responses are all incorrect: earlier correct ones don't tell who responds.
            releases, since = [], None
        names = list(dict.fromkeys(name for name, _ in releases))
        return CurrentState(
            releases=Counter(name for name, _ in releases),
            expected=frozenset(name for name, one in releases if self.is_expected(one)),
            instances={
                name: _instances(one for of, one in releases if of == name) for name in names
            },
            since=since,
            failed=self.results[-1] if self.results and self.results[-1].failure else None,
            incorrect=self.belongs_to_expected(wrong),
        )

    def _responding(self) -> tuple[list[tuple[str, PingResult]], float | None]:
        """Return the responses that tell who responds at the end, the latest first, and since when.

        One change of the release is a switch. Several are none, unless a long series followed.
        """
        last: list[tuple[str, PingResult]] = []
        since = None
        unbroken, series = True, 0
        for one in reversed(self.results):
            name = self.release_of(one)
            if name is None or one.outcome is Outcome.CACHED:
                continue
            unbroken = unbroken and (not last or last[0][0] == name)
            if unbroken:
                series += 1
                since = one.due_at
            elif len(last) >= LAST_RESPONSES:
                break
            if len(last) < LAST_RESPONSES:
                last.append((name, one))
        changes = sum(one != other for (one, _), (other, _) in pairwise(last))
        if changes <= 1 or series * 2 >= LAST_RESPONSES:
            return last[:series], since
        return last, None

    def _silent_from(self) -> float | None:
        begun = None
        for one in reversed(self.results):
            if one.of_service:
                break
            begun = one.due_at
        return begun

    def _silent_for(self, seconds: float) -> bool:
        """Return whether the service has been silent for so long, or has never responded."""
        begun = self._silent_from()
        if begun is None or begun == self.results[0].due_at:
            return begun is not None
        return self.results[-1].due_at - begun >= seconds

    def _of_live_addresses(self) -> list[PingResult]:
        """Return the results without those of addresses that never responded, if others did."""
        live = {one.address for one in self.results if one.of_service}
        if not live - {None}:
            return self.results
        return [one for one in self.results if one.address is None or one.address in live]

    def _without_pauses(self, begin: float, end: float) -> float:
        paused = sum(max(0.0, min(end, ended) - max(begin, began)) for began, ended in self.pauses)
        return end - begin - paused


def failed_by_class(results: Iterable[PingResult]) -> Counter[str]:
    """Return the number of failed pings in each class of failure."""
    return Counter(one.failure.value for one in results if one.failure is not None)


def responded_at(result: PingResult) -> float:
    """Return when the last byte of a response came."""
    return result.due_at + result.latency_s


def percentile(ordered: Sequence[float], rank: int) -> float:
    """Return a percentile of values in ascending order, by nearest rank."""
    return ordered[-(-rank * len(ordered) // 100) - 1]


def _instances(results: Iterable[PingResult]) -> list[str]:
    return list(dict.fromkeys(one.instance for one in results if one.instance is not None))
