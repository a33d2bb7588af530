"""What to do next: an outcome and an exit code in, a sentence or two out. It never runs anything.

It follows what was seen last: nobody is told to wait for a service that is gone.
"""

from __future__ import annotations

import shlex

from petsage import contract
from petsage.client.fact import TOO_MANY_REQUESTS, Fact, Failure
from petsage.client.findings import misses_petsage
from petsage.client.outcome import Outcome, RolloutOutcome
from petsage.client.reports.headline import came_late, named, sentence, who
from petsage.client.verdict import ExitCode

_CHECK_URL = "Check the URL, and what stands between you and the service."
_RATE_LIMIT = "Something limits the rate of requests: let the checks through, or ask less often."
_NO_WAY = "Nothing takes the connection: look at the address, the firewall, the machine."
# ENETUNREACH and EHOSTUNREACH, as Linux and macOS tell them.
_NO_ROUTE = ("Network is unreachable", "No route to host")
_BY_CLASS = {
    Failure.DNS: "Check the name in the URL, and look at DNS: it does not resolve.",
    Failure.REFUSED: "Nothing listens there: is the service up, and is that its port?",
    Failure.RESET: (
        "The connection is cut: does the process crash, or does that port speak the other of http "
        "and https?"
    ),
    Failure.TLS: "TLS fails: does that port speak it, and in a version that is still in use?",
}

_MOST_NAMED = 4

# What these say of the answers holds no more where nobody answers at the end.
_OF_THE_ANSWERS = {
    ExitCode.UNREACHABLE,
    ExitCode.OTHER_RELEASE,
    ExitCode.MIXED,
    ExitCode.OVER_BUDGET,
}
# These are so because pings failed.
_OF_FAILURES = {ExitCode.UNREACHABLE, ExitCode.OVER_BUDGET}


def next_step(outcome: Outcome, code: ExitCode | None = None) -> str:
    """Return what to do about a code, or about the exit code; nothing where all is well."""
    code = outcome.exit_code if code is None else code
    if code in _OF_THE_ANSWERS and (outage := _outage(outcome)):
        return outage
    last = outcome.tally.last_failure
    if code in _OF_FAILURES and last is not None and last.status == TOO_MANY_REQUESTS:
        return _RATE_LIMIT
    if code is ExitCode.UNREACHABLE:
        return _unreachable(outcome)
    if code is ExitCode.WRONG:
        return _wrong(outcome)
    if code is ExitCode.OTHER_RELEASE:
        return _other_release(outcome)
    if code is ExitCode.MIXED:
        return _mixed(outcome)
    if code is ExitCode.LOG_MISSING:
        url = shlex.quote(outcome.url.rstrip("/") + contract.LOGGING_SMOKE_TEST_PATH)
        return (
            f"Look at the log pipeline: drains, agents, filters. `curl {url}` tells whether the "
            "service itself still writes: a 503 means that it does not. "
            "A slow pipeline needs --logs-within."
        )
    if not isinstance(outcome, RolloutOutcome):
        return "Nothing is proved. Run it again to its end." if code else ""
    if code is ExitCode.COMMAND_FAILED or code is ExitCode.INTERRUPTED:
        return _command(outcome)
    return _over_budget(outcome) if code is ExitCode.OVER_BUDGET else ""


def _outage(outcome: Outcome) -> str:
    """Return what to do where nobody answers at the end, though somebody did; else nothing."""
    now = outcome.now
    if not now.nobody or not outcome.tally.ok:
        return ""
    if now.last is not None and now.last.status == TOO_MANY_REQUESTS:
        return _RATE_LIMIT
    if now.last is not None and now.last.worker:
        return "PetSage answers wrongly now: look at its log, or roll back."
    if now.stranger:
        return "What answers now is not PetSage: look at what stands before it, or roll back."
    return "Nobody answers any more: look at the platform, or roll back."


def _unreachable(outcome: Outcome) -> str:
    last = outcome.tally.last_failure
    if last is None and not outcome.tally.ok:
        return "Look at the platform: no ping came to an end."
    if last is None or outcome.tally.ok:
        return "Look at the platform, and at the way to it: it answers, but not each time."
    return _of_failure(last)


def _of_failure(last: Fact) -> str:
    """Return what to do about a service that has never answered; `last` is the last ping."""
    if last.untrusted:
        return (
            "The certificate does not verify: look at its dates, its names and its chain; where an "
            "authority of your own signed it, name that with --cacert."
        )
    if last.failure is Failure.SERVER_ERROR:
        if last.worker:
            return f"PetSage itself answers {last.status}: look at its log."
        return (
            f"What stands before the service answers {last.status}: look whether the service's "
            "processes have started, and whether they are found healthy."
        )
    if last.failure is Failure.TIMEOUT:
        if {"tls", "write"} & set(last.phases):
            return "It takes connections but does not answer: is the process stuck?"
        return _NO_WAY
    if last.failure is Failure.REFUSED and last.detail.endswith(_NO_ROUTE):
        return _NO_WAY
    return _BY_CLASS.get(last.failure or Failure.NOT_PETSAGE, _CHECK_URL)


