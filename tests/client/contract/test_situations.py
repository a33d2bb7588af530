"""What responds decides the exit code, the same for both commands (DESIGN 3.1)."""

from __future__ import annotations

import json
import socket
import time

import pytest

from petsage import contract
from tests.client.fleets import (
    HIDDEN,
    HIDDEN_OLD,
    NEW,
    OLD,
    alternating,
    login,
    page,
    stripped,
    then,
)
from tests.client.runs import Done, rollout, smoke_test
from tests.client.servers import Received, Respond, constant, is_ping, resets, serving, silent
from tests.running import free_port

pytestmark = pytest.mark.contract


def said(text: bytes) -> Respond:
    """Return a server that says this and hangs up, whatever it is asked."""
    return lambda _request, _connection: text


def with_members(**changes: object) -> Respond:
    """Respond as PetSage with these members of the pong instead; None leaves one out."""

    def respond(request: Received, _: socket.socket) -> bytes:
        if not is_ping(request):
            return NEW(request)
        body: dict[str, object] = {
            "status": "ok",
            "message": contract.SMOKE_TEST_MESSAGE,
            "pong": json.loads(request.body)["ping"],
            "timestamp": "2026-11-21T03:42:53.009378Z",
        }
        body |= changes
        return NEW.ok(request, {name: part for name, part in body.items() if part is not None})

    return respond


def as_html(request: Received, _: socket.socket) -> bytes:
    return NEW(request).replace(b"Content-Type: application/json", b"Content-Type: text/html")


def own(code: str) -> Respond:
    return lambda request, _connection: NEW.problem(request, code)


def cut_short(request: Received, _: socket.socket) -> bytes:
    return NEW(request)[:-5]


HTML = "text/html"

# Each with the words that the report must have: what came, and the remedy where it is known.
NOT_REACHED: dict[str, tuple[Respond, tuple[str, ...]]] = {
    "a 404 of something else": (page, ("404",)),
    "a parking page": (constant(200, b"<h1>For sale</h1>", Content_Type=HTML), ()),
    "a static server's 501": (constant(501, b"<h1>POST?</h1>", Content_Type=HTML), ("501",)),
    "HTML without a line end": (said(b"<html><body>Hello</body></html>"), ()),
    "SSH": (said(b"SSH-2.0-OpenSSH_9.9\r\n"), ()),
    "PetSage's own 404": (own("not-found"), ("404",)),
    "PetSage's own 405": (own("method-not-allowed"), ("405",)),
}
ENDS_AT_ONCE: dict[str, tuple[Respond, tuple[str, ...]]] = {
    "401": (login, ("401", "-H")),
    "403": (constant(403, b"no", Content_Type="text/plain"), ("403", "-H")),
    "407": (constant(407), ("407",)),
    "301": (constant(301, Location="https://app.example/"), ("301", "https://app.example/")),
    "302": (constant(302, Location="https://login.example/"), ("302", "login.example")),
    "307": (constant(307, Location="/elsewhere"), ("307",)),
    "308": (constant(308, Location="/elsewhere"), ("308",)),
}
DOWN: dict[str, tuple[Respond, str]] = {
    "502": (constant(502), "5xx"),
    "503 with a page": (constant(503, b"<h1>Application error</h1>", Content_Type=HTML), "5xx"),
    "504": (constant(504, Retry_After="1"), "5xx"),
    "silence": (silent, "timeout"),
    "a reset": (resets, "reset"),
    "closed without a word": (said(b""), "reset"),
    "a response cut short": (cut_short, "reset"),
}
WRONG: dict[str, Respond] = {
    "its own 500": NEW.broken,
    "half of its responses are its own 500": alternating(NEW, NEW.broken),
    "another pong": with_members(pong="something else"),
    "a member missing": with_members(status=None),
    "a member too many": with_members(extra="x"),
    "another message": with_members(message="Hello"),
    "another media type": as_html,
    "a 412 from the release that is asked for": own("release-mismatch"),
    "right at first, then its own 500": then(3, NEW, NEW.broken),
}
IS_OLD: dict[str, Respond] = {
    "rejects by 412": OLD,
    "takes no notice of Expect-Release": OLD.named(ignores_expect=True),
    "names nothing and rejects": HIDDEN_OLD,
    "behind a proxy that strips": stripped(OLD),
}
UNPROVEN: dict[str, Respond] = {
    "half of the fleet is old": alternating(NEW, OLD),
    "a tenth of the fleet is old": alternating(*[NEW] * 9, OLD),
    "half of a hidden fleet is old": alternating(HIDDEN, HIDDEN_OLD),
    "compares nothing and names nothing": HIDDEN.named(ignores_expect=True),
    "one of two compares nothing": alternating(
        HIDDEN, HIDDEN.named(ignores_expect=True, worker="w9")
    ),
    "the old one's own 500 every third time": alternating(NEW, NEW, OLD.broken),
    "rate-limited from the start": constant(429),
}

