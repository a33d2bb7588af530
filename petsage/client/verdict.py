"""The release proof: ping results in, verdict out. It is pure, and knows no HTTP and no clock.

The streak grows with each interruption, so that a mixed fleet cannot pass by trying often enough.
With a share p of responses from elsewhere, the j-th streak (after j interruptions) is completed by
chance with probability (1 - p) ** needed(N, j), which for (1 - p) ** N <= 1/20 is at most
(1 - p) ** N * (j + 1) ** -2. The sum over all streaks so far is what `excluded_share` solves for p
at 5 %.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from enum import IntEnum

from petsage.client.result import TRANSPORT, Outcome, PingResult

CONFIDENCE = 0.95


class ExitCode(IntEnum):
    """What a deploy script acts on; the same for every command.

    The members stand in the order of precedence: where several hold, the first is the exit code.
    """

    USAGE = 2
    INTERRUPTED = 130
    COMMAND_FAILED = 8
    DOWN = 3
    WRONG = 1
    NOT_REACHED = 9
    OLD = 4
    UNPROVEN = 5
    LOG_MISSING = 6
    OVER_BUDGET = 7
    INTERNAL = 70
    PASSED = 0

    @property
    def word(self) -> str:
        """The word for it in the reports."""
        return self.name.lower().replace("_", "-")


def first_of(codes: Iterable[ExitCode]) -> ExitCode:
    """Return the exit code of a run in which all these hold."""
    found = set(codes)
    return next((code for code in ExitCode if code in found), ExitCode.PASSED)


def needed(consecutive: int, interruptions: int) -> int:
    """Return how long the streak must be after so many interruptions."""
    return math.ceil(consecutive * (1 + 2 * math.log(interruptions + 1) / math.log(20)))


def excluded_share(consecutive: int, interruptions: int) -> float:
    """Return the share of responses from elsewhere that a streak excludes at 95 % confidence.

    It is rounded up to a whole per cent, and takes each response for an independent draw.
    """
    streaks = sum(1 / (streak + 1) ** 2 for streak in range(interruptions + 1))
    share = 1.0 - ((1 - CONFIDENCE) / streaks) ** (1 / consecutive)
    percent: int = math.ceil(round(share * 100, 9))
    return percent / 100


def is_expected(result: PingResult, expected: str | None) -> bool:
    """Return whether this is a correct response of the expected release (None: of any).

    The response to a bogus ping must name it; any other may hide its release.
    """
    if result.bogus and expected is not None:
        return result.outcome in (Outcome.CORRECT, Outcome.MISMATCH) and result.names(expected)
    if result.outcome is not Outcome.CORRECT:
        return False
    return expected is None or not result.names_release or result.names(expected)


class Streak:
    """The consecutive correct responses of the expected release, or of any where it is None.

    Add each result by due time. `instances_asked` is how many distinct instances the streak must
    contain. `waiting` says that the expected release has not responded yet.
    """

    def __init__(
        self, expected: str | None, consecutive: int, instances: int | None = None
    ) -> None:
        self.expected = expected
        self.consecutive = consecutive
        self.instances_asked = instances
        self.waiting = True
        self.reached = 0
        self.interruptions = 0
        self.last_interruption: PingResult | None = None
        self.began_at: float | None = None
        self.instances: set[str] = set()
        self.addresses: set[str] = set()
        self._responses: deque[PingResult] = deque()
        # Workers that have rejected a bogus release, and how many unnamed ones did.
        self._rejecting: set[str] = set()
        self._rejected = 0

    @property
    def needed(self) -> int:
        """How long the streak must be by now."""
        return needed(self.consecutive, self.interruptions)

    @property
    def excluded_share(self) -> float | None:
        """What the evidence excludes, as a share; None where it excludes nothing."""
        if self.expected is None or not (self.filled and self.proved):
            return None
        return excluded_share(self.consecutive, self.interruptions)

    @property
    def instances_missing(self) -> int:
        """How many distinct instances the streak still lacks."""
        return max(0, (self.instances_asked or 0) - len(self.instances))

    @property
    def instances_hidden(self) -> bool:
        """Whether instances were asked for, and no response of a full streak names its own."""
        return bool(self.instances_missing and not self.instances and self.reached >= self.needed)

    @property
    def unproved(self) -> frozenset[str]:
        """The workers that name no release and have not rejected a bogus one either.

        A streak that is longer than it needs to be is judged by its last responses: a worker that
        has gone can reject no more.
        """
        workers = {one.worker for one in self._nameless() if one.worker is not None}
        return frozenset(workers - self._rejecting)

    @property
    def rejections_missing(self) -> int:
        """How many more bogus pings must be rejected, as not even workers are named."""
        if all(one.worker is not None for one in self._nameless()):
            return 0
        return max(0, self.needed - self._rejected)

    @property
    def proved(self) -> bool:
        """Whether each response in the streak proves its release."""
        return not self.unproved and not self.rejections_missing

    @property
    def filled(self) -> bool:
        """Whether the streak is long enough, whatever its responses prove."""
        return self.reached >= self.needed and not self.instances_missing

    @property
    def lasted_s(self) -> float:
        """The seconds from the streak's first response to its last."""
        return self._responses[-1].due_at - (self.began_at or 0.0) if self._responses else 0.0

    def missing_addresses(self, latest: Iterable[str]) -> list[str]:
        """Return those of the latest addresses that are not in the streak."""
        return [address for address in latest if address not in self.addresses]

    def complete(self, latest: Iterable[str] = ()) -> bool:
        """Return whether all is proved; `latest` are the addresses that the name has now."""
        return self.filled and self.proved and not self.missing_addresses(latest)

    def add(self, result: PingResult) -> None:
        """Take in the next result."""
        if result.outcome in (Outcome.DOWN, Outcome.RATE_LIMITED, Outcome.CACHED):
            return
        if result.outcome is Outcome.NOT_REACHED and result.failure in TRANSPORT:
            return
        if result.bogus:
            self._add_bogus(result)
        elif is_expected(result, self.expected):
            # The response that ends the waiting for a release is no free draw: it does not count.
            if not self.waiting or self.expected is None:
                self._count(result)
            self.waiting = False
        else:
            self._interrupt(result)

    def begin_anew(self) -> None:
        """Empty the streak; the interruptions are remembered."""
        self.reached = 0
        self.began_at = None
        self._rejected = 0
        self.instances.clear()
        self.addresses.clear()
        self._responses.clear()

    def _add_bogus(self, result: PingResult) -> None:
        if result.names_release:
            if not is_expected(result, self.expected):
                self._interrupt(result)
        elif result.outcome is not Outcome.MISMATCH:
            # It was served, so that whoever responded ignores Expect-Release.
            self._interrupt(result)
        if result.outcome is Outcome.MISMATCH:
            if result.worker is None:
                self._rejected += 1
            else:
                self._rejecting.add(result.worker)

    def _count(self, result: PingResult) -> None:
        self.reached += 1
        if self.began_at is None:
            self.began_at = result.due_at
        if result.instance is not None and self.instances_missing:
            self.instances.add(result.instance)
        if result.address is not None:
            self.addresses.add(result.address)
        self._responses.append(result)
        if len(self._responses) > self.needed:
            self._responses.popleft()

    def _nameless(self) -> list[PingResult]:
        if self.expected is None:
            return []
        return [one for one in self._responses if not one.names_release]

    def _interrupt(self, result: PingResult) -> None:
        if not self.waiting:
            self.interruptions += 1
            self.last_interruption = result
            self.begin_anew()
