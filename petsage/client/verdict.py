"""The release proof: answers in, verdict out. It is pure, and knows nothing of HTTP or of clocks.

The row of N right answers grows with each break, so that a mixed fleet cannot pass by trying
on. With a share p of answers from elsewhere, the j-th row (after j breaks) is filled by chance
with
(1 - p) ** needed(N, j), which for (1 - p) ** N <= 1/20 is at most (1 - p) ** N * (j + 1) ** -2.
The sum over all rows so far is what `excluded_share` solves for p at 5 %.
"""

from __future__ import annotations

import math
from collections import deque
from enum import IntEnum

from petsage.client.fact import TRANSPORT, Fact

CONFIDENCE = 0.95


class ExitCode(IntEnum):
    """What a deploy script acts on; the same for every command."""

    PASSED = 0
    WRONG = 1
    USAGE = 2
    UNREACHABLE = 3
    OTHER_RELEASE = 4
    MIXED = 5
    LOG_MISSING = 6
    OVER_BUDGET = 7
    COMMAND_FAILED = 8
    INTERRUPTED = 130

    @property
    def word(self) -> str:
        """The word for it in the reports."""
        return self.name.lower().replace("_", "-")


# Where several hold at once, the first is the exit code.
_FIRST = (
    ExitCode.USAGE,
    ExitCode.INTERRUPTED,
    ExitCode.UNREACHABLE,
    ExitCode.COMMAND_FAILED,
    ExitCode.WRONG,
    ExitCode.OTHER_RELEASE,
    ExitCode.MIXED,
    ExitCode.LOG_MISSING,
    ExitCode.OVER_BUDGET,
)
Problem = tuple[ExitCode, str]


def exit_code(problems: list[Problem]) -> ExitCode:
    """Return the exit code of a run that has found these problems."""
    found = {code for code, _ in problems}
    return next((code for code in _FIRST if code in found), ExitCode.PASSED)


def needed(consecutive: int, breaks: int) -> int:
    """Return how many answers in a row are needed after so many breaks."""
    return math.ceil(consecutive * (1 + 2 * math.log(breaks + 1) / math.log(20)))


def excluded_share(consecutive: int, breaks: int) -> float:
    """Return the share of answers from elsewhere that a whole row excludes at 95 % confidence.

    It is rounded up to a whole per cent, and takes each answer for an independent draw.
    """
    rows = sum(1 / (row + 1) ** 2 for row in range(breaks + 1))
    share = 1.0 - ((1 - CONFIDENCE) / rows) ** (1 / consecutive)
    percent: int = math.ceil(round(share * 100, 9))
    return percent / 100


def is_final(fact: Fact, *, waiting: bool) -> bool:
    """Return whether waiting cannot mend what the ping found.

    A redirect, a certificate that nobody trusts, and PetSage's own wrong answer. Its own 5xx
    may be a service that starts; once it has answered rightly (`waiting` is over) it is wrong
    too.
    """
    if fact.redirect or fact.untrusted:
        return True
    if fact.worker is None or fact.failure is None or fact.failure in TRANSPORT:
        return False
    return not fact.transient or (not waiting and fact.status is not None and fact.status >= 500)


class Row:
    """The answers in a row from the expected release, or from any where none is expected.

    Feed it each fact by due time. `instances` is how many distinct ones must stand in the row.
    """

    def __init__(
        self, expected: str | None, consecutive: int, instances: int | None = None
    ) -> None:
        self.expected = expected
        self.consecutive = consecutive
        self.instances_asked = instances
        self.waiting = True
        self.reached = 0
        self.breaks = 0
        self.lost = 0
        # Breaks by answers that were wrong, and how many of those were PetSage's own.
        self.strays = self.own_faults = 0
        self.instances: set[str] = set()
        self._nameless: deque[str | None] = deque()
        self._refusing: set[str] = set()

    @property
    def needed(self) -> int:
        """How many answers the row needs by now."""
        return needed(self.consecutive, self.breaks)

    @property
    def excluded_share(self) -> float | None:
        """What the evidence excludes, as a share; None where it excludes nothing."""
        if self.expected is None or not self.whole:
            return None
        return excluded_share(self.consecutive, self.breaks)

    @property
    def instances_missing(self) -> int:
        """How many distinct instances the row still lacks."""
        return max(0, (self.instances_asked or 0) - len(self.instances))

    @property
    def instances_hidden(self) -> bool:
        """Whether instances were asked for, and none of a row of right answers names its own."""
        return bool(self.instances_missing and not self.instances and self.reached >= self.needed)

    @property
    def unproved(self) -> frozenset[str]:
        """The workers of the row that name no release and have refused none either.

        A row that is longer than it needs to be is judged by its last answers: a worker that has
        gone since can refuse no more.
        """
        return frozenset(worker for worker in self._nameless if worker) - self._refusing

    @property
    def filled(self) -> bool:
        """Whether the row is long enough, whatever its answers prove."""
        return self.reached >= self.needed and not self.instances_missing

    @property
    def whole(self) -> bool:
        """Whether the row is filled, and each answer in it proves its release."""
        return self.filled and not self.unproved

    def is_right(self, fact: Fact, *, control: bool = False) -> bool:
        """Return whether the answer came from the expected release.

        That to a `control` ping, which expected a release that no service bears, must name it.
        """
        if control and self.expected is not None:
            return fact.bears(self.expected)
        if fact.failure is not None or fact.mismatch:
            return False
        return self.expected is None or not fact.names_release or fact.bears(self.expected)

    def add(self, fact: Fact) -> None:
        """Take in the next fact."""
        if fact.transient or (fact.failure is not None and self.waiting):
            self.lost += not self.waiting
        elif self.is_right(fact):
            # The answer that ends the waiting for a release is no free draw: it does not count.
            if not self.waiting or self.expected is None:
                self._count(fact)
            self.waiting = False
        elif not self.waiting:
            self.strays += fact.failure is not None
            self.own_faults += fact.failure is not None and fact.worker is not None
            self._break()

    def add_control(self, fact: Fact) -> None:
        """Take in the answer to a ping that expected a release which no service bears."""
        named_other = fact.names_release and self.expected and not fact.bears(self.expected)
        if fact.failure is None and named_other:
            self._break()
        elif fact.mismatch and fact.worker is not None:
            self._refusing.add(fact.worker)

    def _count(self, fact: Fact) -> None:
        self.reached += 1
        if fact.instance is not None and self.instances_missing:
            self.instances.add(fact.instance)
        nameless = self.expected is not None and not fact.names_release
        self._nameless.append(fact.worker if nameless else None)
        if len(self._nameless) > self.needed:
            self._nameless.popleft()

    def begin_anew(self) -> None:
        """Let none of the answers so far stand in the row; the breaks are remembered."""
        self.reached = 0
        self.instances.clear()
        self._nameless.clear()

    def _break(self) -> None:
        self.breaks += 1
        self.begin_anew()