# Cases that differ in the response alone, which both commands judge alike: smoke-test has them.
JUDGED_ALIKE = {
    *("a 404 of something else", "HTML without a line end", "SSH", "PetSage's own 405"),
    *("a member missing", "a member too many", "another message", "another media type"),
    *("a 412 from the release that is asked for", "a tenth of the fleet is old"),
}

BOTH = pytest.mark.parametrize("command", ["smoke-test", "rollout"])


def cases(table: dict[str, object]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", table.values(), ids=table.keys())


def cases_of_both(table: dict[str, object]) -> pytest.MarkDecorator:
    """Give each case to smoke-test, and to rollout unless it is judged alike there."""
    return pytest.mark.parametrize(
        ("command", "case"),
        [
            pytest.param(command, case, id=f"{command}: {name}")
            for command in ("smoke-test", "rollout")
            for name, case in table.items()
            if command == "smoke-test" or name not in JUDGED_ALIKE
        ],
    )


def judged(command: str, url: str, *, seconds: float = 1.0) -> Done:
    """Ask for v43 for so many seconds."""
    if command == "smoke-test":
        asked = ("--expect-release", "v43", "--wait", seconds)
        return smoke_test(url, *asked, "--consecutive", 20, "--timeout", 0.5)
    return rollout(url, "--deadline", seconds, "--consecutive", 20, "--timeout", 0.5)


@cases_of_both(NOT_REACHED)
def test_something_else_responds(command: str, case: tuple[Respond, tuple[str, ...]]) -> None:
    respond, words = case
    with serving(respond) as server:
        done = judged(command, server.url, seconds=0.5)
    assert done.code == 9
    assert done.report["pings"]["ok"] == 0
    assert all(word in done.sentences for word in words)


@cases(ENDS_AT_ONCE)
def test_what_waiting_cannot_change_ends_a_smoke_test_at_once(
    case: tuple[Respond, tuple[str, ...]],
) -> None:
    respond, words = case
    with serving(respond) as server:
        done = smoke_test(server.url, "--expect-release", "v43", "--wait", 600)
    assert done.code == 9
    assert len(server.requests) == 1
    assert all(word in done.sentences for word in words)


def test_a_login_is_waited_out_by_a_rollout() -> None:
    with serving(login) as server:
        done = judged("rollout", server.url, seconds=0.5)
    assert done.code == 9
    assert done.report["pings"]["sent"] > 1
    assert "-H" in done.sentences


@cases(DOWN)
def test_no_response_although_the_address_is_routable(case: tuple[Respond, str]) -> None:
    respond, failure = case
    with serving(respond) as server:
        done = smoke_test(server.url, "--wait", 0.8, "--timeout", 0.3)
    assert done.code == 3
    assert list(done.report["pings"]["failed"]) == [failure]


@BOTH
def test_nothing_listens(command: str) -> None:
    # A rollout calls a service down after three seconds without a response.
    seconds = 0.7 if command == "smoke-test" else 3.7
    done = judged(command, f"http://127.0.0.1:{free_port()}", seconds=seconds)
    assert done.code == 3
    assert list(done.report["pings"]["failed"]) == ["refused"]


@cases_of_both(WRONG)
def test_the_expected_release_responds_incorrectly(command: str, case: Respond) -> None:
    with serving(case) as server:
        done = judged(command, server.url)
    assert done.code == 1


def test_without_an_expectation_whoever_responds_incorrectly_is_wrong() -> None:
    with serving(OLD.broken) as server:
        assert smoke_test(server.url, "--wait", 0.5).code == 1
    with serving(own("release-mismatch")) as server:
        assert smoke_test(server.url, "--wait", 0.5).code == 1


@cases_of_both(IS_OLD)
def test_another_release_responds(command: str, case: Respond) -> None:
    with serving(case) as server:
        done = judged(command, server.url)
    assert done.code == 4
    assert done.report["streak"]["excluded_share"] is None
    assert "v43" not in done.report["releases"]


@BOTH
def test_a_service_that_does_not_know_its_release_is_told_what_it_lacks(command: str) -> None:
    with serving(OLD.named(release=None)) as server:
        done = judged(command, server.url, seconds=0.5)
    assert done.code == 4
    assert "PETSAGE_RELEASE" in done.report["headline"]


@cases_of_both(UNPROVEN)
def test_not_all_is_proved(command: str, case: Respond) -> None:
    with serving(case) as server:
        done = judged(command, server.url)
    assert done.code == 5


@BOTH
def test_errors_of_a_release_that_is_not_known_are_no_interruption(command: str) -> None:
    with serving(HIDDEN.broken) as server:
        done = judged(command, server.url, seconds=0.5)
    assert done.code == 5
    assert done.report["streak"]["interruptions"] == 0
    assert "v43 did not respond correctly" in done.report["headline"]
    assert "interrupted" not in done.report["headline"]


@BOTH
def test_a_rate_limit_is_named_with_the_option_that_heeds_it(command: str) -> None:
    with serving(then(6, NEW, constant(429, Retry_After="60"))) as server:
        done = judged(command, server.url)
    assert done.code == 5
    assert "429" in done.sentences
    assert ("--interval" if command == "smoke-test" else "--rate") in done.report["what_next"]


def test_a_streak_that_takes_too_long_says_how_slow_the_responses_are() -> None:
    def slow(request: Received, connection: socket.socket) -> bytes:
        time.sleep(0.2)
        return NEW(request)

    with serving(slow) as server:
        done = smoke_test(server.url, "--expect-release", "v43", "--wait", 1.3)
    assert done.code == 5
    assert 0 < done.report["streak"]["reached"] < 20
    assert f"{done.report['streak']['reached']} of 20" in done.sentences
    assert "v42" not in done.sentences


def test_a_proxys_trouble_for_a_while_is_waited_out() -> None:
    for status in (404, 429, 502, 503, 504):
        with serving(then(1, constant(status), NEW)) as server:
            done = smoke_test(server.url, "--consecutive", 2)
        assert done.code == 0
        assert done.report["pings"]["sent"] == 3


def test_a_release_that_starts_within_wait_passes() -> None:
    with serving(then(2, OLD, NEW)) as server:
        done = smoke_test(server.url, "--expect-release", "v43")
    assert done.code == 0
    report = done.report
    assert (report["streak"]["needed"], report["streak"]["reached"]) == (20, 20)
    assert (report["streak"]["interruptions"], report["streak"]["excluded_share"]) == (0, 0.14)
    assert (report["pings"]["sent"], report["pings"]["failed"]) == (23, {})
    assert set(report["releases"]) == {"v42", "v43"}


def test_each_interruption_makes_the_streak_longer_and_is_reported() -> None:
    with serving(then(9, alternating(NEW, OLD, NEW), NEW)) as server:
        done = smoke_test(server.url, "--expect-release", "v43")
    assert done.code == 0
    streak = done.report["streak"]
    assert streak["interruptions"] == 3
    # 20 (1 + 2 ln 4 / ln 20), rounded up.
    assert (streak["needed"], streak["reached"]) == (39, 39)
    # 1 - (0.05 / (1 + 1/4 + 1/9 + 1/16)) ** (1/20), rounded up.
    assert streak["excluded_share"] == 0.16
    assert done.report["warnings"]


def test_a_commits_beginning_is_enough() -> None:
    commit = "0f9a3b7c" * 5
    with serving(NEW.named(commit=commit)) as server:
        fast = ("--consecutive", 2, "--no-bad-requests")
        assert smoke_test(server.url, "--expect-release", commit[:7].upper(), *fast).code == 0
        short = smoke_test(server.url, "--expect-release", commit[:6], *fast, "--wait", 0.3)
    assert short.code == 4


def test_one_transport_failure_neither_counts_nor_interrupts() -> None:
    for flake in (said(b""), constant(502)):
        with serving(then(5, NEW, then(1, flake, NEW))) as server:
            done = smoke_test(server.url, "--expect-release", "v43")
        assert (done.code, done.report["streak"]["interruptions"]) == (0, 0)
        assert (done.report["pings"]["sent"], done.report["pings"]["ok"]) == (22, 21)
        assert done.report["warnings"]


def test_two_releases_without_an_expectation_pass_with_a_warning() -> None:
    with serving(alternating(NEW, OLD)) as server:
        done = smoke_test(server.url)
    assert done.code == 0
    assert any("v42" in one and "v43" in one for one in done.report["warnings"])


@pytest.mark.parametrize("ahead", [-3600.0, 60.0], ids=["behind", "ahead"])
def test_a_clock_that_is_wrong_is_a_warning(ahead: float) -> None:
    with serving(NEW.named(clock_ahead=ahead)) as server:
        done = smoke_test(server.url)
    assert done.code == 0
    assert len(done.warnings_of("clock")) == 1


def test_the_same_release_from_the_first_ping_on_is_a_warning() -> None:
    with serving(NEW) as server:
        asked = ("--consecutive", 2, "--no-bad-requests")
        again = smoke_test(server.url, "--expect-release", "v43", *asked)
        unasked = smoke_test(server.url, *asked)
    with serving(then(1, OLD, NEW)) as server:
        switched = smoke_test(server.url, "--expect-release", "v43", *asked)
    assert [(run.code, len(run.report["warnings"])) for run in (again, unasked, switched)] == [
        (0, 1),
        (0, 0),
        (0, 0),
    ]