def _wrong(outcome: Outcome) -> str:
    found = outcome.tally.last_failure
    if found and not outcome.tally.ok and misses_petsage(found):
        return _CHECK_URL
    return "Roll back, or look at what stands between you and the service."


def _other_release(outcome: Outcome) -> str:
    now = outcome.now
    if not outcome.tally.releases:
        return "PetSage answers wrongly: look at its log, or roll back."
    if now.only == contract.UNKNOWN_RELEASE:
        return (
            "Set PETSAGE_RELEASE there (or its like) and restart the service: it does not know its "
            "release, and no waiting tells it."
        )
    return f"Look whether the deploy took: {who(now)}. A slow one needs {outcome.bound}."


def _mixed(outcome: Outcome) -> str:
    row, now, name = outcome.row, outcome.now, outcome.expected or "PetSage"
    rollout, option = isinstance(outcome, RolloutOutcome), outcome.bound
    if now.old and outcome.expected:
        if not now.new:
            return f"Don't go on: {who(now)} now. Look whether something has rolled back."
        return f"Don't go on yet: look which instances are left behind{_left_behind(outcome)}."
    if row.whole or row.breaks > row.strays:
        longer = f"give it longer: {option}" if rollout else "run this again"
        return f"Don't go on yet: see that the whole fleet runs {name}, then {longer}."
    if row.own_faults:
        return "Don't go on yet: PetSage answers wrongly at times: look at its log, or roll back."
    if row.strays:
        return "Don't go on yet: look at what stands between you and the service."
    if row.reached >= row.needed and row.instances_missing:
        if row.instances_hidden:
            return (
                "Instances are hidden there (PETSAGE_DISCLOSE_RELEASE=false): leave --instances "
                "out, or have them named."
            )
        return (
            f"Only {', '.join(sorted(row.instances))} answered: is every other in rotation, is the "
            "balancer sticky, do two processes share a name (PETSAGE_INSTANCE)?"
        )
    if row.reached >= row.needed:
        return f"Let the service name its release, or give it longer: {option}."
    if row.lost:
        return f"Look at the platform: pings fail; then give it longer: {option}."
    if came_late(outcome):
        return f"Give it longer: {option}."
    return f"Raise {option}, or look why {name} answers slowly."


def _left_behind(outcome: Outcome) -> str:
    told = []
    for release in outcome.now.old:
        # Of the last answers alone: who has been replaced meanwhile is not left behind.
        instances = ", ".join(outcome.now.instances[release][:_MOST_NAMED])
        told.append(f"{named(release)} on {instances}" if instances else named(release))
    return f" ({'; '.join(told)})"


def _command(outcome: RolloutOutcome) -> str:
    """Return what to do after a deploy that failed, was stopped, or was cut off."""
    deploy, now = outcome.deploy, outcome.now
    if deploy is None or deploy.started_at is None:
        if outcome.exit_code is ExitCode.INTERRUPTED:
            return "Nothing is proved. Run it again to its end."
        return "See that the service answers, or run the deploy without petsage."
    then = _outage(outcome)
    if not then and now.answers:
        then = sentence(f"{who(now)} now")
    if deploy.cut_short:
        look = "The deploy was stopped half-way: look what it has left before you run it again."
    elif deploy.fault:
        look = (
            "The deploy was not run: look at the program's first line (#!), the end of that line, "
            "and the machine it was built for."
        )
    elif deploy.exit_code:
        look = "The deploy failed; see its output."
    else:
        call = ("petsage", "smoke-test", outcome.url, "--expect-release", outcome.expected or "")
        look = (
            "The deploy has ended well, and only the watch was cut short: "
            f"`{shlex.join(call)}` tells whether it took."
        )
    return f"{look} {then}".rstrip()


def _over_budget(outcome: RolloutOutcome) -> str:
    if outcome.record.last_old is not None:
        return (
            "Before the next rollout, look at how instances are taken out of rotation: drain "
            "first, wait, and stop them only then."
        )
    if outcome.deployed_before:
        return (
            "Look whether this deploy changed anything, and give each release a name of its own; "
            "where pings failed, look at the platform and at the way to it."
        )
    return (
        "Start the rollout before the deploy, while the old release answers; where pings "
        "failed, look at the platform and at the way to it."
    )
