"""What the reports of a rollout say to people, beyond what a smoke test's say."""

from __future__ import annotations

import shlex

from petsage.client.checks import printable
from petsage.client.outcome import RolloutOutcome
from petsage.client.reports.headline import named

# JSON has it whole.
_MOST_OF_COMMAND = 500


def figures(outcome: RolloutOutcome) -> list[tuple[str, str]]:
    """Return the facts that only a rollout has, as pairs of a label and a value."""
    record, deploy = outcome.record, outcome.deploy
    pairs = [("rate", f"{outcome.rate:g} pings a second")]
    told = []
    if record.first_new is not None:
        after = record.first_new - outcome.started_at
        last = ""
        if outcome.now.old and not outcome.now.new and record.last_new is not None:
            last = f" and last after {record.last_new - outcome.started_at:.2f} s"
        told.append(f"{outcome.expected} first answered after {after:.2f} s{last}")
    if record.last_old is not None:
        told.append(f"another last after {record.last_old - outcome.started_at:.2f} s")
    if record.overlap_s:
        told.append(f"both answered for {record.overlap_s:.2f} s")
    if outcome.outage_s is not None:
        told.append(f"nobody for {outcome.outage_s:.2f} s in between")
    if record.first_new is None or record.last_old is None:
        told = _no_switch(outcome)
    if told:
        pairs.append(("switch", ", ".join(told)))
    gaps = []
    if record.longest_gap_s is not None:
        gaps.append(f"{record.longest_gap_s:.2f} s at most between two successes")
    if record.open_gap_s is not None:
        gaps.append(f"{record.open_gap_s:.2f} s at the end, and still open")
    if gaps:
        pairs.append(("gap", "; ".join(gaps)))
    if deploy:
        pairs.append(("command", f"{_words(deploy.argv)}: {_ending(outcome)}"))
    return pairs


def _no_switch(outcome: RolloutOutcome) -> list[str]:
    """Return who answered instead, from which moment or until which."""
    releases = outcome.tally.releases
    if not releases:
        return []
    last = max(one.last_seen for one in releases.values()) - outcome.started_at
    until = f"until {last:.2f} s, then nobody" if outcome.now.nobody else "until the end"
    if outcome.record.first_new is None:
        return [f"none: {' and '.join(named(name) for name, _ in outcome.tally.most_seen)} {until}"]
    first = outcome.record.first_new - outcome.started_at
    return [f"none: {outcome.expected} from {first:.2f} s {until}"]


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
