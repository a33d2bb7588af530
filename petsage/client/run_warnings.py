"""What is odd in a run but fails nothing: one line each."""

from __future__ import annotations

from collections.abc import Iterator

from petsage import contract
from petsage.client.history import failed_by_class
from petsage.client.result import BadRequestOutcome, Outcome
from petsage.client.run import Run
from petsage.client.wording import counted, named, no_switch, pairs

# Two well-kept clocks differ by less; what the round trip explains is taken off.
_SKEW_SECONDS = 2.0
# Pings go out within a few milliseconds of when they are due, unless this machine is too busy.
_LATE_SECONDS = 0.1
# The headers that something on the way may remove or replace, and what is lost with each.
_LOST_WITH = {
    contract.RELEASE_HEADER: "the release is proved by Expect-Release alone",
    contract.COMMIT_HEADER: "the commit is not shown",
    contract.INSTANCE_HEADER: "instances can't be counted",
    contract.WORKER_HEADER: "a restart of the same release can't be seen",
    "Cache-Control": "a cache may store responses",
    contract.REQUEST_ID_HEADER: "the service logs under the id that came back, not the one sent",
}


def warnings_of(run: Run) -> Iterator[str]:
    """Yield the warnings of a run, beyond those of the network."""
    history = run.history
    for header in sorted({name for one in history.results for name in one.lost_headers}):
        yield f"Something on the way removes or replaces {header}: {_LOST_WITH[header]}."
    yield from _smoke_test(run) if run.kind == "smoke-test" else _rollout(run)
    if run.streak.interruptions and run.proved:
        times = counted(run.streak.interruptions, "time")
        yield f"The streak was interrupted {times} before it was complete."
    cached = [one for one in history.results if one.outcome is Outcome.CACHED]
    if cached:
        responses = counted(len(cached), "response")
        yield f"{responses} came from a cache and did not count: {cached[-1].detail}."
    skew_s = max((one.skew_s for one in history.results), key=abs, default=0.0)
    if abs(skew_s) > _SKEW_SECONDS:
        side = "ahead of" if skew_s > 0 else "behind"
        yield f"The service's clock is {abs(skew_s):.1f} s {side} this machine's."
    lost = [one for one in run.bad_requests if one.outcome is BadRequestOutcome.NOT_DELIVERED]
    if lost and len(lost) < len(run.bad_requests):
        by_cause: dict[str, list[str]] = {}
        for one in lost:
            by_cause.setdefault(one.got, []).append(one.name)
        causes = "; ".join(f"{', '.join(names)} ({got})" for got, names in by_cause.items())
        yield f"{counted(len(lost), 'bad request')} did not reach the service: {causes}."
    if run.log and run.log.found and run.log.complete is False:
        yield "The log line arrived, but is not one complete JSON object any more."


def _smoke_test(run: Run) -> Iterator[str]:
    history = run.history
    if run.expected and history.results and history.is_expected(history.results[0]):
        yield (
            f"{run.expected} responded to the very first ping: a redeploy of the same release "
            "can't be told from its old processes."
        )
    if not run.expected and len(history.releases) > 1:
        counts = pairs({named(name): one.count for name, one in history.releases.items()})
        yield f"More than one release responded: {counts}. Use --expect-release."
    failures = [one for one in history.results if one.failure is not None]
    if failures and run.proved:
        classes = pairs(failed_by_class(failures))
        yield f"{counted(len(failures), 'ping')} failed ({classes}) and did not count."


def _rollout(run: Run) -> Iterator[str]:
    reason = no_switch(run)
    if reason and not run.budget.require_switch:
        advice = "Check what it changed." if run.deploy else "Start the rollout before the deploy."
        yield f"No switch was seen: {reason}. {advice}"
    if run.most_late_s > _LATE_SECONDS:
        yield (
            f"Pings went out up to {run.most_late_s:.2f} s late, as this machine was too busy; "
            "their latency counts from when they were due."
        )
    paused_s = sum(ended - began for began, ended in run.history.pauses)
    if paused_s:
        yield f"No pings went out for {paused_s:.1f} s, as this machine stood still or waited."
    if run.in_flight:
        yield f"{counted(run.in_flight, 'ping')} had not ended at the end and are not counted."
