"""One run of a command: what was asked of it, and what it has seen. It decides nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from petsage.client.history import CurrentState, History
from petsage.client.result import BadRequestResult
from petsage.client.verdict import Streak


@dataclass(frozen=True, slots=True)
class Budget:
    """What a rollout may cost: failed pings, and seconds of a gap or of a response's latency."""

    max_failures: int = 0
    max_gap: float | None = None
    max_latency: float | None = None
    require_switch: bool = False


@dataclass(slots=True)
class DeployResult:
    """The command that deploys: times in Unix time, the exit code as a shell has it.

    `error` says why it could not be started; `stopped` that petsage stopped it.
    """

    argv: tuple[str, ...]
    started_at: float | None = None
    ended_at: float | None = None
    exit_code: int | None = None
    stopped: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class LogResult:
    """What came of the log line: seconds after the response, and whether it is one JSON object.

    `reason` says why it did not arrive, where that is known; `other_line` that only a line that
    is not the app's own (a proxy's access log) had the id.
    """

    found: bool
    late_s: float | None = None
    complete: bool | None = None
    reason: str = ""
    other_line: bool = False


@dataclass(slots=True, kw_only=True)
class Run:
    """One run. `started_at` is Unix time, all durations are seconds.

    `limit_s` is `--wait` or `--deadline`: how long to send pings. `after_command` is the same from
    the command's end on, `timeout` the limit of one request, `interval` the pause between the
    pings of a streak, `rate` pings a second, and `logs_within` how long the log line may take.
    `addresses` is the latest list of the name's addresses (empty where a proxy chooses them);
    `warnings` are the network's own, such as an address family without a route.
    """

    # What was asked: of both commands, of a smoke test, of a rollout.
    kind: Literal["smoke-test", "rollout"]
    url: str
    expected: str | None = None
    consecutive: int = 3
    limit_s: float = 60.0
    timeout: float = 10.0
    proxy: str | None = None
    instances: int | None = None
    interval: float = 0.01
    logs_within: float = 30.0
    rate: float = 0.0
    after_command: float | None = None
    budget: Budget = field(default_factory=Budget)
    # What was seen.
    started_at: float = 0.0
    elapsed_s: float = 0.0
    history: History = field(init=False)
    streak: Streak = field(init=False)
    addresses: tuple[str, ...] = ()
    warnings: list[str] = field(default_factory=list)
    in_flight: int = 0
    interrupted_by: str | None = None
    bad_requests: list[BadRequestResult] = field(default_factory=list)
    log: LogResult | None = None
    deploy: DeployResult | None = None
    most_late_s: float = 0.0

    def __post_init__(self) -> None:
        """Begin with no pings."""
        self.history = History(self.expected)
        self.streak = Streak(self.expected, self.consecutive, self.instances)

    @property
    def current(self) -> CurrentState:
        """Who responds at the end, or now."""
        return self.history.current(
            addresses=len(self.addresses),
            last=self.consecutive,
            silence_s=3.0 if self.kind == "rollout" else 0.0,
        )

    @property
    def proved(self) -> bool:
        """Whether the streak is complete, with every address that the name has at the end."""
        return self.streak.complete(self.addresses)

    @property
    def wrong(self) -> bool:
        """Whether the expected release (None: the service) responds incorrectly at the end.

        Two of the last pings must have found that; in a smoke test also the last one alone.
        """
        incorrect = self.current.incorrect
        if self.kind == "smoke-test" and incorrect and incorrect[-1] is self.history.results[-1]:
            return True
        return len(incorrect) >= 2
