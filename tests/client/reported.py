"""Runs as they might have gone, for what only reads them: explanations and reports."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any, Literal

from petsage.client.result import (
    BadRequestOutcome,
    BadRequestResult,
    Failure,
    Outcome,
    PingResult,
)
from petsage.client.run import DeployResult, Run
from tests.client.results import STARTED_AT, result

Make = Callable[..., PingResult]


def run_of(
    *makes: Make,
    kind: Literal["smoke-test", "rollout"] = "smoke-test",
    expected: str | None = "v43",
    consecutive: int = 3,
    instances: int | None = None,
    every_s: float = 0.1,
    **fields: Any,
) -> Run:
    """Return a run whose pings came to these results at even intervals."""
    results = [make(due_at=STARTED_AT + number * every_s) for number, make in enumerate(makes)]
    fields |= {"kind": kind, "expected": expected}
    return run_of_results(results, consecutive=consecutive, instances=instances, **fields)


def run_of_results(
    results: Iterable[PingResult],
    *,
    kind: Literal["smoke-test", "rollout"] = "smoke-test",
    expected: str | None = "v43",
    consecutive: int = 3,
    instances: int | None = None,
    **fields: Any,
) -> Run:
    """Return a run with these results, of which all after the command count for the streak."""
    run = Run(
        kind=kind,
        url="https://app.example",
        expected=expected,
        started_at=STARTED_AT,
        consecutive=consecutive,
        limit_s=60.0 if kind == "smoke-test" else 900.0,
        instances=instances,
        rate=10.0 if kind == "rollout" else 0.0,
    )
    for name, value in fields.items():
        setattr(run, name, value)
    ended_at = run.deploy.ended_at if run.deploy else None
    for one in results:
        run.history.add(one)
        if ended_at is not None and one.due_at >= ended_at:
            run.streak.begin_anew()
            ended_at = None
        run.streak.add(one)
    if ended_at is not None:
        run.streak.begin_anew()
    if run.history.results and not run.elapsed_s:
        run.elapsed_s = run.history.results[-1].due_at - STARTED_AT + 0.01
    return run


def command(
    began_s: float | None = 1.0, ended_s: float | None = 2.0, exit_code: int | None = 0, **more: Any
) -> DeployResult:
    """Return a command that ran from `began_s` to `ended_s` after the start of the run."""
    return DeployResult(
        ("git", "push", "heroku", "main"),
        None if began_s is None else STARTED_AT + began_s,
        None if ended_s is None else STARTED_AT + ended_s,
        exit_code,
        **more,
    )


def bad_request(
    outcome: BadRequestOutcome = BadRequestOutcome.REJECTED,
    name: str = "null",
    got: str = "422 validation-error",
    **more: Any,
) -> BadRequestResult:
    """Return what came of a bad request."""
    expected = "422 validation-error"
    return BadRequestResult(name=name, expected=expected, got=got, outcome=outcome, **more)


def watched(
    pings: int,
    *,
    rate: float = 50.0,
    old: str = "v42",
    new: str = "v43",
    lost: float = 0.3,
    detail: str = "the connection was reset",
    argv: tuple[str, ...] | None = None,
    consecutive: int = 20,
) -> Run:
    """Return a rollout: old, then both, then new; halfway a share of `lost` fails."""
    draw = random.Random(3)
    span = pings / rate
    results = []
    for number in range(pings):
        done = number / pings
        latency_s = draw.lognormvariate(-4.4, 0.35) + (draw.random() < 0.01) * draw.expovariate(4)
        fields: dict[str, Any] = {"due_at": STARTED_AT + number / rate, "latency_s": latency_s}
        if 0.45 <= done < 0.55 and draw.random() < lost:
            failure = draw.choice((Failure.RESET, Failure.TIMEOUT, Failure.SERVER_ERROR))
            fields |= {"outcome": Outcome.DOWN, "failure": failure, "detail": detail}
            fields |= {"latency_s": 10.0} if failure is Failure.TIMEOUT else {}
            fields |= {"release": None, "commit": None, "instance": None, "worker": None}
            results.append(result(**fields))
        elif draw.random() > (done - 0.4) / 0.2:
            fields |= {"outcome": Outcome.MISMATCH, "status": 412, "release": old, "worker": "w2"}
            results.append(result(**fields | {"instance": f"web.{number % 2 + 1}"}))
        else:
            fields |= {"release": new, "instance": f"web.{number % 2 + 1}"}
            results.append(result(**fields))
    deploy = None
    if argv:
        deploy = DeployResult(argv, STARTED_AT + span * 0.1, STARTED_AT + span * 0.75, 0)
    fields = {"rate": rate, "elapsed_s": span, "deploy": deploy}
    fields |= {"kind": "rollout", "expected": new}
    return run_of_results(results, consecutive=consecutive, **fields)
