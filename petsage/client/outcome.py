"""Everything that a run has found, as the reports need it. It writes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from petsage.client.fact import Fact
from petsage.client.logs import LogFinding
from petsage.client.present import Now, Present
from petsage.client.record import Record
from petsage.client.refusals import Refused
from petsage.client.tally import Tally
from petsage.client.verdict import ExitCode, Problem, Row, exit_code


@dataclass(slots=True)
class Outcome:
    """One smoke test: `started_at` in Unix time, `elapsed_s` in seconds; `log` if asked for.

    `within` says how long there was, such as "within 60 s", `bound` the option that makes it
    longer; `in_flight` is how many pings have not
    come to an end.
    """

    kind: ClassVar[str] = "smoke-test"
    url: str
    expected: str | None
    started_at: float
    tally: Tally
    row: Row
    within: str = ""
    bound: str = "--wait"
    elapsed_s: float = 0.0
    present: Present = field(default_factory=Present)
    in_flight: int = 0
    refusals: list[Refused] = field(default_factory=list)
    log: LogFinding | None = None
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> ExitCode:
        """The first of the problems' codes, or 0."""
        return exit_code(self.problems)

    def add_present(self, fact: Fact, *, control: bool) -> None:
        """Take in, by due time, what a ping tells of who answers now."""
        if fact.tells_of_release(control=control):
            right = self.row.is_right(fact, control=control)
            self.present.add(fact, self.tally.release_of(fact), right=right)

    @property
    def now(self) -> Now:
        """Who answers at the end."""
        return self.present.now


@dataclass(slots=True)
class DeployRun:
    """How the command went that deploys: times in Unix time, the exit code as a shell has it.

    `fault` says why it could not be started, though it is there.
    """

    argv: tuple[str, ...]
    started_at: float | None = None
    ended_at: float | None = None
    exit_code: int | None = None
    cut_short: bool = False
    fault: str = ""


@dataclass(slots=True)
class RolloutOutcome(Outcome):
    """One rollout: pings a second, what happened when, and the command, if one was to run."""

    kind: ClassVar[str] = "rollout"
    bound: str = "--deadline"
    rate: float = 10.0
    record: Record = field(default_factory=lambda: Record(0.0))
    deploy: DeployRun | None = None

    @property
    def deployed_before(self) -> bool:
        """Whether the expected release answered before the command was started."""
        first_new = self.record.first_new
        began = self.deploy.started_at if self.deploy else None
        return first_new is not None and began is not None and first_new < began

    @property
    def outage_s(self) -> float | None:
        """For how long nobody answered between one release and the other.

        None where nobody was asked in between, or where both answered for a while.
        """
        if self.record.change is None:
            return None
        begin, end = self.record.change
        between = (end - self.started_at, begin - self.started_at)
        asked = any(
            point.failed and between[0] <= point.due_s <= between[1]
            for point in self.record.points()
        )
        return begin - end if asked else None
