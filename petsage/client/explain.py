"""What a run amounts to, in words: each problem with its exit code and what to do about it.

A problem is one sentence. The functions below yield those that hold, by what the history says of
the end; the first by the precedence of the exit codes is the headline and decides the exit code.
A new exit code needs a member of ExitCode and a function that yields its problems.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from petsage import contract
from petsage.client.history import HIDDEN_OTHER, LAST_RESPONSES, failed_by_class
from petsage.client.result import BadRequestOutcome, Failure, Outcome, PingResult
from petsage.client.run import Run
from petsage.client.run_warnings import warnings_of
from petsage.client.verdict import ExitCode, first_of
from petsage.client.wording import counted, listed, named, no_switch, pairs, subject, who_responds

# So many of the last pings to an address tell who responds there.
_LAST_AT_ADDRESS = 3
# What to do about a ping that got no response, where the result itself has no remedy.
_REMEDIES = {
    Failure.DNS: "Check the name in the URL, and DNS.",
    Failure.REFUSED: "Check whether the service is up, and whether that is its port.",
    Failure.RESET: "Check whether the service crashes, and whether its port speaks http or https.",
    Failure.TLS: "Check whether the port speaks TLS, in a version that is still in use.",
    Failure.TIMEOUT: "Check the address, the firewall, and whether the service hangs.",
    Failure.SERVER_ERROR: "Check whether the service's processes run and are found healthy.",
}


class Problem(NamedTuple):
    """What is wrong, with which exit code, and what to do about it."""

    code: ExitCode
    sentence: str
    what_next: str


_unproven = partial(Problem, ExitCode.UNPROVEN)


@dataclass(frozen=True, slots=True)
class Explanation:
    """The verdict of a run. `what_next` is empty where all is well."""

    exit_code: ExitCode
    headline: str
    what_next: str
    problems: list[Problem]
    warnings: list[str]


def explain(run: Run) -> Explanation:
    """Return the exit code of a run, what happened and what to do next."""
    problems = [
        *_interruption(run),
        *_command(run),
        *_proof(run),
        *_bad_requests(run),
        *_log(run),
        *_budget(run),
    ]
    code = first_of(problem.code for problem in problems)
    problems.sort(key=lambda problem: problem.code is not code)
    return Explanation(
        exit_code=code,
        headline=problems[0].sentence if problems else _passed(run),
        what_next=problems[0].what_next if problems else "",
        problems=problems,
        warnings=list(dict.fromkeys([*run.warnings, *warnings_of(run)])),
    )


def _passed(run: Run) -> str:
    if run.kind == "smoke-test":
        return f"{subject(run)} responds correctly."
    failed = len(run.history.failures)
    cost = f"{counted(failed, 'ping')} failed, within the budget" if failed else "no ping failed"
    seen = "responds, no switch was seen" if no_switch(run) else "has taken over"
    return f"{run.expected} {seen}, {cost}."


def _interruption(run: Run) -> Iterator[Problem]:
    if run.interrupted_by is None:
        return
    when = f"Interrupted by {run.interrupted_by}"
    deploy = run.deploy
    if deploy and deploy.stopped:
        when += ", and the command was stopped midway"
        what_next = "Check what the deploy has left behind before you run it again."
    elif deploy and deploy.exit_code == 0:
        when += " after the command had succeeded"
        call = ("petsage", "smoke-test", run.url, "--expect-release", run.expected or "")
        what_next = f"`{shlex.join(call)}` tells whether the deploy took effect."
    else:
        when += " before there was a verdict"
        what_next = "Nothing is proved: run it again."
    yield Problem(ExitCode.INTERRUPTED, f"{when}; {who_responds(run)}.", what_next)


def _command(run: Run) -> Iterator[Problem]:
    deploy, now = run.deploy, who_responds(run)
    if deploy is None or (run.interrupted_by and (deploy.stopped or deploy.started_at is None)):
        return
    after = " Roll back, or look at the platform." if now == "nothing responds" else ""
    if deploy.error:
        sentence = f"The command could not be started: {deploy.error}; {now}."
        what_next = f"Check the program {shlex.quote(deploy.argv[0])} and its first line (#!)."
    elif deploy.started_at is None:
        sentence = (
            "The command was not started, as the service did not respond for a second first; "
            f"{now}."
        )
        what_next = f"{_remedy(run.current.failed)} The command runs once the service responds."
    elif deploy.stopped:
        sentence = f"The command had not ended after {run.limit_s:g} s and was stopped; {now}."
        what_next = f"Check what it has left behind, then run it again, longer: --deadline.{after}"
    elif deploy.exit_code:
        sentence = f"The command failed with exit code {deploy.exit_code}; {now}."
        what_next = f"See the command's output.{after}"
    else:
        return
    yield Problem(ExitCode.COMMAND_FAILED, sentence, what_next.strip())


def _proof(run: Run) -> Iterator[Problem]:
    """Yield why the streak is not complete: who responds at the end decides.

    A service may also have gone after its streak, at a bad request.
    """
    current, results = run.current, run.history.results
    if run.interrupted_by or (run.proved and current.outcome is not Outcome.DOWN):
        return
    if current.outcome is Outcome.DOWN:
        yield _down(run)
    elif run.wrong:
        last = current.incorrect[-1]
        recent = min(len(results), max(LAST_RESPONSES, run.consecutive))
        count = f"{len(current.incorrect)} of the last {recent}"
        yield Problem(
            ExitCode.WRONG,
            f"{subject(run)} responds incorrectly: {last.detail} ({count}).",
            f"Roll back, and look at the service's log for request id {_log_id(last)}.",
        )
    elif current.outcome is Outcome.NOT_REACHED:
        yield _not_reached(run)
    elif current.outcome is Outcome.RATE_LIMITED:
        yield _rate_limited(run)
    elif current.outcome is Outcome.CACHED:
        yield _unproven(
            f"Only a cache responds: {results[-1].detail}.",
            "Exclude this URL from the cache, or choose one that is not cached.",
        )
    else:
        yield _incomplete(run)


def _down(run: Run) -> Problem:
    detail = _detail(run.current.failed)
    if not run.history.responded:
        sentence = f"The service never responded: {detail}."
        return Problem(ExitCode.DOWN, sentence, _remedy(run.current.failed))
    silent = f"nothing has responded for {_silent_s(run):.1f} s: {detail}."
    if run.history.switch.first_new is not None:
        sentence = f"{subject(run)} responded, but {silent}"
        what_next = "Roll back if this deploy is the cause; look at its log and at the platform."
        if run.bad_requests:
            what_next += (
                " A bad request may have crashed it, or made a firewall block this machine."
            )
    else:
        sentence = f"{subject(run)} never responded, and {silent}"
        what_next = "The new release probably crashes at its start: roll back, and see its log."
    return Problem(ExitCode.DOWN, sentence, what_next)


def _not_reached(run: Run) -> Problem:
    detail = _detail(run.current.failed)
    if run.history.responded:
        silent = f"{_silent_s(run):.1f} s"
        sentence = f"The service responded, but has not been reached for {silent}: {detail}."
    else:
        sentence = f"The run did not reach the service: {detail}."
    remedy = _remedy(run.current.failed)
    what_next = f"{remedy} This says nothing about the release: don't roll back."
    return Problem(ExitCode.NOT_REACHED, sentence, what_next)


def _rate_limited(run: Run) -> Problem:
    last = [one for one in run.history.results if one.outcome is Outcome.RATE_LIMITED][-1]
    retry = "" if last.retry_after_s is None else f", Retry-After {last.retry_after_s:.0f} s"
    option = "--rate" if run.kind == "rollout" else "--interval"
    return _unproven(
        f"A rate limit stopped the run at {_reached(run)} in a row: {last.detail}{retry}.",
        f"Raise the limit for these checks, or ping less often: {option}.",
    )


def _incomplete(run: Run) -> Problem:
    """Return the problem of a service that responds at the end, but not as it was asked to."""
    history, current = run.history, run.current
    command_ended = run.deploy.ended_at if run.deploy else None
    results = [one for one in history.results if one.due_at >= (command_ended or 0.0)]
    # The responses of the expected release, the incorrect ones too.
    incorrect = [one for one in results if one.outcome is Outcome.INCORRECT]
    seen = [one for one in results if history.is_expected(one)]
    seen += history.belongs_to_expected(incorrect)
    ever_seen = history.switch.first_new is not None
    if not seen and any(map(history.release_of, results if ever_seen else history.results)):
        return _old(run, since_command=bool(command_ended) and ever_seen)
    stale = _stale_addresses(run)
    if stale and len(stale) < len(run.addresses):
        last = [one[-1].outcome for address, one in history.addresses.items() if address in stale]
        if set(last) == {Outcome.RATE_LIMITED}:
            return _rate_limited(run)
        return _address_missing(run, stale)
    if current.others and current.expected:
        behind = "; ".join(
            f"{named(name)} on {listed(current.instances.get(name) or ['unnamed instances'])}"
            for name in current.others
        )
        return _unproven(
            f"Only a part of the fleet is {run.expected}: {who_responds(run)}.",
            f"Don't go on. Check which instances are left behind: {behind}.",
        )
    if current.others and run.expected:
        return _unproven(
            f"{run.expected} responded, but does not any more; {who_responds(run)}.",
            "Don't go on. Check whether something has rolled back.",
        )
    if seen and run.streak.reached >= run.streak.needed:
        return _long_but_incomplete(run)
    if not seen and not any(one.of_service for one in results):
        since = "not since the command ended" if results else "the run ended with the command"
        return _unproven(
            f"{subject(run)} responded, but {since}; {who_responds(run)}.",
            f"Give it longer: {_limit(run)[1]}.",
        )
    return _too_short(run, results, seen)


def _old(run: Run, *, since_command: bool) -> Problem:
    """Return the problem of a release that has not responded, while others do."""
    if list(run.current.releases) == [contract.UNKNOWN_RELEASE]:
        if all(one.worker is None for one in run.history.results):
            # It is not PetSage.
            return Problem(
                ExitCode.OLD,
                "The service does not know its release.",
                "Tell it its release where it runs, and restart it. Waiting does not help.",
            )
        return Problem(
            ExitCode.OLD,
            "The service does not know its release: set PETSAGE_RELEASE.",
            "Set PETSAGE_RELEASE, or your platform's variable for it, where the service runs, "
            "and restart it. Waiting does not help.",
        )
    within, option = _limit(run)
    not_seen = "has not responded since the command ended" if since_command else "did not respond"
    return Problem(
        ExitCode.OLD,
        f"{run.expected} {not_seen} {within}; {who_responds(run)}.",
        f"Check whether the deploy took effect. If it is only slow, wait longer: {option}.",
    )


def _address_missing(run: Run, missing: dict[str, str]) -> Problem:
    count = f"{len(missing)} of {len(run.addresses)} addresses"
    told = listed(f"{address} ({what})" for address, what in missing.items())
    return _unproven(
        f"{subject(run)} responds, but not at {count}: {told}.",
        f"Don't go on. Check what runs at {listed(missing)}, or take it out of DNS.",
    )


def _long_but_incomplete(run: Run) -> Problem:
    """Return what a streak lacks that is long enough."""
    streak = run.streak
    if streak.instances_hidden:
        return _unproven(
            f"The responses name no instance, so {streak.instances_asked} can't be counted.",
            "Leave --instances out, or let the service name them (PETSAGE_DISCLOSE_RELEASE).",
        )
    if streak.instances_missing:
        seen = f"{len(streak.instances)} of {streak.instances_asked} instances"
        return _unproven(
            f"{subject(run)} responds, but from {seen}: {listed(sorted(streak.instances))}.",
            "Check whether each instance is in rotation, whether the balancer is sticky, and "
            "whether two processes share a name (PETSAGE_INSTANCE).",
        )
    if not streak.proved:
        return _release_not_proved("not enough bogus releases were rejected")
    missing = streak.missing_addresses(run.addresses)
    return _address_missing(run, dict.fromkeys(missing, "no response in the streak"))


def _release_not_proved(why: str) -> Problem:
    return _unproven(
        f"Nothing proves the release: the responses name none, and {why}.",
        "Let the service name its release (PETSAGE_DISCLOSE_RELEASE), or check whether something "
        "drops Expect-Release on the way.",
    )


def _too_short(run: Run, results: list[PingResult], seen: list[PingResult]) -> Problem:
    """Return what kept the streak from becoming long enough, while the release responds."""
    begin = min((one.due_at for one in seen), default=run.started_at)
    results = [one for one in results if one.due_at >= begin]
    stray = run.streak.last_interruption
    if stray is not None and stray.due_at >= begin:
        return _interrupted(run, stray)
    within, option = _limit(run)
    incorrect = [one for one in results if one.outcome is Outcome.INCORRECT]
    if incorrect and run.streak.waiting:
        last = incorrect[-1]
        return _unproven(
            f"{run.expected} did not respond correctly {within}; {last.detail} came.",
            f"Don't go on. Look at the service's log for request id {_log_id(last)}.",
        )
    if any(one.outcome is Outcome.RATE_LIMITED for one in results):
        return _rate_limited(run)
    failures = [one for one in results if one.failure is not None]
    if failures:
        failed = f"{len(failures)} of {counted(len(results), 'ping')}"
        return _unproven(
            f"Too flaky: {failed} failed, and only {_reached(run)} in a row came {within}; "
            f"the last failure: {failures[-1].detail}.",
            f"Look at the platform and at the way to it; then wait longer: {option}.",
        )
    seconds = run.started_at + run.elapsed_s - begin
    each = sum(one.latency_s for one in results) / max(1, len(results))
    if each * len(results) < seconds / 2:
        sentence = f"Too late: {subject(run)} responded for {seconds:.1f} s, {_reached(run)}."
        return _unproven(sentence, f"Wait longer: {option}.")
    return _unproven(
        f"Too slow: {_reached(run)} in {seconds:.0f} s, each takes {each:.1f} s.",
        f"Wait longer ({option}), or find out why {run.expected or 'the service'} is slow.",
    )


def _interrupted(run: Run, stray: PingResult) -> Problem:
    """Return the problem of a streak that `stray` was the last to interrupt."""
    times = counted(run.streak.interruptions, "time")
    streak = f"the streak was interrupted {times}, the last time by"
    if stray.bogus and stray.outcome is Outcome.CORRECT and not stray.names_release:
        return _release_not_proved("a bogus release was served too")
    if stray.outcome is Outcome.INCORRECT:
        sentence = f"Not all responses are correct: {streak} {stray.detail}."
        what_next = f"Don't go on. Look at the service's log for request id {_log_id(stray)}."
    elif stray.outcome is Outcome.NOT_REACHED:
        sentence = f"At times something else responds: {streak} {stray.detail}."
        what_next = "Don't go on. Look at what stands between you and the service."
    else:
        release = named(run.history.release_of(stray) or HIDDEN_OTHER)
        ago = run.history.results[-1].due_at - stray.due_at
        sentence = f"{run.expected} responds, but {release} still did {ago:.1f} s before the end."
        what_next = f"Don't go on yet. Run it again, or give it longer: {_limit(run)[1]}."
    return _unproven(sentence, what_next)


def _stale_addresses(run: Run) -> dict[str, str]:
    """Return the latest addresses at which the expected release does not respond, and what does."""
    history = run.history
    results = history.addresses
    stale = {}
    for address in run.addresses:
        last = results.get(address, [])[-_LAST_AT_ADDRESS:]
        if any(history.is_expected(one) for one in last):
            continue
        releases = [name for one in last if (name := history.release_of(one))]
        what = (
            f"{named(releases[-1])} responds" if releases else _detail(last[-1] if last else None)
        )
        stale[address] = what
    return stale


def _bad_requests(run: Run) -> Iterator[Problem]:
    # Equal causes are one line.
    accepted: dict[str, dict[str, list[str]]] = {}
    for one in run.bad_requests:
        if one.outcome is BadRequestOutcome.ACCEPTED:
            accepted.setdefault(one.got, {}).setdefault(one.expected, []).append(one.name)
    for got, due in accepted.items():
        instead = [f"{expected} for {', '.join(names)}" for expected, names in due.items()]
        yield Problem(
            ExitCode.WRONG,
            f"{subject(run)} does not reject bad requests as documented: {got} instead of "
            f"{'; '.join(instead)}.",
            "Roll back: this release does not validate its requests.",
        )
    others = [one for one in run.bad_requests if one.outcome is BadRequestOutcome.OTHER_RELEASE]
    if others:
        releases = listed(dict.fromkeys(named(one.release or HIDDEN_OTHER) for one in others))
        yield _unproven(
            f"{subject(run)} responded to the pings, but {releases} to "
            f"{counted(len(others), 'bad request')}.",
            "Don't go on. Check which instances are left behind.",
        )
    lost = [one for one in run.bad_requests if one.outcome is BadRequestOutcome.NOT_DELIVERED]
    if lost and len(lost) == len(run.bad_requests):
        yield _unproven(
            f"No bad request reached the service: {listed(dict.fromkeys(o.got for o in lost))}.",
            "Let them through the firewall or proxy, or leave them out: --no-bad-requests.",
        )


def _log(run: Run) -> Iterator[Problem]:
    log = run.log
    if log is None or log.found:
        return
    sentence = f"The log line of the last ping did not arrive within {run.logs_within:g} s"
    why = "only a line of something else has the id" if log.other_line else log.reason
    url = shlex.quote(run.url.rstrip("/") + contract.LOGGING_SMOKE_TEST_PATH)
    yield Problem(
        ExitCode.LOG_MISSING,
        f"{sentence}{f': {why}' if why else ''}.",
        f"Look at the log pipeline: drains, agents, filters. `curl {url}` tells whether the "
        "service itself writes: a 503 means that it does not. If the pipeline is slow, wait "
        "longer: --logs-within.",
    )


def _budget(run: Run) -> Iterator[Problem]:
    if run.kind == "smoke-test":
        return
    history, budget = run.history, run.budget
    drain = (
        "Before the next rollout, check how instances leave the rotation: drain first, wait, and "
        "stop them only then."
    )

    def over(what: str, what_next: str) -> Problem:
        sentence = f"{what[0].upper()}{what[1:]}."
        if run.proved:
            switched = "responds, no switch was seen" if no_switch(run) else "has taken over"
            sentence = f"{run.expected} {switched}, but {what}."
        return Problem(ExitCode.OVER_BUDGET, sentence, what_next)

    failures = history.failures
    if len(failures) > budget.max_failures:
        classes = pairs(failed_by_class(failures))
        failed = f"{len(failures)} of {counted(len(history.results), 'ping')} failed"
        yield over(f"{failed} ({classes}), more than {budget.max_failures} (--max-failures)", drain)
    gaps = [gap for gap in (history.longest_gap, history.open_gap) if gap]
    gap = max(gaps, key=lambda one: one.seconds, default=None)
    if budget.max_gap is not None and gap and gap.seconds > budget.max_gap:
        began = f"{gap.began_at - run.started_at:.1f} s after the start"
        longer = f"longer than {budget.max_gap:g} s (--max-gap)"
        yield over(f"no ping succeeded for {gap.seconds:.2f} s, {began}, {longer}", drain)
    slowest = max((one.latency_s for one in history.results if one.failure is None), default=0.0)
    if budget.max_latency is not None and slowest > budget.max_latency:
        longer = f"longer than {budget.max_latency:g} s (--max-latency)"
        what_next = "Check whether new instances get traffic before they are warm."
        yield over(f"a response took {slowest:.3g} s, {longer}", what_next)
    reason = no_switch(run)
    if budget.require_switch and reason:
        yield Problem(
            ExitCode.OVER_BUDGET,
            f"No switch was seen: {reason}.",
            "Check whether the deploy changed anything; start the rollout before the deploy.",
        )


def _reached(run: Run) -> str:
    return f"{run.streak.reached} of {run.streak.needed}"


def _limit(run: Run) -> tuple[str, str]:
    """Return how long there was, as a phrase, and the option that makes it longer."""
    if run.kind == "smoke-test":
        return f"within {run.limit_s:g} s", "--wait"
    if run.after_command is not None and run.deploy and run.deploy.ended_at:
        return f"within {run.after_command:g} s of the command's end", "--after-command"
    return f"within {run.limit_s:g} s", "--deadline"


def _detail(failed: PingResult | None) -> str:
    return failed.detail if failed else "no ping has ended"


def _remedy(failed: PingResult | None) -> str:
    if failed is None or failed.failure is None:
        return ""
    return failed.remedy or _REMEDIES.get(failed.failure, "Check the URL, -H, DNS and the proxy.")


def _silent_s(run: Run) -> float:
    return run.history.results[-1].due_at - (run.current.since or 0.0)


def _log_id(result: PingResult) -> str:
    return result.log_id or result.request_id
