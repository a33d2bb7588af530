"""What the reports of a rollout say to people, beyond what a smoke test's say."""

from __future__ import annotations

import shlex

from petsage.client.checks import printable
from petsage.client.outcome import RolloutOutcome
from petsage.client.verdict import ExitCode

# JSON has it whole.
_MOST_OF_COMMAND = 500
_NEXT_STEPS = {
    ExitCode.OTHER_RELEASE: (
        "Look whether the deploy took: the old release still answers. A slow one needs --deadline."
    ),
    ExitCode.MIXED: (
        "Don't go on yet. Where both releases still answer, look which instances are left behind; "
        "where only the new one does, give it longer: --deadline."
    ),
    ExitCode.OVER_BUDGET: (
        "Before the next rollout, look at how instances are taken out of rotation: drain first, "
        "wait, and stop them only then."
    ),
    ExitCode.COMMAND_FAILED: "See the command's own output.",
}


def next_steps(outcome: RolloutOutcome) -> dict[ExitCode, str]:
    """Return what to do about each code that means something else here than in a smoke test."""
    if outcome.record.last_old is not None:
        return _NEXT_STEPS
    return _NEXT_STEPS | {
        ExitCode.OVER_BUDGET: (
            "Start the rollout before the deploy, while the old release answers; where pings "
            "failed, look at the platform and at the way to it."
        )
    }


def headline(outcome: RolloutOutcome) -> str:
    """Return the verdict as one sentence."""
    expected, failed = outcome.expected, sum(outcome.tally.failed.values())
    switched = outcome.record.last_old is not None
    seen = f"{expected} has taken over" if switched else f"{expected} answers: no switch was seen"
    return {
        ExitCode.PASSED: f"{seen}, "
        + ("within the budget." if failed else "and not one ping failed."),
        ExitCode.UNREACHABLE: "PetSage never answered.",
        ExitCode.COMMAND_FAILED: "The command that deploys failed.",
        ExitCode.OTHER_RELEASE: f"{expected} never answered.",
        ExitCode.MIXED: f"{expected} answers, but it has not taken over.",
        ExitCode.OVER_BUDGET: f"{seen}, "
        + ("but the switch was noticed." if switched else "and it is over its budget."),
        ExitCode.INTERRUPTED: "Interrupted before there was a verdict.",
    }[outcome.exit_code]


def figures(outcome: RolloutOutcome) -> list[tuple[str, str]]:
    """Return the facts that only a rollout has, as pairs of a label and a value."""
    record, deploy = outcome.record, outcome.deploy
    pairs = [("rate", f"{outcome.rate:g} pings a second")]
    told = []
    if record.first_new is not None:
        after = record.first_new - outcome.started_at
        told.append(f"{outcome.expected} first answered after {after:.2f} s")
    if record.last_old is not None:
        told.append(f"another last after {record.last_old - outcome.started_at:.2f} s")
    if record.overlap_s:
        told.append(f"both answered for {record.overlap_s:.2f} s")
    if outcome.outage_s is not None:
        told.append(f"nobody for {outcome.outage_s:.2f} s in between")
    if told:
        pairs.append(("switch", ", ".join(told)))
    if record.longest_gap_s is not None:
        pairs.append(("gap", f"{record.longest_gap_s:.2f} s at most between two successes"))
    if deploy:
        pairs.append(("command", f"{_words(deploy.argv)}: {_ending(outcome)}"))
    return pairs


def _words(argv: tuple[str, ...]) -> str:
    """Return the command on one line; a script may hold line ends, escapes and bytes of no text."""
    return printable(" ".join(shlex.join(argv).split()), _MOST_OF_COMMAND)


def _ending(outcome: RolloutOutcome) -> str:
    deploy = outcome.deploy
    if deploy is None or deploy.started_at is None:
        return "not run"
    if deploy.ended_at is None:
        return "still runs"
    how = "stopped, " if deploy.cut_short else ""
    return f"{how}exit code {deploy.exit_code} after {deploy.ended_at - deploy.started_at:.1f} s"
