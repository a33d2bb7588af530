"""The verdict as one sentence: an outcome in, a sentence out. It never says more than was seen."""

from __future__ import annotations

from petsage import contract
from petsage.client.findings import counted
from petsage.client.outcome import Outcome, RolloutOutcome
from petsage.client.present import Now
from petsage.client.tally import HIDDEN, HIDDEN_OTHER
from petsage.client.verdict import ExitCode

_NOT_PETSAGE = "Something answers there, but not PetSage."
_FLEET = "The fleet is not, or not provably, what you asked for."
_NAMELESS = {
    HIDDEN: "a release that is not named",
    HIDDEN_OTHER: "another release that is not named",
    contract.UNKNOWN_RELEASE: "a service that does not know its release",
}


def headline(outcome: Outcome) -> str:
    """Return the verdict as one sentence."""
    if isinstance(outcome, RolloutOutcome):
        return _of_rollout(outcome)
    return {
        ExitCode.PASSED: f"{outcome.expected or 'PetSage'} answers, and answers rightly.",
        ExitCode.WRONG: _wrong(outcome),
        ExitCode.UNREACHABLE: _unreachable(outcome),
        ExitCode.OTHER_RELEASE: _other_release(outcome),
        ExitCode.MIXED: _mixed(outcome),
        ExitCode.LOG_MISSING: "PetSage answers rightly, but its log line was lost or late.",
        ExitCode.INTERRUPTED: "Interrupted before there was a verdict.",
    }[outcome.exit_code]


def named(release: str) -> str:
    """Return a release as a sentence names it."""
    return _NAMELESS.get(release, release)


def who(now: Now) -> str:
    """Return who answers, as the subject and verb of a sentence in the present."""
    if not now.answers:
        if now.stranger:
            return "what answers is not PetSage"
        rightly = " rightly" if now.last is not None and now.last.worker else ""
        return f"nobody answers{rightly}"
    *first, last = map(named, now.turns)
    if not first:
        return f"{last} answers"
    return f"{', '.join(first)} and {last} answer by turns"


def sentence(words: str) -> str:
    """Return words as a sentence; the name of a release at its beginning stays as it is."""
    capital = words.startswith(("nobody ", "what ", "a ", "another "))
    return f"{words[0].upper() if capital else words[0]}{words[1:]}."


def _unreachable(outcome: Outcome) -> str:
    tally, last = outcome.tally, outcome.tally.last_failure
    if tally.answered and outcome.row.whole:
        if outcome.now.nobody:
            return "PetSage answered its pings, and then nobody did."
        return "PetSage answered its pings, but not every bad request."
    if tally.answered:
        gone = "nobody answers any more" if outcome.now.nobody else "not each time"
        return f"PetSage answered, but {gone}."
    if last is not None and last.untrusted:
        return "PetSage never answered: the certificate does not verify."
    if last is not None and not last.transient:
        return _NOT_PETSAGE
    return "PetSage never answered."


def _wrong(outcome: Outcome) -> str:
    if outcome.tally.answered or outcome.tally.last_failure is None:
        return "The answers are not those of a healthy PetSage."
    return _NOT_PETSAGE


def _other_release(outcome: Outcome) -> str:
    now, expected = outcome.now, outcome.expected
    never = f"{expected} never answered"
    if now.only == contract.UNKNOWN_RELEASE:
        return f"The service that answers does not know its release; {never}."
    if not outcome.tally.releases:
        return f"{never}: PetSage answers, but wrongly."
    if now.nobody:
        return f"{never}, and now {who(now)}."
    return f"{never}; {who(now)}." if now.answers else f"{never}."


def _mixed(outcome: Outcome) -> str:
    row, now, within = outcome.row, outcome.now, outcome.within
    name = outcome.expected or "PetSage"
    if row.whole:
        return _FLEET
    if now.nobody:
        return f"{name} answered, but now {who(now)}."
    if row.breaks > row.strays:
        if now.new and not now.old:
            return f"{name} answers, but another release did too, after it."
        return f"{name} answered, but now {who(now)}." if not now.new else sentence(who(now))
    if row.own_faults:
        return f"{name} answers, but not each time rightly."
    if row.strays:
        return f"{name} answers, but so does something that is not PetSage."
    if row.reached >= row.needed:
        if not row.instances_missing:
            return f"The answers name no release, and nothing proves that they are {name}'s."
        if not row.instances:
            return "The answers name no instance, so that none can be counted."
        seen = counted(len(row.instances), "instance")
        return f"{name} answers, but from {seen} and not from {row.instances_asked}."
    others = len(outcome.tally.releases) > 1
    only = f"Only {name}" if outcome.expected and not others else name
    if row.lost:
        lost = f"{counted(row.lost, 'ping')} failed"
        return f"{only} answered, but {lost}, and the row of {row.needed} was not whole {within}."
    slow = "too late or too slowly" if came_late(outcome) else "too slowly"
    return f"{only} answered, but {slow} for a row of {row.needed} {within}."


def came_late(outcome: Outcome) -> bool:
    """Return whether the right answers began only after others, or after pings that failed."""
    return len(outcome.tally.releases) > 1 or bool(outcome.tally.failed)


def _of_rollout(outcome: RolloutOutcome) -> str:
    expected, failed = outcome.expected, sum(outcome.tally.failed.values())
    switched = outcome.record.last_old is not None
    seen = f"{expected} has taken over" if switched else f"{expected} answers: no switch was seen"
    over = "but the switch was noticed" if switched else "and it is over its budget"
    if outcome.now.nobody:
        over = f"but now {who(outcome.now)}"
    return {
        ExitCode.PASSED: f"{seen}, "
        + ("within the budget." if failed else "and not one ping failed."),
        ExitCode.UNREACHABLE: _unreachable(outcome),
        ExitCode.COMMAND_FAILED: _command(outcome),
        ExitCode.OTHER_RELEASE: _other_release(outcome),
        ExitCode.MIXED: _mixed(outcome),
        ExitCode.OVER_BUDGET: f"{seen}, {over}.",
        ExitCode.INTERRUPTED: _interrupted(outcome),
    }[outcome.exit_code]


def _command(outcome: RolloutOutcome) -> str:
    deploy, now = outcome.deploy, outcome.now
    if deploy is None or deploy.started_at is None:
        return "The deploy was not started: the service did not answer first."
    failed = "The deploy was stopped half-way" if deploy.cut_short else "The deploy failed"
    if deploy.fault:
        failed = "The deploy could not be started"
    if now.answers and not now.new and outcome.record.first_new is None:
        return f"{failed}, and {who(now)}: nothing has switched."
    return f"{failed}, and {who(now)}."


def _interrupted(outcome: RolloutOutcome) -> str:
    deploy = outcome.deploy
    if deploy is None or deploy.started_at is None:
        return "Interrupted before there was a verdict."
    if deploy.cut_short:
        return f"Interrupted, and the deploy was stopped half-way; {who(outcome.now)}."
    how = "failed" if deploy.exit_code else "ended"
    return f"Interrupted after the deploy had {how}; {who(outcome.now)}."
