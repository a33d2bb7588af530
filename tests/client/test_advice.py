"""Headline and advice: what they say of failing deploys is true at the end, and helps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from petsage.client.fact import Fact, Failure
from petsage.client.outcome import RolloutOutcome
from petsage.client.reports import rendered
from petsage.client.reports.advice import next_step
from petsage.client.reports.headline import headline
from petsage.client.rollout_findings import Budget
from petsage.client.verdict import ExitCode
from tests.client.facts import NEW, OLD, PAGE, fact, lost
from tests.client.test_rollout import Command, watched

DEAD = lost(Failure.REFUSED)
UNKNOWN = fact(release="unknown", mismatch=True, status=412)
OUTAGE = "Nobody answers any more: look at the platform, or roll back."
Pick = Callable[[int], Fact]


def went(pick: Pick, deploy: Any = None, **changes: Any) -> RolloutOutcome:
    """Return how a short rollout went whose ping number n finds `pick(n)`."""
    return watched(pick, deploy, **{"deadline": 1.5} | changes)


def then(at: int, first: Fact, after: Fact) -> Pick:
    return lambda number: first if number < at else after


def told(outcome: RolloutOutcome, label: str) -> str:
    """Return what stands behind a label of the text report."""
    text = rendered(outcome, "text").replace("\n             ", " ")
    lines = [line for line in text.splitlines() if line.startswith(f"  {label:<11}")]
    return "; ".join(line[13:] for line in lines)


def test_an_outage_at_the_end_of_a_rollout_is_told_and_nobody_is_said_to_answer() -> None:
    outcome = went(then(50, OLD, DEAD))
    assert outcome.exit_code is ExitCode.OTHER_RELEASE
    assert headline(outcome) == "v43 never answered, and now nobody answers."
    assert next_step(outcome) == OUTAGE
    assert told(outcome, "now").startswith("nobody, since 0.5")
    assert "(refused 100)" in told(outcome, "now")
    assert told(outcome, "switch").endswith("s, then nobody")


def test_an_outage_after_the_new_release_had_answered_is_no_matter_of_patience() -> None:
    outcome = went(lambda number: NEW if number in (20, 21) else OLD if number < 50 else DEAD)
    assert (outcome.exit_code, next_step(outcome)) == (ExitCode.MIXED, OUTAGE)
    assert headline(outcome) == "v43 answered, but now nobody answers."


def test_the_old_release_still_answers_only_where_it_does() -> None:
    outcome = went(lambda _: OLD)
    assert headline(outcome) == "v43 never answered; v42 answers."
    assert next_step(outcome).startswith("Look whether the deploy took: v42 answers.")
    assert told(outcome, "now") == "v42, all of the last 20"
    assert told(outcome, "switch") == "none: v42 until the end"


def test_two_releases_by_turns_are_named_with_the_instances_left_behind() -> None:
    outcome = went(lambda number: replace(OLD, instance="vm7") if number % 2 else NEW)
    assert headline(outcome) == "v42 and v43 answer by turns."
    assert next_step(outcome).endswith("which instances are left behind (v42 on vm7).")
    assert told(outcome, "now") == "v42 and v43 by turns (10, 10)"
    assert told(outcome, "instances") == "v43: web.1 75; v42: vm7 75"


@pytest.mark.parametrize(
    "wrong",
    [
        fact(failure=Failure.WRONG_PONG, detail="the pong is not the ping that was sent"),
        fact(failure=Failure.OTHER_STATUS, status=404, detail="404 from PetSage"),
    ],
    ids=["a wrong pong", "its own 404"],
)
def test_wrong_answers_of_petsages_own_are_not_laid_upon_something_else(wrong: Fact) -> None:
    outcome = went(lambda number: NEW if number % 4 else wrong)
    assert (outcome.exit_code, headline(outcome)) == (
        *(ExitCode.MIXED, "v43 answers, but not each time rightly."),
    )
    assert " came wrongly from PetSage itself, after right ones" in outcome.problems[0][1]
    assert "look at its log" in next_step(outcome)
    outcome = went(lambda number: NEW if number % 4 else (PAGE, wrong)[number // 4 % 2])
    assert " from PetSage itself or from something else, " in outcome.problems[0][1]


def test_a_service_that_ignores_expect_release_is_not_said_to_have_refused() -> None:
    outcome = went(lambda _: fact(release=None, commit=None))
    assert (outcome.exit_code, outcome.tally.failed) == (ExitCode.MIXED, {})
    assert "refused" not in told(outcome, "release")
    assert told(outcome, "release").endswith(", which were asked for a made-up release")


LIMITED = fact(failure=Failure.OTHER_STATUS, status=429, worker=None, release=None)
REDIRECT = fact(failure=Failure.OTHER_STATUS, status=302, worker=None, release=None)


@pytest.mark.parametrize(
    ("last", "step"),
    [(LIMITED, "Something limits the rate"), (REDIRECT, "What answers now is not PetSage")],
    ids=["a rate limiter", "a redirect"],
)
def test_what_stands_before_the_service_and_answers_is_no_outage(last: Fact, step: str) -> None:
    outcome = went(then(50, OLD, last))
    assert headline(outcome) == "v43 never answered, and now what answers is not PetSage."
    assert next_step(outcome).startswith(step)


def test_nobody_is_told_to_drain_instances_because_of_a_rate_limiter() -> None:
    outcome = went(lambda number: LIMITED if number == 9 else OLD if number < 30 else NEW)
    assert outcome.exit_code is ExitCode.OVER_BUDGET
    assert next_step(outcome).startswith("Something limits the rate")


def test_a_release_is_named_as_it_is_at_the_beginning_of_a_sentence_too() -> None:
    outcome = went(lambda _: fact(release="whatsit-1", mismatch=True, status=412), Command(code=3))
    assert next_step(outcome).endswith(" whatsit-1 answers now.")


def test_another_release_that_is_hidden_is_told_of_in_whole_sentences() -> None:
    outcome = went(lambda _: fact(release=None, commit=None, mismatch=True, status=412))
    assert told(outcome, "now") == "another release that is not named, all of the last 20"
    assert headline(outcome) == "v43 never answered; another release that is not named answers."


def test_an_instance_that_has_been_replaced_is_not_left_behind() -> None:
    vm1, vm2 = (replace(OLD, instance=name) for name in ("vm1", "vm2"))
    outcome = went(
        lambda number: vm2 if number % 2 else vm1 if number < 50 else replace(NEW, instance="vm1")
    )
    assert next_step(outcome).endswith("which instances are left behind (v42 on vm2).")


def test_a_rollback_is_told_as_one() -> None:
    outcome = went(lambda number: NEW if 50 <= number < 53 else OLD)
    assert headline(outcome) == "v43 answered, but now v42 answers."
    assert "rolled back" in next_step(outcome)
    assert "v43 first answered after 0.50 s and last after 0.52 s, " in told(outcome, "switch")
    assert told(outcome, "switch").endswith("both answered for 0.02 s")


def test_a_release_that_was_there_and_went_is_told_with_the_outage_that_it_left() -> None:
    outcome = went(
        lambda number: NEW if number < 50 else DEAD if number < 70 else OLD, consecutive=99
    )
    assert headline(outcome) == "v43 answered, but now v42 answers."
    assert told(outcome, "switch").endswith("nobody for 0.21 s in between")
    assert "both answer" not in told(outcome, "switch")
    assert ">nobody answers, 0.2 s<" in rendered(outcome, "html")


FAILED = {
    "the old one answers": (
        lambda _: OLD,
        "The deploy failed, and v42 answers: nothing has switched.",
        "The deploy failed; see its output. v42 answers now.",
    ),
    "nobody answers": (
        then(130, OLD, DEAD),
        "The deploy failed, and nobody answers.",
        f"The deploy failed; see its output. {OUTAGE}",
    ),
    "the new one answers": (
        then(110, OLD, NEW),
        "The deploy failed, and v43 answers.",
        "The deploy failed; see its output. v43 answers now.",
    ),
}


@pytest.mark.parametrize(("pick", "first", "step"), FAILED.values(), ids=FAILED)
def test_a_command_that_failed_comes_first_and_then_who_answers_now(
    pick: Pick, first: str, step: str
) -> None:
    outcome = went(pick, Command(code=3), deadline=2.5)
    assert outcome.exit_code is ExitCode.COMMAND_FAILED
    assert outcome.problems[0][1] == "The command 'deploy' failed with exit code 3."
    assert (headline(outcome), next_step(outcome)) == (first, step)


def test_a_command_that_was_stopped_is_looked_after_before_the_next_run() -> None:
    outcome = went(lambda _: OLD, Command(seconds=60.0))
    assert headline(outcome).startswith("The deploy was stopped half-way, and v42 answers")
    assert "look what it has left before you run it again" in next_step(outcome)


@pytest.mark.parametrize(
    ("after", "option"), [(0.3, "--after-command"), (None, "--deadline")], ids=["bound", "free"]
)
def test_more_time_is_asked_for_with_the_option_that_bounds_it(
    after: float | None, option: str
) -> None:
    for pick in (lambda _: OLD, lambda number: NEW if number > 130 else OLD):
        outcome = went(pick, Command(seconds=0.1), consecutive=99, after_command=after)
        assert outcome.exit_code in (ExitCode.OTHER_RELEASE, ExitCode.MIXED)
        assert next_step(outcome).endswith(f" {option}.")


INTERRUPTED = {
    "failed": (3, False, "The deploy failed; see its output. v42 answers now."),
    "stopped": (143, True, "The deploy was stopped half-way: look what it has left before"),
    "ended well": (
        *(0, False),
        "The deploy has ended well, and only the watch was cut short: `petsage smoke-test "
        "http://app.example --expect-release v43` tells whether it took.",
    ),
}


@pytest.mark.parametrize(("code", "cut_short", "step"), INTERRUPTED.values(), ids=INTERRUPTED)
def test_who_interrupts_a_run_is_told_what_came_of_the_command(
    code: int, cut_short: bool, step: str
) -> None:
    outcome = went(lambda _: OLD, Command(code=code), deadline=2.5)
    assert outcome.deploy is not None
    outcome.deploy.cut_short = cut_short
    outcome.problems = [(ExitCode.INTERRUPTED, "Interrupted by SIGINT.")]
    assert next_step(outcome).startswith(step)
    assert "Nothing is proved" not in next_step(outcome)


def test_a_run_without_a_command_that_is_interrupted_proves_nothing() -> None:
    outcome = went(lambda _: OLD)
    outcome.problems = [(ExitCode.INTERRUPTED, "Interrupted by SIGINT.")]
    assert next_step(outcome) == "Nothing is proved. Run it again to its end."


def broken(failure: Failure, **changes: Any) -> Fact:
    return replace(DEAD, failure=failure, **changes)


NEVER = {
    "dns": (broken(Failure.DNS), "look at DNS"),
    "refused": (DEAD, "Nothing listens there"),
    "no route": (
        broken(Failure.REFUSED, detail="no connection: No route to host"),
        "the firewall",
    ),
    "reset": (lost(), "does the process crash"),
    "it takes connections": (
        broken(Failure.TIMEOUT, phases={"connect": 0.1, "write": 0.1, "wait": 9.0}),
        "is the process stuck?",
    ),
    "nothing takes a connection": (
        broken(Failure.TIMEOUT, phases={"connect": 9.0}),
        "the firewall",
    ),
    "tls": (broken(Failure.TLS), "TLS fails"),
    "a certificate": (broken(Failure.TLS, untrusted=True), "The certificate does not verify"),
    "a proxy's 503": (broken(Failure.SERVER_ERROR, status=503), "before the service answers 503"),
    "its own 500": (
        broken(Failure.SERVER_ERROR, status=500, worker="w1"),
        "PetSage itself answers 500",
    ),
    "429": (broken(Failure.OTHER_STATUS, status=429), "limits the rate"),
    "a page": (PAGE, "Check the URL"),
    "a redirect": (broken(Failure.OTHER_STATUS, status=301), "Check the URL"),
}


@pytest.mark.parametrize(("one", "step"), NEVER.values(), ids=NEVER)
def test_what_to_do_about_a_service_that_never_answered_follows_the_class(
    one: Fact, step: str
) -> None:
    outcome = went(lambda _: one, deadline=0.2)
    outcome.problems = [(ExitCode.UNREACHABLE, "It is so.")]
    assert step in next_step(outcome)


def test_a_parking_page_and_a_bad_certificate_are_not_told_as_an_outage() -> None:
    page = went(lambda _: PAGE, deadline=0.2)
    assert (page.exit_code, headline(page)) == (3, "Something answers there, but not PetSage.")
    bad = went(
        lambda _: broken(Failure.TLS, untrusted=True, detail="the certificate does not verify: x"),
        deadline=0.2,
    )
    assert (bad.exit_code, headline(bad)) == (
        3,
        "PetSage never answered: the certificate does not verify.",
    )
    assert bad.problems[0][1] == (
        "PetSage never answered within 0.2 s: the certificate does not verify: x."
    )


def test_a_service_that_does_not_know_its_release_is_not_waited_for() -> None:
    outcome = went(lambda _: UNKNOWN, deadline=0.5)
    assert outcome.exit_code is ExitCode.OTHER_RELEASE
    assert next_step(outcome).startswith("Set PETSAGE_RELEASE there (or its like) and restart")
    assert "onger" not in next_step(outcome)


def test_an_outage_that_is_open_at_the_end_counts_for_the_gap() -> None:
    pick = then(20, OLD, DEAD)
    assert went(pick, deadline=1.0, budget=Budget(90)).problems[1:] == []
    outcome = went(pick, deadline=1.0, budget=Budget(90, max_gap=0.5))
    code, sentence = outcome.problems[1]
    assert code is ExitCode.OVER_BUDGET
    assert sentence.startswith("No ping succeeded for 0.80 s, 0.2 s after the start and none has")
    assert outcome.record.longest_gap_s is not None
    assert outcome.record.longest_gap_s < 0.1
    assert told(outcome, "gap").endswith("; 0.80 s at the end, and still open")
    page = rendered(outcome, "html")
    assert ">nobody answers, 0.8 s and on<" in page
    bands = [part.split('"/>')[0] for part in page.split('<rect class="band" ')[1:]]
    assert len(bands) == 2
    # To the right edge of the wide picture, 20 pixels from its side.
    x, width = (float(bands[0].split(f'{name}="')[1].split('"')[0]) for name in ("x", "width"))
    assert x + width == 740


def test_a_release_that_answered_before_the_command_was_started_was_there_already() -> None:
    outcome = went(lambda _: NEW, Command(), deadline=3.0, budget=Budget(require_switch=True))
    assert outcome.exit_code is ExitCode.OVER_BUDGET
    assert outcome.problems[0][1].endswith(
        "v43 answered before the command was started: it was deployed already, or the release's "
        "name did not change."
    )
    assert "give each release a name of its own" in next_step(outcome)
