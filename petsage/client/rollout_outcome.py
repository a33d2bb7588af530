"""Everything that a rollout has found, as the reports need it. It writes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from petsage.client.outcome import Outcome
from petsage.client.record import Record


@dataclass(slots=True)
class DeployRun:
    """How the command went that deploys: times in Unix time, the exit code as a shell has it."""

    argv: tuple[str, ...]
    started_at: float | None = None
    ended_at: float | None = None
    exit_code: int | None = None
    cut_short: bool = False


@dataclass(slots=True)
class RolloutOutcome(Outcome):
    """One rollout: pings a second, what happened when, and the command, if one was to run.

    `in_flight` is how many pings have not come to an end.
    """

    kind: ClassVar[str] = "rollout"
    rate: float = 10.0
    record: Record = field(default_factory=lambda: Record(0.0))
    deploy: DeployRun | None = None
    in_flight: int = 0
