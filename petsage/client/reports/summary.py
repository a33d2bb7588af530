"""What every report for people says, whatever its format: headline, figures, evidence, advice."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from petsage.client.findings import counted, misses_petsage, row_phrase
from petsage.client.outcome import Outcome, RolloutOutcome
from petsage.client.reports import rollout_summary
from petsage.client.tally import MOST_NAMES, MOST_SHOWN, OTHERS
from petsage.client.verdict import ExitCode

NEXT_STEPS = {
    ExitCode.PASSED: "",
    ExitCode.WRONG: "Roll back, or look at what stands between you and the service.",
    ExitCode.UNREACHABLE: (
        "Look at the platform: is the service up, does its name resolve, is the certificate good?"
    ),
    ExitCode.OTHER_RELEASE: (
        "Wait longer (--wait), or look whether the deploy took: the old release still answers."
    ),
    ExitCode.MIXED: (
        "Don't go on yet: wait until the whole fleet runs the new release, then run this again."
    ),
    ExitCode.LOG_MISSING: (
        "Look at the log pipeline: drains, agents, filters. A slow one needs --logs-within."
    ),
    ExitCode.INTERRUPTED: "Nothing is proved. Run it again to its end.",
}


def headline(outcome: Outcome) -> str:
    """Return the verdict as one sentence."""
    if isinstance(outcome, RolloutOutcome):
        return rollout_summary.headline(outcome)
    expected = outcome.expected
    passed = (
        f"{expected} answers, and answers rightly."
        if expected
        else "PetSage answers, and answers rightly."
    )
    return {
        ExitCode.PASSED: passed,
        ExitCode.WRONG: "The answers are not those of a healthy PetSage.",
        ExitCode.UNREACHABLE: "PetSage could not be reached.",
        ExitCode.OTHER_RELEASE: f"Only another release than {expected} answered.",
        ExitCode.MIXED: "The fleet is not, or not provably, what you asked for.",
        ExitCode.LOG_MISSING: "PetSage answers rightly, but its log line was lost or late.",
        ExitCode.INTERRUPTED: "Interrupted before there was a verdict.",
    }[outcome.exit_code]


def next_step(outcome: Outcome, code: ExitCode | None = None) -> str:
    """Return what to do about a code, or about the exit code; nothing where all is well."""
    steps = NEXT_STEPS
    if isinstance(outcome, RolloutOutcome):
        steps = NEXT_STEPS | rollout_summary.next_steps(outcome)
    code = outcome.exit_code if code is None else code
    tally = outcome.tally
    found = tally.last_failure
    if code is ExitCode.WRONG and found and not tally.ok and misses_petsage(found):
        return "Check the URL, and what stands between you and the service."
    return steps[code]


def figures(outcome: Outcome) -> list[tuple[str, str]]:
    """Return the facts as pairs of a label and a value."""
    tally, row = outcome.tally, outcome.row
    failed = _most(tally.failed)
    pairs = [
        (
            "pings",
            f"{tally.sent} sent, {tally.ok} ok" + (f", failed: {failed}" if failed else ""),
        )
    ]
    for name, one in tally.most_seen:
        times = one.percentiles()
        pairs.append(
            (
                "release",
                f"{name}: {one.count}, p50 {milliseconds(times['p50'])} ms, "
                f"p95 {milliseconds(times['p95'])} ms, max {milliseconds(times['max'])} ms",
            )
        )
    if unshown := len(tally.releases) - len(tally.most_seen):
        pairs.append(("releases", f"{unshown} more"))
    if isinstance(outcome, RolloutOutcome):
        pairs += rollout_summary.figures(outcome)
    if tally.instances:
        pairs.append(("instances", _most(tally.instances)))
    if tally.workers:
        many = f"more than {MOST_NAMES:,}" if OTHERS in tally.workers else str(len(tally.workers))
        pairs.append(("workers", many))
    pairs.append(("row", f"{row_phrase(row)}, {counted(row.breaks, 'break')}"))
    if outcome.refusals:
        good = sum(refusal.passed is True for refusal in outcome.refusals)
        pairs.append(("refusals", f"{good} of {len(outcome.refusals)} as they must be"))
    if outcome.log:
        pairs.append(("log", log_phrase(outcome)))
    pairs.append(("took", f"{outcome.elapsed_s:.1f} s"))
    return pairs


def evidence(outcome: Outcome) -> str:
    """Return what the row excludes, or nothing where it excludes nothing."""
    share = outcome.row.excluded_share
    if share is None:
        return ""
    return (
        f"At 95 % confidence, fewer than {share * 100:.0f} % of answers come from another "
        "release. This takes each ping for an independent draw, "
        "which a sticky balancer breaks."
    )


def milliseconds(value: float) -> str:
    """Return a number of milliseconds to three digits, or to a whole one."""
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def log_phrase(outcome: Outcome) -> str:
    """Return what came of the log line."""
    log = outcome.log
    if log is None:
        return "not asked for"
    if not log.found:
        return "the line did not arrive"
    whole = "whole" if log.whole else "not whole"
    return f"the line came {log.late_s or 0:.2f} s after its answer, {whole}"


def instant(seconds: float) -> str:
    """Return a Unix time as RFC 3339 in UTC with microseconds and Z."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _most(counts: Counter[str], shown: int = MOST_SHOWN) -> str:
    named = [f"{name} {count}" for name, count in counts.most_common(shown)]
    more = len(counts) - shown
    return ", ".join(named + ([f"and {more} more"] if more > 0 else []))
