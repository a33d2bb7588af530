"""What every report for people says, whatever its format: figures and evidence."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from petsage.client.findings import counted, listed, row_phrase
from petsage.client.logs import LogFinding
from petsage.client.outcome import Outcome, RolloutOutcome
from petsage.client.present import RECENT
from petsage.client.reports import rollout_summary
from petsage.client.reports.headline import named
from petsage.client.tally import MOST_NAMES, MOST_SHOWN, OTHERS

# Of a bad request: refused as it must be, or not, or by something before PetSage.
REFUSAL_WORDS = {True: "passed", False: "failed", None: "unsure"}


def figures(outcome: Outcome) -> list[tuple[str, str]]:
    """Return the facts as pairs of a label and a value."""
    tally, row = outcome.tally, outcome.row
    failed = _most(tally.failed)
    under_way = f", {outcome.in_flight} more under way" if outcome.in_flight else ""
    told = f"{tally.sent} sent, {tally.ok} ok" + (f", failed: {failed}" if failed else "")
    pairs = [("pings", told + under_way)]
    if (told := now_phrase(outcome)) and (outcome.exit_code or isinstance(outcome, RolloutOutcome)):
        pairs.append(("now", told))
    for name, one in tally.most_seen:
        times = one.percentiles()
        pairs.append(
            (
                "release",
                f"{name}: {one.count}, p50 {milliseconds(times['p50'])} ms, "
                f"p95 {milliseconds(times['p95'])} ms, max {milliseconds(times['max'])} ms",
            )
        )
    shown = sum(one.count for _, one in tally.most_seen)
    counted_all = sum(one.count for one in tally.releases.values())
    if unshown := len(tally.releases) - len(tally.most_seen):
        pairs.append(("releases", f"{unshown} more: {counted_all - shown}"))
    if untold := tally.ok - counted_all:
        # The answers to pings that expect a release which nobody bears speak for none.
        pairs.append(("release", f"not named: {untold}, which were asked for a made-up release"))
    if isinstance(outcome, RolloutOutcome):
        pairs += rollout_summary.figures(outcome)
    if tally.instances:
        pairs.append(("instances", _instances(outcome)))
    if tally.workers:
        many = f"more than {MOST_NAMES:,}" if OTHERS in tally.workers else str(len(tally.workers))
        pairs.append(("workers", many))
    pairs.append(("row", f"{row_phrase(row)}, {counted(row.breaks, 'break')}"))
    if outcome.refusals:
        good = sum(refusal.passed is True for refusal in outcome.refusals)
        pairs.append(("refusals", f"{good} of {len(outcome.refusals)} as they must be"))
    if outcome.log:
        pairs.append(("log", _log_phrase(outcome.log)))
    pairs.append(("took", f"{outcome.elapsed_s:.1f} s"))
    return pairs


def now_phrase(outcome: Outcome) -> str:
    """Return who answers now and since when; nothing where nobody was asked."""
    now = outcome.now
    failed = listed(now.failed.items())
    if now.nobody:
        if now.unanswered:
            failed = ", ".join(filter(None, (failed, f"unanswered {now.unanswered}")))
        wrong = now.last is not None and now.last.worker is not None
        since = (
            f", since {(now.since or 0.0) - outcome.started_at:.2f} s" if outcome.tally.ok else ""
        )
        return f"nobody{' rightly' if wrong else ''}{since} ({failed})"
    lost = sum(now.failed.values())
    pings = "ping" if lost == 1 else f"{lost} pings"
    but = f"; but the last {pings} failed ({failed})" if lost else ""
    if now.only:
        count = now.answers[now.only]
        last = {1: "the last answer", RECENT: f"all of the last {RECENT}"}
        return f"{named(now.only)}, {last.get(count, f'the last {count} answers')}{but}"
    *first, final = [*map(named, now.turns)] or [""]
    counts = ", ".join(str(count) for count in map(now.answers.__getitem__, now.turns))
    return f"{', '.join(first)} and {final} by turns ({counts}){but}" if first else ""


def _instances(outcome: Outcome) -> str:
    """Return the instances of each release, or of all where one release answered at the most."""
    tally = outcome.tally
    named_ones = [(name, one.instances) for name, one in tally.most_seen if one.instances]
    if len(named_ones) < 2:
        return _most(tally.instances)
    return "; ".join(f"{name}: {_most(instances)}" for name, instances in named_ones)


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


def _log_phrase(log: LogFinding) -> str:
    if not log.found:
        return "the line did not arrive"
    whole = "whole" if log.whole else "not whole"
    return f"the line came {log.late_s or 0:.2f} s after its answer, {whole}"


def instant(seconds: float) -> str:
    """Return a Unix time as RFC 3339 in UTC with microseconds and Z."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _most(counts: Counter[str], shown: int = MOST_SHOWN) -> str:
    more = len(counts) - shown
    return listed(counts.most_common(shown)) + (f", and {more} more" if more > 0 else "")
