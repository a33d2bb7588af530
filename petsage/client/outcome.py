"""Everything that a run has found, as the reports need it. It writes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from petsage.client.logs import LogFinding
from petsage.client.refusals import Refused
from petsage.client.tally import Tally
from petsage.client.verdict import ExitCode, Problem, Row, exit_code


@dataclass(slots=True)
class Outcome:
    """One smoke test: `started_at` in Unix time, `elapsed_s` in seconds; `log` if asked for."""

    kind: ClassVar[str] = "smoke-test"
    url: str
    expected: str | None
    started_at: float
    tally: Tally
    row: Row
    elapsed_s: float = 0.0
    refusals: list[Refused] = field(default_factory=list)
    log: LogFinding | None = None
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> ExitCode:
        """The first of the problems' codes, or 0."""
        return exit_code(self.problems)
