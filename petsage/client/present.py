"""Who answers now: what the last pings found, by due time. Facts in, one plain value out."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from petsage.client.fact import Fact, Failure

# Of so many answers it is told who gave them.
RECENT = 20
# One ping that failed is no outage. Several in a row are, unless they were due at one moment; at
# a low rate a long silence is too.
_FAILED_IN_A_ROW, _SILENT_SECONDS = 3, 0.5
_LONG_SILENT_SECONDS = 3.0
# Where a run is cut short, what has waited for longer than this tells that nobody answers.
_PATIENCE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Now:
    """Who answers at the end of a run.

    `answers` is how many of the last answers came from each release that answers now: one, or
    several by turns, the latest first; none where nobody answers. `right` names those of them that
    are the expected release, and `instances` whose those answers were. `since` (Unix time) is when
    the first of an unbroken row of such answers was due, or of the pings that failed; None by
    turns. `failed` are the classes of the pings that failed since the last answer, `unanswered`
    how many had asked in vain for long when the run was cut short, and `last` what the last of the
    failed ones found.
    """

    answers: Mapping[str, int] = field(default_factory=dict)
    right: frozenset[str] = frozenset()
    since: float | None = None
    failed: Mapping[str, int] = field(default_factory=dict)
    unanswered: int = 0
    last: Fact | None = None
    instances: Mapping[str, list[str]] = field(default_factory=dict)

    @property
    def nobody(self) -> bool:
        """Whether somebody was asked, and nobody answers."""
        return not self.answers and bool(self.failed or self.unanswered)

    @property
    def stranger(self) -> bool:
        """Whether something answers at the end that is not PetSage: a page, a redirect, a 429."""
        if not self.nobody or self.last is None or self.last.worker is not None:
            return False
        return self.last.failure in (Failure.NOT_PETSAGE, Failure.OTHER_STATUS)

    @property
    def turns(self) -> list[str]:
        """Those that answer, the expected release last."""
        return sorted(self.answers, key=lambda name: (name in self.right, name))

    @property
    def only(self) -> str | None:
        """The one release that answers, or None."""
        return next(iter(self.answers)) if len(self.answers) == 1 else None

    @property
    def new(self) -> bool:
        """Whether the expected release is among those that answer."""
        return bool(self.right)

    @property
    def old(self) -> list[str]:
        """The other releases that answer."""
        return [name for name in self.answers if name not in self.right]


class Present:
    """The end of the history, as it goes on. Feed it each fact by due time."""

    def __init__(self) -> None:
        self._recent: deque[tuple[str, bool, str | None]] = deque(maxlen=RECENT)
        self._run, self._run_from = 0, 0.0
        self._failed: Counter[str] = Counter()
        self._failed_from = 0.0
        self._last_answer = self._last_due = 0.0
        self._last_failure: Fact | None = None
        self._slowest_s = 0.0
        self._unanswered = 0

    def add(self, fact: Fact, release: str, *, right: bool) -> None:
        """Take in the next fact; `release` is the name that an answer is filed under.

        `right` tells whether that is the expected release.
        """
        self._last_due = fact.due_at
        if fact.failure is not None:
            if not self._failed:
                self._failed_from = fact.due_at
            self._failed[fact.failure.value] += 1
            self._last_failure = fact
            return
        self._failed.clear()
        if not self._recent or release != self._recent[-1][0]:
            self._run, self._run_from = 0, fact.due_at
        self._run += 1
        self._recent.append((release, right, fact.instance))
        self._last_answer = fact.due_at
        self._slowest_s = max(self._slowest_s, fact.latency_s)

    def cut_short(self, unanswered: int, at: float) -> None:
        """Take note that at `at` (Unix time) the run ended and so many had asked in vain.

        They count where the last ping that ended was due longer ago than any answer may take.
        """
        patience_s = max(_PATIENCE_SECONDS, 2 * self._slowest_s)
        if self._last_due and at - self._last_due > patience_s:
            self._unanswered = unanswered

    @property
    def now(self) -> Now:
        """Who answers now."""
        failed, last = dict(self._failed), self._last_failure if self._failed else None
        if self._is_silent():
            since = self._failed_from if failed else self._last_due
            return Now({}, frozenset(), since, failed, self._unanswered, last)
        if not self._recent:
            return Now()
        recent = [name for name, _, _ in self._recent]
        changes = sum(one != other for one, other in pairwise(recent))
        if changes <= 1 or self._run * 2 >= RECENT:
            # One change is a switch; several are, once a row of answers has followed.
            return self._told(recent[-self._run :], self._run_from, failed, last)
        return self._told(recent, None, failed, last)

    def _told(
        self, names: list[str], since: float | None, failed: Mapping[str, int], last: Fact | None
    ) -> Now:
        """Return who answers now; `names` are the releases of the answers that count."""
        instances: dict[str, list[str]] = {name: [] for name in names}
        right = {}
        for name, is_right, instance in list(self._recent)[-len(names) :]:
            right[name] = is_right
            if instance is not None and instance not in instances[name]:
                instances[name].append(instance)
        expected = frozenset(name for name in names if right[name])
        return Now(Counter(reversed(names)), expected, since, failed, 0, last, instances)

    def _is_silent(self) -> bool:
        failed = self._failed.total()
        if not self._recent or self._unanswered:
            return bool(failed or self._unanswered)
        silent = self._last_due - self._last_answer
        in_a_row = failed >= _FAILED_IN_A_ROW and silent >= _SILENT_SECONDS
        return in_a_row or (failed > 0 and silent >= _LONG_SILENT_SECONDS)
