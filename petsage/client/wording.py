"""How the sentences of a report name releases, counts, and who responds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from petsage import contract
from petsage.client.history import HIDDEN, HIDDEN_OTHER
from petsage.client.result import TRANSPORT, Outcome
from petsage.client.run import Run

_MOST_NAMED = 8
_NAMELESS = {
    HIDDEN: "a release that is not named",
    HIDDEN_OTHER: "another release that is not named",
    contract.UNKNOWN_RELEASE: "a service that does not know its release",
}
_SILENT = {
    Outcome.DOWN: "nothing responds",
    Outcome.NOT_REACHED: "something else responds",
    Outcome.RATE_LIMITED: "a rate limit rejects all requests",
    Outcome.CACHED: "only a cache responds",
}


def named(release: str) -> str:
    """Return a release as a sentence names it."""
    return _NAMELESS.get(release, release)


def subject(run: Run) -> str:
    """Return the expected release, or else the service, as a sentence begins with it."""
    return run.expected or "The service"


def who_responds(run: Run) -> str:
    """Return who responds at the end, as a clause."""
    current = run.current
    if current.outcome is not None:
        failed = current.failed
        if current.outcome is Outcome.NOT_REACHED and failed and failed.failure in TRANSPORT:
            return "the service can't be reached"
        return _SILENT[current.outcome]
    if run.wrong and not current.others:
        return f"{run.expected or 'the service'} responds incorrectly"
    # The expected release comes last.
    names = [named(one) for one in sorted(current.releases, key=current.expected.__contains__)]
    if len(names) > 1:
        return f"{', '.join(names[:-1])} and {names[-1]} alternate"
    if names:
        return f"{names[0]} responds"
    return "the service responds incorrectly" if run.history.responded else "nothing responds"


def no_switch(run: Run) -> str:
    """Return why no switch was seen; empty where one was, or the expected release never responded.

    A redeploy of the same release is a switch where other workers respond after the command.
    """
    switch, deploy = run.history.switch, run.deploy
    if switch.first_old is not None or switch.first_new is None:
        return ""
    only = f"no other release than {run.expected} responded"
    if deploy is None or deploy.started_at is None or deploy.ended_at is None:
        return only
    results = run.history.results
    before = {one.worker for one in results if one.due_at < deploy.started_at}
    after = {one.worker for one in results if one.due_at >= deploy.ended_at}
    return "" if after - before - {None} else f"{only}, before and after the command"


def listed(names: Iterable[str]) -> str:
    """Return names in a row, as many as people read."""
    known = list(names)
    more = len(known) - _MOST_NAMED
    return ", ".join(known[:_MOST_NAMED]) + (f", and {more} more" if more > 0 else "")


def pairs(counts: Mapping[str, int]) -> str:
    """Return names with their counts, the highest first, such as "timeout 3, refused 1"."""
    ordered = sorted(counts.items(), key=lambda named: -named[1])
    return listed(f"{name} {count}" for name, count in ordered)


def counted(count: int, noun: str) -> str:
    """Return a number and its noun, in the plural where it needs it."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
