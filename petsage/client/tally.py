"""Counts of what the pings found, by class, release, instance and worker. It passes no verdict."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from petsage.client.fact import Fact

# How an answer is filed that names no release: any, or another one than was asked for.
HIDDEN = "(hidden)"
HIDDEN_OTHER = "(hidden, another)"
MOST_SHOWN = 8
# Whoever answers with a new name each time fills no memory with them.
MOST_NAMES = 1_000
OTHERS = "(others)"


@dataclass(slots=True)
class ReleaseCount:
    """The answers of one release; times are Unix time, latencies seconds."""

    first_seen: float
    last_seen: float
    latencies: array[float] = field(default_factory=lambda: array("d"))
    instances: Counter[str] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        """How many answers came from it."""
        return len(self.latencies)

    def percentiles(self) -> dict[str, float]:
        """Return p50, p95, p99 (nearest rank) and max, in milliseconds."""
        ordered = sorted(self.latencies)
        ranks = {"p50": 50, "p95": 95, "p99": 99, "max": 100}
        return {
            name: round(ordered[-(-rank * len(ordered) // 100) - 1] * 1000, 3)
            for name, rank in ranks.items()
        }


def _filed(name: str, known: Mapping[str, object]) -> str:
    """Return what a name is filed under: itself, unless it is one too many."""
    return name if name in known or len(known) < MOST_NAMES else OTHERS


class Tally:
    """The counts of one run. Answers that name no release are filed under `expected`."""

    def __init__(self, expected: str | None) -> None:
        self.expected = expected
        self.sent = 0
        self.ok = 0
        self.failed: Counter[str] = Counter()
        self.releases: dict[str, ReleaseCount] = {}
        self.instances: Counter[str] = Counter()
        self.workers: Counter[str] = Counter()
        self._expected_name: str | None = None
        self.last_failure: Fact | None = None
        self.skew_s = 0.0
        self.cacheable = 0
        self._pairs = 0

    @property
    def answered(self) -> bool:
        """Whether PetSage has answered at all, however wrongly."""
        return bool(self.workers)

    @property
    def most_seen(self) -> list[tuple[str, ReleaseCount]]:
        """The releases that answered most, as many as people read, in the order they came."""
        ranked = sorted(self.releases.items(), key=lambda named: -named[1].count)
        return sorted(ranked[:MOST_SHOWN], key=lambda named: named[1].first_seen)

    def add(self, fact: Fact, *, control: bool = False) -> None:
        """Count one fact; `control` tells that it is of a control ping."""
        self.sent += 1
        if fact.worker is not None:
            self.workers[_filed(fact.worker, self.workers)] += 1
            if fact.instance is not None:
                self.instances[_filed(fact.instance, self.instances)] += 1
        if fact.failure is not None:
            self.failed[fact.failure.value] += 1
            self.last_failure = fact
            return
        self.ok += 1
        self.cacheable += fact.cacheable
        self.skew_s = max(self.skew_s, fact.skew_s, key=abs)
        if fact.tells_of_release(control=control):
            self._count_release(fact)

    def release_of(self, fact: Fact) -> str:
        """Return the name that an answer's release is filed under."""
        name = fact.release or fact.commit
        if name is None and fact.mismatch:
            name = HIDDEN_OTHER
        return name or self.expected or HIDDEN

    def _is_expected(self, fact: Fact, name: str) -> bool:
        # Asked for by its commit it has another name: the first one, or no limit would hold.
        if self.expected is not None and self._expected_name is None and fact.bears(self.expected):
            self._expected_name = name
        return name in (self.expected, self._expected_name)

    def _count_release(self, fact: Fact) -> None:
        seen = fact.due_at + fact.latency_s
        name = self.release_of(fact)
        if not self._is_expected(fact, name):
            name = _filed(name, self.releases)
        release = self.releases.setdefault(name, ReleaseCount(seen, seen))
        release.first_seen = min(release.first_seen, seen)
        release.last_seen = max(release.last_seen, seen)
        release.latencies.append(fact.latency_s)
        if fact.instance is not None:
            name, known = fact.instance, release.instances
            # The limit is one for all: a thousand releases of a thousand instances are too many.
            name = name if name in known or self._pairs < MOST_NAMES else OTHERS
            self._pairs += name not in known
            known[name] += 1
