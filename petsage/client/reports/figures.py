"""What the reports for people show besides the verdict: figures, evidence, bad requests."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import UTC, datetime

from petsage.client.explain import Explanation
from petsage.client.history import ReleaseStats, failed_by_class
from petsage.client.result import BadRequestOutcome
from petsage.client.run import Run
from petsage.client.wording import counted, named, no_switch, pairs, who_responds

_MOST_RELEASES = 8
# The JSON report has the whole command.
_MOST_OF_COMMAND = 500
BAD_REQUEST_WORDS = {
    BadRequestOutcome.REJECTED: "rejected",
    BadRequestOutcome.ACCEPTED: "not rejected",
    BadRequestOutcome.NOT_DELIVERED: "did not reach the service",
    BadRequestOutcome.OTHER_RELEASE: "another release responded",
}


def printable(text: str) -> str:
    """Return text that starts no line, colours no terminal and fits into XML."""
    return "".join(char if char.isprintable() else "?" for char in text)


def title(run: Run) -> str:
    """Return which run this was, so that several open reports can be told apart."""
    release = f" for {run.expected}" if run.expected else ""
    began = instant(run.started_at)[:19].replace("T", " ")
    return printable(f"petsage {run.kind}{release}, {began} UTC")


def figures(run: Run) -> list[tuple[str, str]]:
    """Return pairs of a label and a value."""
    return [(label, printable(value)) for label, value in _figures(run)]


def evidence(run: Run) -> str:
    """Return what the streak excludes; empty where it excludes nothing."""
    share = run.streak.excluded_share
    if share is None or not run.proved:
        return ""
    seen_by = "the proxy" if run.proxy else "this machine's resolver"
    return (
        f"At 95 % confidence, fewer than {share * 100:.0f} % of responses come from another "
        f"release, as {seen_by} sees it; the streak lasted {run.streak.lasted_s:.1f} s. A sticky "
        "balancer, or a fleet that changes from second to second, can hide more."
    )


def instant(seconds: float) -> str:
    """Return a Unix time as RFC 3339 in UTC with microseconds and Z."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def milliseconds(value: float) -> str:
    """Return a number of milliseconds to three digits, or to a whole one."""
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def _figures(run: Run) -> Iterator[tuple[str, str]]:
    history, streak = run.history, run.streak
    yield "url", run.url
    if run.proxy:
        yield "proxy", f"{run.proxy}, which chooses the addresses"
    failed = f", failed: {pairs(history.failed)}" if history.failed else ""
    in_flight = f", {run.in_flight} more not ended" if run.in_flight else ""
    yield "pings", f"{len(history.results)} sent, {history.ok} ok{failed}{in_flight}"
    yield "now", who_responds(run)
    yield from _releases(run)
    if len(run.addresses) > 1:
        for address, results in history.addresses.items():
            responses = [name for one in results if (name := history.release_of(one)) is not None]
            counts = {named(name): responses.count(name) for name in responses}
            seen = pairs(counts | failed_by_class(results))
            yield "address", f"{address}: {counted(len(results), 'ping')}, {seen}"
    if run.kind == "rollout":
        yield from _rollout(run)
    if history.instances:
        yield "instances", pairs(history.instances)
    if history.workers:
        yield "workers", str(len(history.workers))
    instances = ""
    if streak.instances_asked:
        instances = f", {len(streak.instances)} of {streak.instances_asked} instances"
    interruptions = counted(streak.interruptions, "interruption")
    yield "streak", f"{streak.reached} of {streak.needed}, {interruptions}{instances}"
    if run.bad_requests:
        rejected = [one.outcome for one in run.bad_requests].count(BadRequestOutcome.REJECTED)
        yield "bad requests", f"{rejected} of {len(run.bad_requests)} rejected as documented"
    if run.log and run.log.found:
        complete = "one complete record" if run.log.complete else "not one complete record"
        yield "log", f"the line arrived after {run.log.late_s or 0.0:.2f} s, {complete}"
    elif run.log:
        yield "log", "the line did not arrive"
    yield "took", f"{run.elapsed_s:.1f} s"


def _releases(run: Run) -> Iterator[tuple[str, str]]:
    releases = run.history.releases
    shown = sorted(releases.values(), key=lambda one: -one.count)[:_MOST_RELEASES]
    for one in sorted(shown, key=lambda stats: stats.first_seen):
        yield "release", f"{named(one.name)}: {counted(one.count, 'response')}, {_latency(one)}"
    if more := len(releases) - len(shown):
        yield "releases", f"{more} more"


def _latency(stats: ReleaseStats) -> str:
    latency = stats.latency_ms
    return ", ".join(f"{name} {milliseconds(latency[name])} ms" for name in ("p50", "p95", "max"))


def _rollout(run: Run) -> Iterator[tuple[str, str]]:
    history, switch = run.history, run.history.switch
    yield "rate", f"{run.rate:g} pings a second"
    parts = []
    if switch.first_new is not None:
        first = switch.first_new - run.started_at
        parts.append(f"{run.expected} first responded after {first:.2f} s")
    if switch.last_old is not None:
        parts.append(f"another release last after {switch.last_old - run.started_at:.2f} s")
    if switch.overlap_s:
        parts.append(f"both responded for {switch.overlap_s:.2f} s")
    if history.outage_s is not None:
        parts.append(f"neither for {history.outage_s:.2f} s in between")
    if no_switch(run):
        parts.append("no switch was seen")
    if parts:
        yield "switch", ", ".join(parts)
    if history.longest_gap is not None:
        open_gap = history.open_gap
        still = f"; {open_gap.seconds:.2f} s at the end, still open" if open_gap else ""
        yield "gap", f"{history.longest_gap.seconds:.2f} s at most between two successes{still}"
    if run.deploy is not None:
        words = " ".join(shlex.join(run.deploy.argv).split())
        if len(words) > _MOST_OF_COMMAND:
            words = f"{words[:_MOST_OF_COMMAND]}…"
        yield "command", f"{words}: {_command_end(run)}"


def _command_end(run: Run) -> str:
    deploy = run.deploy
    if deploy is None or deploy.started_at is None:
        return "not started"
    if deploy.ended_at is None:
        return "has not ended"
    stopped = "stopped, " if deploy.stopped else ""
    return (
        f"{stopped}exit code {deploy.exit_code} after {deploy.ended_at - deploy.started_at:.1f} s"
    )


def sections(explanation: Explanation) -> dict[str, list[str]]:
    """Return the sentences that follow the figures, by title; the headline is the first problem."""
    sentences = {
        "Problems": [problem.sentence for problem in explanation.problems[1:]],
        "Warnings": explanation.warnings,
    }
    return {name: [*map(printable, found)] for name, found in sentences.items() if found}


def bad_request_rows(run: Run) -> list[list[str]]:
    """Return a row of each bad request: name, what was expected, what came, what it means."""
    return [
        [*map(printable, (one.name, one.expected, one.got)), BAD_REQUEST_WORDS[one.outcome]]
        for one in run.bad_requests
    ]
