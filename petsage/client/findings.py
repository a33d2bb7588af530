"""What the facts amount to, in sentences: problems, each with its exit code, and warnings."""

from __future__ import annotations

from collections.abc import Iterable

from petsage import contract
from petsage.client.checks import NOT_FOUND
from petsage.client.fact import Fact, Failure
from petsage.client.logs import LogFinding
from petsage.client.refusals import Refused
from petsage.client.tally import Tally
from petsage.client.verdict import ExitCode, Problem, Row

# The clocks of two well-kept machines differ by less; what the round trip explains is taken
# off.
SKEW_SECONDS = 2.0
_CHECK_URL = "This says nothing about the release; check the URL."
_WORKER_DROPPED = f"It names a release: does something drop {contract.WORKER_HEADER} on the way?"


def final_problem(fact: Fact, *, after_right: bool) -> Problem:
    """Return the problem of a ping that no waiting can mend.

    One that did not fail was served though it expected a release which no service bears.
    `after_right` says that right answers came before it.
    """
    if fact.failure is None:
        return (
            ExitCode.WRONG,
            "A ping that expected a release which nobody bears was served: Expect-Release is "
            "ignored, or something drops it, and no release is named. "
            "Nothing can be proved so; let the service name its release.",
        )
    if fact.untrusted:
        return ExitCode.UNREACHABLE, f"TLS: {fact.detail}."
    hint = _of_the_url(fact, after_right=after_right)
    if fact.redirect:
        way_out = (
            "" if after_right else " Redirects are not followed: give the URL that answers itself."
        )
        return ExitCode.WRONG, f"The ping was answered with {fact.detail}.{way_out}{hint}"
    return ExitCode.WRONG, f"PetSage answered wrongly: {fact.detail}.{hint}"


def _of_the_url(fact: Fact, *, after_right: bool) -> str:
    """Return what a 404 or a redirect tells of the URL and of the release that answered so."""
    if not fact.redirect and fact.status != NOT_FOUND:
        return ""
    if after_right:
        before = " Right answers came before, so the URL is right"
        if fact.worker is None:
            return f"{before}: something else answers there now."
        return f"{before}: this release ({fact.release or 'hidden'}) has no such route."
    if fact.worker is None and not fact.names_release:
        return f" {_CHECK_URL}"
    return (
        " Either the URL is not the service's base, or this release has no such route: "
        "check the URL first."
    )


def misses_petsage(fact: Fact) -> bool:
    """Return whether a ping that failed has missed the service: the URL is wrong, not the release.

    A 404 of PetSage's own tells that the URL is not the service's base.
    """
    return fact.worker is None or fact.status == NOT_FOUND


def row_problems(row: Row, tally: Tally, last: Fact | None, within: str) -> list[Problem]:
    """Return why the row is not whole; `last` is what the last ping found.

    `within` says how long there was, such as "within 60 s".
    """
    if row.whole:
        return []
    if not tally.answered:
        return [_never_answered(last, within)]
    if row.waiting and tally.releases:
        seen = ", ".join(name for name, _ in tally.most_seen)
        sentence = f"{row.expected} did not answer {within}; another release did: {seen}."
        if contract.UNKNOWN_RELEASE in tally.releases:
            sentence += " The service does not know its release: set PETSAGE_RELEASE there."
        return [(ExitCode.OTHER_RELEASE, sentence)]
    if row.waiting:
        failed = tally.last_failure
        detail = failed.detail if failed else "it never answered rightly"
        of_ours = failed is not None and failed.worker is not None
        hint = _of_the_url(failed, after_right=tally.ok > 0) if failed and of_ours else ""
        return [(ExitCode.WRONG, f"PetSage never answered rightly {within}: {detail}.{hint}")]
    return list(_row_cut_short(row, last, within))


def _never_answered(last: Fact | None, within: str) -> Problem:
    if last is None:
        return ExitCode.UNREACHABLE, f"No ping came to an end {within}."
    if last.untrusted:
        return ExitCode.UNREACHABLE, f"PetSage never answered {within}: {last.detail}."
    if last.transient:
        return (
            ExitCode.UNREACHABLE,
            f"PetSage never answered {within}; the last ping found: {last.detail}."
            + _other_scheme(last),
        )
    return (
        ExitCode.WRONG,
        f"Something answered {within}, but not PetSage; the last ping found: {last.detail}. "
        + (_WORKER_DROPPED if last.names_release else _CHECK_URL),
    )


def _other_scheme(last: Fact) -> str:
    """Return a hint where the other side hung up, as servers do on whom the scheme is lost."""
    if last.failure is not Failure.RESET:
        return ""
    if "tls" not in last.phases:
        return " Where that port speaks TLS, try https://."
    return "" if "write" in last.phases else " Where that port speaks plain HTTP, try http://."


