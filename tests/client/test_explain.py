"""What a run amounts to: the exit code by what is true at the end, and the words that matter.

Each case gives the names that its headline and next step must contain, not their phrases.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from petsage.client.explain import explain
from petsage.client.result import BadRequestOutcome, Failure, Outcome, PingResult
from petsage.client.run import Budget, LogResult, Run
from petsage.client.verdict import ExitCode
from tests.client.reported import Make, bad_request, command, run_of
from tests.client.results import (
    failed,
    incorrect,
    nameless,
    old,
    page,
    rate_limited,
    rejection,
    result,
)


def given(make: Callable[..., PingResult], **fields: Any) -> Make:
    """Return a maker of results with these fields."""
    return lambda **more: make(**fields | more)


def rollout(*makes: Make, **fields: Any) -> Run:
    return run_of(*makes, kind="rollout", **fields)


HERE, THERE = "127.0.0.1:8000", "127.0.0.2:8000"
BOTH = (HERE, THERE)
here, there = given(result, address=HERE), given(result, address=THERE)
unknown = given(old, release="unknown", commit="unknown")
cached = given(result, outcome=Outcome.CACHED, detail="a hit in X-Cache")
login = given(page, status=401, detail="401", remedy="Send credentials: -H.", permanent=True)
no_name = given(failed, outcome=Outcome.NOT_REACHED, failure=Failure.DNS, detail="no such name")
timeout = given(failed, failure=Failure.TIMEOUT, detail="no response in 10 s", latency_s=10.0)
slow = given(result, latency_s=2.0)
stripped = given(nameless, worker=None)
other_500 = given(incorrect, release=None, commit=None, worker="w9", log_id="id-of-the-log")

PASSED = [result] * 4
ACCEPTED, LOST = BadRequestOutcome.ACCEPTED, BadRequestOutcome.NOT_DELIVERED
OTHER = BadRequestOutcome.OTHER_RELEASE
NOT_FOUND_LOG = LogResult(found=False)
OTHER_LOG = LogResult(found=False, other_line=True)

CASES: dict[str, tuple[Run, int, list[str]]] = {
    "passed": (run_of(*PASSED), 0, ["v43"]),
    "passed, any release": (run_of(*PASSED, expected=None), 0, []),
    "taken over": (rollout(old, *PASSED), 0, ["v43"]),
    "interrupted": (run_of(old, interrupted_by="SIGINT"), 130, ["SIGINT", "v42"]),
    "interrupted, command stopped": (
        rollout(*PASSED, interrupted_by="SIGTERM", deploy=command(0, 0, 143, stopped=True)),
        130,
        ["SIGTERM"],
    ),
    "interrupted after the command": (
        rollout(*PASSED, interrupted_by="SIGINT", deploy=command(0, 0.1)),
        130,
        ["petsage smoke-test https://app.example --expect-release v43"],
    ),
    "interrupted, and the command had failed": (
        rollout(*PASSED, interrupted_by="SIGINT", deploy=command(0, 0.1, 3)),
        130,
        [],
    ),
    "command failed": (rollout(*[old] * 9, deploy=command(0.1, 0.2, 3)), 8, ["3", "v42"]),
    "command failed, and nothing responds": (
        rollout(old, *[failed] * 40, deploy=command(0.1, 0.2, 3)),
        8,
        ["nothing responds"],
    ),
    "command not started": (
        rollout(*[failed] * 40, deploy=command(None, None, None)),
        8,
        ["nothing responds"],
    ),
    "command can't be started": (
        rollout(*[old] * 9, deploy=command(0.1, 0.1, None, error="Permission denied")),
        8,
        ["Permission denied", "git"],
    ),
    "command stopped": (
        rollout(*[old] * 9, deploy=command(0.1, 0.2, 143, stopped=True)),
        8,
        ["--deadline", "900"],
    ),
    "never responded": (run_of(*[failed] * 9), 3, ["connection refused"]),
    "one ping that timed out": (run_of(timeout), 3, ["10 s"]),
    "down at the end": (run_of(result, *[failed] * 9), 3, ["v43"]),
    "crashes at boot": (run_of(*[old] * 5, *[failed] * 9), 3, ["v43"]),
    "crashes at boot, watched": (rollout(*[old] * 5, *[failed] * 40), 3, ["v43"]),
    "an outage of less than 3 s": (rollout(*[old] * 5, *[failed] * 20), 4, ["v42"]),
    "its own 500": (run_of(*[incorrect] * 5), 1, ["500 internal-error", "petsage-run-1"]),
    "half of its responses are 500": (run_of(*[result, incorrect] * 5), 1, ["500"]),
    "one 500 at the very end": (run_of(result, result, incorrect), 1, ["500"]),
    "one 500, then a correct response": (run_of(result, incorrect, result), 5, ["500"]),
    "two 500s of a rollout": (rollout(result, incorrect, incorrect, result), 1, ["500"]),
    "one 500 of a rollout": (rollout(result, result, incorrect), 5, ["500"]),
    "own 500s before it responds are over": (run_of(*[incorrect] * 5, *PASSED), 0, []),
    "a 500 that nobody owns": (run_of(result, other_500), 5, ["id-of-the-log"]),
    "any release's own 500": (run_of(other_500, expected=None), 1, []),
    "a bad request accepted": (
        run_of(*PASSED, bad_requests=[bad_request(), bad_request(ACCEPTED, got="200")]),
        1,
        ["null", "200", "422 validation-error"],
    ),
    "a login": (run_of(login), 9, ["401", "-H", "don't roll back"]),
    "a page": (run_of(*[page] * 9), 9, ["text/html", "don't roll back"]),
    "no such name": (run_of(*[no_name] * 9), 9, ["no such name", "DNS"]),
    "a page after correct responses": (run_of(*[result] * 3, *[page] * 9), 9, []),
    "old": (run_of(*[old] * 9), 4, ["v43", "v42", "60 s", "--wait"]),
    "old, watched": (rollout(*[old] * 9), 4, ["v42", "900 s", "--deadline"]),
    "old since the command": (
        rollout(result, *[old] * 9, deploy=command(0.1, 0.1), after_command=60),
        4,
        ["v42", "60 s", "--after-command"],
    ),
    "old, and no response since the command": (
        rollout(*[old] * 9, deploy=command(0.1, 5.0)),
        4,
        ["v43", "v42", "--deadline"],
    ),
    "a service that does not know its release": (
        run_of(*[unknown] * 9),
        4,
        ["The service does not know its release: set PETSAGE_RELEASE"],
    ),
    "another app that does not know its release": (
        run_of(*[given(unknown, worker=None)] * 9),
        4,
        ["The service does not know its release.", "Tell it"],
    ),
    "old, hidden": (run_of(*[given(nameless, outcome=Outcome.MISMATCH)] * 9), 4, ["v43"]),
    "half of the fleet is old": (run_of(*[result, old] * 9), 5, ["v43", "v42", "web.2"]),
    "rolled back": (run_of(*[result] * 3, *[old] * 12), 5, ["v43", "v42"]),
    "another release until recently": (
        run_of(*[result, old] * 9, *[result] * 11, consecutive=20),
        5,
        ["v43", "v42", "--wait"],
    ),
    "a stale address": (
        run_of(*[here, given(old, address=THERE)] * 9, addresses=BOTH),
        5,
        [THERE, "v42", "1 of 2 addresses"],
    ),
    "a dead address": (
        run_of(*[here, given(failed, address=THERE)] * 9, addresses=BOTH),
        5,
        [THERE, "connection refused"],
    ),
    "a rate limit at one address": (
        run_of(*[here, given(rate_limited, address=THERE)] * 9, addresses=BOTH),
        5,
        ["A rate limit", "429", "--interval"],
    ),
    "an address that was not pinged": (run_of(*[here] * 9, addresses=BOTH), 5, [THERE]),
    "an address that goes stale": (
        run_of(here, there, *[here, given(old, address=THERE)] * 9, addresses=BOTH),
        5,
        [THERE, "v42"],
    ),
    "an address that left the list": (run_of(*[here, there] * 4, addresses=(HERE,)), 0, []),
    "all addresses are stale": (
        run_of(given(old, address=HERE), given(old, address=THERE), addresses=BOTH),
        4,
        ["v42"],
    ),
    "too slow": (
        run_of(*[slow] * 6, consecutive=20, every_s=2.0),
        5,
        ["5 of 20", "10 s", "2.0 s", "--wait"],
    ),
    "too late": (
        run_of(*[old] * 20, *[result] * 5, consecutive=20),
        5,
        ["4 of 20", "0.4 s", "--wait"],
    ),
    "too flaky": (run_of(*[result, timeout] * 5, consecutive=20), 5, ["10 s", "5 of 10"]),
    "rate-limited": (
        run_of(*[result] * 6, *[given(rate_limited, retry_after_s=5.0)] * 9, consecutive=20),
        5,
        ["429", "5 of 20", "Retry-After 5 s", "--interval"],
    ),
    "rate-limited, watched": (
        rollout(*[result] * 6, *[rate_limited] * 3, consecutive=20),
        5,
        ["429", "--rate"],
    ),
    "rate-limited from the start": (run_of(*[rate_limited] * 9), 5, ["429"]),
    "only a cache": (run_of(*[cached] * 9), 5, ["X-Cache"]),
    "something else at times": (run_of(*[result, page] * 9), 5, ["text/html"]),
    "instances are missing": (run_of(*[result] * 9, instances=2), 5, ["1 of 2", "web.1"]),
    "instances are hidden": (
        run_of(*[nameless] * 9, expected=None, instances=2),
        5,
        ["PETSAGE_DISCLOSE_RELEASE"],
    ),
    "nothing proves the release": (run_of(*[nameless] * 9), 5, ["Expect-Release"]),
    "a bogus release is served": (
        run_of(*[*[nameless] * 4, given(nameless, bogus=True)] * 2),
        5,
        ["Expect-Release"],
    ),
    "bogus pings that nothing identifies": (
        run_of(*[stripped] * 4, given(rejection, worker=None)),
        5,
        ["Expect-Release"],
    ),
    "no ping since the command": (
        rollout(*[result] * 9, deploy=command(0.1, 5.0)),
        5,
        ["v43 responded, but the run ended with the command", "--deadline"],
    ),
    "a command that fails, and a new release that responds incorrectly": (
        rollout(*[old] * 20, *[given(incorrect, release="v43")] * 5, deploy=command(0.1, 0.2, 3)),
        8,
        ["v43 responds incorrectly"],
    ),
    "no response since the command": (
        rollout(*[result] * 9, failed, deploy=command(0.1, 0.85)),
        5,
        ["v43", "--deadline"],
    ),
    "no bad request arrives": (
        run_of(*PASSED, bad_requests=[bad_request(LOST, got="403")] * 3),
        5,
        ["403", "--no-bad-requests"],
    ),
    "bad requests rejected by another release": (
        run_of(*PASSED, bad_requests=[bad_request(), bad_request(OTHER, release="v42")]),
        5,
        ["v42"],
    ),
    "log line missing": (
        run_of(*PASSED, log=NOT_FOUND_LOG, logs_within=7.0),
        6,
        ["7 s", "--logs-within", "https://app.example/smoke-test"],
    ),
    "log line of something else": (run_of(*PASSED, log=OTHER_LOG), 6, ["only"]),
    "a failed ping": (rollout(old, failed, *PASSED), 7, ["1 of 6", "refused 1"]),
    "a gap": (
        rollout(old, failed, failed, *PASSED, budget=Budget(max_failures=9, max_gap=0.2)),
        7,
        ["0.30 s", "0.2 s (--max-gap)"],
    ),
    "a slow response": (
        rollout(old, slow, *PASSED, budget=Budget(max_latency=1.5)),
        7,
        ["2 s", "1.5 s (--max-latency)"],
    ),
    "no switch": (rollout(*PASSED, budget=Budget(require_switch=True)), 7, ["v43"]),
    "the same workers after the command": (
        rollout(*[result] * 9, deploy=command(0.2, 0.3), budget=Budget(require_switch=True)),
        7,
        ["v43"],
    ),
    "other workers after the command": (
        rollout(
            *[result] * 3,
            *[given(result, worker="w8")] * 9,
            deploy=command(0.2, 0.3),
            budget=Budget(require_switch=True),
        ),
        0,
        [],
    ),
    "a dead address fails no ping of the switch": (
        rollout(*[here, given(failed, address=THERE)] * 9, addresses=(HERE,)),
        0,
        [],
    ),
}


@pytest.mark.parametrize(("run", "code", "words"), CASES.values(), ids=CASES.keys())
def test_what_a_run_amounts_to(run: Run, code: int, words: list[str]) -> None:
    explanation = explain(run)
    told = f"{explanation.headline} {explanation.what_next}"
    assert explanation.exit_code == code, told
    assert [word for word in words if word not in told] == [], told
    assert explanation.headline.endswith(".")
    if code:
        assert explanation.problems[0][:2] == (code, explanation.headline)
        assert explanation.what_next.endswith(".")
    else:
        assert (explanation.problems, explanation.what_next) == ([], "")


def test_every_exit_code_of_a_run_has_a_case() -> None:
    codes = {code for _, code, _ in CASES.values()}
    assert codes == set(ExitCode) - {ExitCode.USAGE, ExitCode.INTERNAL}


def test_equal_causes_are_one_line() -> None:
    accepted = [bad_request(ACCEPTED, name, "200") for name in ("null", "number", "missing")]
    accepted.append(replace(bad_request(ACCEPTED, "huge", "200"), expected="413 body-too-large"))
    explanation = explain(run_of(*PASSED, bad_requests=accepted))
    assert len(explanation.problems) == 1
    assert all(one.name in explanation.headline for one in accepted)
    assert "413 body-too-large for huge" in explanation.headline

    lost = [bad_request(LOST, name, "a reset") for name in ("null", "number")]
    explanation = explain(run_of(*switched, bad_requests=[bad_request(), *lost]))
    assert ["null, number (a reset)" in one for one in explanation.warnings] == [True]


def test_what_decides_comes_first_and_the_rest_is_kept() -> None:
    run = rollout(*[old] * 9, failed, deploy=command(0.1, 0.2, 3))
    assert [problem.code for problem in explain(run).problems] == [8, 4, 7]


switched = (old, *PASSED)
WARNED: dict[str, tuple[Run, list[list[str]]]] = {
    "none": (run_of(*switched), []),
    "of the network": (run_of(*switched, warnings=["No route for IPv6."]), [["IPv6"]]),
    "responded to the first ping": (run_of(*PASSED), [["v43", "first ping"]]),
    "headers removed or replaced": (
        run_of(
            old,
            *[given(result, lost_headers=frozenset({"X-Request-ID", "Cache-Control"}))] * 4,
        ),
        [["Cache-Control"], ["X-Request-ID"]],
    ),
    "clock ahead": (run_of(old, *[given(result, skew_s=60.0)] * 4), [["clock", "60.0 s ahead"]]),
    "clock behind": (run_of(old, *[given(result, skew_s=-9.0)] * 4), [["clock", "behind"]]),
    "a ping that failed": (run_of(old, failed, *PASSED), [["1 ping failed", "refused 1"]]),
    "an interruption": (run_of(result, old, *[result] * 9), [["first"], ["interrupted 1 time"]]),
    "two releases": (run_of(old, *PASSED, expected=None), [["v42 1", "v43 4"]]),
    "cached responses": (run_of(old, cached, *PASSED), [["1 response", "X-Cache"]]),
    "bad requests lost": (
        run_of(*switched, bad_requests=[bad_request(), bad_request(LOST, "huge", "a reset")]),
        [["huge (a reset)"]],
    ),
    "a log line in pieces": (
        run_of(*switched, log=LogResult(found=True, late_s=0.1, complete=False)),
        [["JSON"]],
    ),
    "no switch": (rollout(*PASSED), [["No switch"]]),
    "pings late and in flight": (
        rollout(*switched, most_late_s=0.5, in_flight=2),
        [["0.50 s"], ["2 pings"]],
    ),
}


@pytest.mark.parametrize(("run", "expected"), WARNED.values(), ids=WARNED.keys())
def test_a_warning_is_one_line(run: Run, expected: list[list[str]]) -> None:
    explanation = explain(run)
    assert explanation.exit_code == 0
    assert len(explanation.warnings) == len(expected), explanation.warnings
    for warning, words in zip(explanation.warnings, expected, strict=True):
        assert all(word in warning for word in words), warning


def test_a_pause_is_told() -> None:
    run = rollout(*switched)
    run.history.pause(run.started_at, run.started_at + 30)
    assert any("30.0 s" in one for one in explain(run).warnings)
