"""What a rollout amounts to, in sentences: problems, each with its exit code, and warnings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from petsage.client.fact import Fact
from petsage.client.findings import answer_warnings, counted, listed, row_problems
from petsage.client.outcome import RolloutOutcome
from petsage.client.verdict import ExitCode, Problem

# Pings go out within a few milliseconds of when they are due, unless this machine is too busy.
LATE_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Budget:
    """How many pings may fail, and how long (seconds) a gap or an answer may be; None: as ever.

    With `require_switch` another release must have been seen to answer too.
    """

    max_failures: int = 0
    max_gap: float | None = None
    max_latency: float | None = None
    require_switch: bool = False


def takeover_problems(
    outcome: RolloutOutcome, last: Fact | None, *, none_since: bool
) -> Iterable[Problem]:
    """Yield why the new release has not taken over; `last` is what the last ping found.

    `none_since` says that of the time since the command's end nothing is known.
    """
    row, tally = outcome.row, outcome.tally
    if none_since and not row.waiting:
        yield (
            ExitCode.MIXED,
            f"{outcome.expected} answered, but no answer came since the command's end "
            f"{outcome.within}: the row must stand after it.",
        )
        return
    code = ExitCode.MIXED
    if not tally.answered:
        code = ExitCode.UNREACHABLE
    elif row.waiting:
        code = ExitCode.OTHER_RELEASE
    for _, sentence in row_problems(row, tally, last, outcome.within):
        yield code, sentence


def command_problems(
    outcome: RolloutOutcome, deadline: float, *, interrupted: bool
) -> Iterable[Problem]:
    """Yield how the command failed, or why it was not run or stopped before `deadline` seconds.

    Where the run was `interrupted`, only a failure of the command's own counts.
    """
    deploy = outcome.deploy
    if deploy is None or (deploy.exit_code == 0 and not deploy.cut_short):
        # One that was stopped has not done its work, though it may end with 0 on SIGTERM.
        return
    if interrupted and (deploy.started_at is None or deploy.cut_short):
        return
    name = deploy.argv[0]
    if deploy.started_at is None:
        yield (
            ExitCode.COMMAND_FAILED,
            f"The command {name!r} was not run: the service did not answer for a second first.",
        )
    elif deploy.fault:
        yield (
            ExitCode.COMMAND_FAILED,
            f"The command {name!r} could not be started: {deploy.fault}.",
        )
    elif deploy.cut_short:
        yield (
            ExitCode.COMMAND_FAILED,
            f"The command {name!r} had not ended after {deadline:g} s and was stopped.",
        )
    else:
        yield (
            ExitCode.COMMAND_FAILED,
            f"The command {name!r} failed with exit code {deploy.exit_code}.",
        )


def budget_problems(outcome: RolloutOutcome, budget: Budget) -> Iterable[Problem]:
    """Yield what went over the budget."""
    tally, record = outcome.tally, outcome.record
    failed = sum(tally.failed.values())
    if failed > budget.max_failures:
        yield (
            ExitCode.OVER_BUDGET,
            f"{counted(failed, 'ping')} of {tally.sent} failed "
            f"({listed(tally.failed.most_common())}); {budget.max_failures} may.",
        )
    for gap, begins, still in (
        (record.longest_gap_s, record.gap_begins_s, ""),
        (record.open_gap_s, record.open_gap_begins_s, " and none has since"),
    ):
        if budget.max_gap is not None and gap is not None and gap > budget.max_gap:
            yield (
                ExitCode.OVER_BUDGET,
                f"No ping succeeded for {gap:.2f} s, {begins:.1f} s after the start{still}; "
                f"{budget.max_gap:g} s are allowed.",
            )
    if budget.max_latency is not None and record.slowest_s > budget.max_latency:
        yield (
            ExitCode.OVER_BUDGET,
            f"The slowest answer took {record.slowest_s:.3g} s; {budget.max_latency:g} s are "
            "allowed.",
        )
    if budget.require_switch and _no_switch(outcome):
        yield ExitCode.OVER_BUDGET, _switch_missed(outcome)


def _no_switch(outcome: RolloutOutcome) -> bool:
    return outcome.record.first_new is not None and outcome.record.last_old is None


def _switch_missed(outcome: RolloutOutcome) -> str:
    missed = f"No switch was observed: no other release than {outcome.expected} answered."
    if outcome.deployed_before:
        return (
            f"{missed} {outcome.expected} answered before the command was started: it was "
            "deployed already, or the release's name did not change."
        )
    return f"{missed} Start the rollout before the deploy."


def warnings(
    outcome: RolloutOutcome, budget: Budget, *, most_late_s: float, paused_s: float
) -> Iterable[str]:
    """Yield what is odd but fails nothing, and where the watch itself was not what it should be."""
    if not budget.require_switch and _no_switch(outcome):
        yield _switch_missed(outcome)
    yield from answer_warnings(outcome.tally)
    if most_late_s > LATE_SECONDS:
        yield (
            f"Pings went out up to {most_late_s:.2f} s late, as this machine was too busy; "
            "their latency counts from when they were due."
        )
    if paused_s:
        yield (
            f"For {paused_s:.1f} s altogether no pings went out, because this machine stood still "
            "or late answers were awaited; no gap is measured over that time."
        )
    if outcome.in_flight:
        hanging = counted(outcome.in_flight, "ping")
        yield f"{hanging} had not come to an end by then and count nowhere."