def _row_cut_short(row: Row, last: Fact | None, within: str) -> Iterable[Problem]:
    others = row.breaks - row.strays
    if row.strays:
        whence = "wrongly from PetSage itself" if row.own_faults else "from what is not PetSage"
        whence += " or from something else" if 0 < row.own_faults < row.strays else ""
        yield (
            ExitCode.WRONG,
            f"{counted(row.strays, 'answer')} came {whence}, after right ones, and the row was "
            f"not whole {within}.",
        )
    if others:
        yield (
            ExitCode.MIXED,
            f"After {row.expected} had answered, another release did too: "
            f"the row broke {counted(others, 'time')} and was not whole {within}.",
        )
    if row.instances_hidden:
        yield (
            ExitCode.MIXED,
            f"The answers name no instance (PETSAGE_DISCLOSE_RELEASE=false there), and so "
            f"{row.instances_asked} can't be told apart.",
        )
    elif row.instances_missing:
        yield (
            ExitCode.MIXED,
            f"{counted(len(row.instances), 'distinct instance')} of the "
            f"{row.instances_asked} asked for stood in the row {within}.",
        )
    if row.filled and row.unproved:
        workers = counted(len(row.unproved), "worker")
        yield (
            ExitCode.MIXED,
            f"The answers name no release, and {workers} in the row did not refuse "
            f"a release that nobody bears {within}: nothing is proved.",
        )
    elif not row.breaks and row.reached < row.needed:
        unreachable = last is not None and last.transient
        why = f"; the last ping found: {last.detail}" if last and last.detail else ""
        yield (
            ExitCode.UNREACHABLE if unreachable else ExitCode.MIXED,
            f"Only {row.reached} of {row.needed} answers needed in a row came {within}{why}.",
        )


def refusal_problems(refusals: list[Refused]) -> list[Problem]:
    """Return what was not refused as it must be."""

    def code(refusal: Refused) -> ExitCode:
        if refusal.unreachable:
            return ExitCode.UNREACHABLE
        return ExitCode.MIXED if refusal.mismatch else ExitCode.WRONG

    return [
        (code(refusal), f"Refusal {refusal.name!r}: {refusal.shortfall}.")
        for refusal in refusals
        if refusal.passed is False
    ]


def log_problems(log: LogFinding | None, within: float) -> list[Problem]:
    """Return the problem of a log whose marker did not arrive."""
    if log is None or log.found:
        return []
    if log.ended:
        sentence = f"The log line of the last ping did not arrive: {log.trouble}."
    else:
        why = f" ({log.trouble})" if log.trouble else ""
        sentence = f"The log line of the last ping did not arrive within {within:g} s{why}."
    return [(ExitCode.LOG_MISSING, sentence)]


def warnings(
    row: Row, tally: Tally, refusals: list[Refused], log: LogFinding | None
) -> Iterable[str]:
    """Yield what is odd but fails nothing."""
    if row.lost:
        yield (
            f"{counted(row.lost, 'ping')} failed after the first right answer "
            f"(of the whole run: {listed(tally.failed.most_common())}); "
            "they neither count nor break the row."
        )
    if row.breaks and row.whole:
        yield (
            f"The row broke {counted(row.breaks, 'time')} before it was whole: "
            "another release, or something else, still answered meanwhile."
        )
    if row.expected is None and len(tally.releases) > 1:
        named = ", ".join(f"{name} {one.count}" for name, one in tally.most_seen)
        yield f"Answers came from more than one release: {named}. Use --expect-release."
    yield from answer_warnings(tally)
    for refusal in refusals:
        if refusal.passed is None:
            yield f"Refusal {refusal.name!r} was not put to PetSage: {refusal.got}."
    if log is not None and log.found and not log.whole:
        yield "The log line came, but the record in it is not one whole JSON object any more."


def answer_warnings(tally: Tally) -> Iterable[str]:
    """Yield what is odd in right answers."""
    if abs(tally.skew_s) > SKEW_SECONDS:
        side = "ahead of" if tally.skew_s > 0 else "behind"
        yield f"The server's clock is {abs(tally.skew_s):.1f} s {side} this machine's."
    if tally.cacheable:
        yield (
            f"{counted(tally.cacheable, 'answer')} lacked Cache-Control: no-store; "
            "something between rewrites headers."
        )


def row_phrase(row: Row) -> str:
    """Return how far the row is: beyond what it needed, where it ran on for the instances."""
    phrase = f"{row.reached} of {row.needed} in a row"
    if row.reached > row.needed:
        phrase = f"{row.reached} in a row ({row.needed} needed)"
    if row.instances_asked:
        seen = row.instances_asked - row.instances_missing
        phrase += f", {seen} of {counted(row.instances_asked, 'instance')}"
    return phrase


def listed(counts: Iterable[tuple[str, int]]) -> str:
    """Return names with their counts, such as "timeout 3, refused 1"."""
    return ", ".join(f"{name} {count}" for name, count in counts)


def counted(count: int, noun: str) -> str:
    """Return a number and its noun, in the plural where it needs it."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
