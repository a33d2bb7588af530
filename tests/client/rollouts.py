"""Rollouts as they might have gone, for the reports that only read them."""

from __future__ import annotations

import random

from petsage.client import rollout_findings as findings
from petsage.client.fact import Failure
from petsage.client.outcome import DeployRun, RolloutOutcome
from petsage.client.record import Record
from petsage.client.tally import Tally
from petsage.client.verdict import Row
from tests.client.facts import fact

START = 1_800_000_000.0
LOST = (Failure.RESET, Failure.TIMEOUT, Failure.SERVER_ERROR)


def went(
    pings: int,
    *,
    rate: float = 50.0,
    old: str = "v42",
    new: str = "v43",
    lost: float = 0.3,
    detail: str = "the connection was reset",
    argv: tuple[str, ...] | None = None,
) -> RolloutOutcome:
    """Return a rollout: old, then mixed, then new; half-way a share of `lost` fails."""
    draw = random.Random(3)
    outcome = RolloutOutcome(
        url="https://app.example",
        expected=new,
        started_at=START,
        tally=Tally(new),
        row=Row(new, 20),
        rate=rate,
        record=Record(0.0),
        deploy=DeployRun(argv, START + 1, START + 2, 0) if argv else None,
        elapsed_s=pings / rate,
    )
    for number in range(pings):
        due, through = number / rate, number / pings
        latency = draw.lognormvariate(-5.8, 0.5) + (draw.random() < 0.01) * draw.expovariate(2)
        one = fact(due_at=START + due, latency_s=latency, release=new)
        if 0.5 <= through < 0.52 and draw.random() < lost:
            failure = draw.choice(LOST)
            slow = 10.0 if failure is Failure.TIMEOUT else latency
            one = fact(due_at=START + due, latency_s=slow, failure=failure, detail=detail)
        elif draw.random() > (through - 0.4) / 0.3:
            one = fact(due_at=START + due, latency_s=latency, release=old, mismatch=True)
        outcome.tally.add(one)
        outcome.row.add(one)
        right = one.failure is None and outcome.row.is_right(one)
        outcome.record.add(one, due, outcome.tally.release_of(one), new=right)
        outcome.record.add_in_turn(one, due, after_pause=False)
        outcome.present.add(one, outcome.tally.release_of(one), right=right)
    outcome.problems += findings.budget_problems(outcome, findings.Budget())
    return outcome
