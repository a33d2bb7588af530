"""The exit code says what is true at the end of the run, and one code goes before another."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from tests.client.fleets import (
    HIDDEN,
    NEW,
    OLD,
    Crashing,
    alternating,
    login,
    page,
    resets,
    switching,
    then,
)
from tests.client.runs import petsage, rollout, smoke_test
from tests.client.servers import Fleet, Received, Respond, constant, serving
from tests.running import free_port

pytestmark = pytest.mark.contract

BOTH = pytest.mark.parametrize("command", ["smoke-test", "rollout"])
ROUTER_PAGE = constant(503, b"<h1>Application error</h1>", Content_Type="text/html")


def code_of(command: str, url: str) -> int:
    """Return the exit code of a run that sees five pings fail, over more than three seconds."""
    if command == "smoke-test":
        return smoke_test(url, "--expect-release", "v43", "--wait", 4, "--timeout", 0.5).code
    return rollout(url, "--deadline", 4.5, "--timeout", 0.5, "--rate", 10).code


@BOTH
def test_a_new_release_that_crashes_at_boot_is_down(command: str) -> None:
    crashing = Crashing(2, OLD)
    with serving(crashing) as server:
        crashing.server = server
        assert code_of(command, server.url) == 3


@BOTH
@pytest.mark.parametrize("before", [OLD, NEW, NEW.broken], ids=["old", "new", "wrong"])
def test_a_routers_page_at_the_end_is_down_whatever_responded_before(
    command: str, before: Respond
) -> None:
    if command == "rollout" and before is NEW.broken:
        pytest.skip("a rollout that has seen it wrong need not wait until it is down")
    with serving(then(1, before, ROUTER_PAGE)) as server:
        assert code_of(command, server.url) == 3


def test_an_outage_that_is_over_at_the_end_is_not_down() -> None:
    fleet = Fleet(lambda number: OLD if number < 10 else resets if number < 25 else NEW)
    with serving(fleet) as server:
        done = rollout(server.url)
    assert (done.code, done.report["pings"]["failed"]) == (7, {"reset": 15})


def test_one_500_of_the_old_release_is_an_interruption() -> None:
    with serving(then(3, alternating(NEW, OLD.broken, NEW), NEW)) as server:
        done = smoke_test(server.url, "--expect-release", "v43", "--consecutive", 5)
    assert done.code == 0
    assert done.report["streak"]["interruptions"] == 1


def test_one_500_of_the_new_release_that_is_over_at_the_end_is_asked_once_more() -> None:
    with serving(then(3, alternating(NEW, NEW.broken, NEW), NEW)) as server:
        done = smoke_test(server.url, "--expect-release", "v43", "--consecutive", 5)
    assert done.code == 0
    assert done.report["streak"]["interruptions"] == 1


def test_a_500_while_the_new_release_starts_is_waited_out() -> None:
    with serving(then(2, NEW.broken, NEW)) as server:
        assert smoke_test(server.url, "--consecutive", 2).code == 0


@pytest.mark.parametrize("hidden", [False, True], ids=["named", "hidden"])
def test_an_incorrect_response_of_a_worker_that_is_in_the_streak_is_the_releases_own(
    hidden: bool,
) -> None:
    instance = HIDDEN if hidden else NEW
    with serving(then(8, instance, instance.broken)) as server:
        done = smoke_test(server.url, "--expect-release", "v43", "--wait", 1)
    assert done.code == 1


def test_an_incorrect_response_of_nobody_known_is_no_reason_to_roll_back() -> None:
    stranger = HIDDEN.named(worker="w9")
    with serving(alternating(HIDDEN, HIDDEN, HIDDEN, stranger.broken)) as server:
        done = smoke_test(server.url, "--expect-release", "v43", "--wait", 1)
    assert done.code == 5


def test_a_login_in_front_of_the_old_release_is_not_reached_at_the_end() -> None:
    with serving(then(1, OLD, login)) as server:
        done = smoke_test(server.url, "--expect-release", "v43", "--wait", 4)
    assert done.code == 9


BROKEN: dict[str, tuple[str, Respond]] = {
    "reset": ("reset", resets),
    "proxy's 5xx": ("5xx", constant(502)),
    "old one's own 500": ("5xx", OLD.broken),
    "new one's own 500": ("5xx", NEW.broken),
    "own 404": ("other status", lambda request, _: OLD.problem(request, "not-found")),
    "page": ("not the service", page),
    "login": ("other status", login),
    "wrong pong": ("wrong pong", lambda request, _: NEW.pong(request, "another")),
    "timeout": ("timeout", lambda _request, connection: connection.recv(1) and None),
}


@pytest.mark.parametrize(("failure", "respond"), BROKEN.values(), ids=BROKEN.keys())
def test_one_ping_that_fails_at_the_switch_and_is_over_at_the_end_is_over_budget(
    failure: str, respond: Respond
) -> None:
    with serving(switching(10, respond)) as server:
        done = rollout(server.url, "--timeout", 1)
    assert (done.code, done.report["pings"]["failed"]) == (7, {failure: 1})
    assert [one["class"] for one in done.report["failures"]] == [failure]


# Which of two codes that both hold is reported: 8, 3, 1, 9, 4, 5, 6, 7.


def test_usage_goes_before_a_command_that_fails(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    with serving(NEW) as server:
        done = petsage(
            *("rollout", server.url, "--expect-release", "v43", "--rate", 0),
            *("--", "touch", ran),
        )
    assert (done.code, server.requests, ran.exists()) == (2, [], False)


def test_a_command_that_failed_goes_before_down(tmp_path: Path) -> None:
    failed = tmp_path / "failed"

    def respond(request: Received, connection: socket.socket) -> bytes | None:
        return (resets if failed.exists() else OLD)(request, connection)

    with serving(respond) as server:
        done = rollout(
            *(server.url, "--deadline", 6, "--rate", 20),
            *("--", "sh", "-c", f"touch {failed}; exit 3"),
        )
    assert (done.code, done.report["command"]["exit_code"]) == (8, 3)
    assert "respon" in done.report["headline"]


def test_a_command_that_was_not_started_goes_before_down(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    url = f"http://127.0.0.1:{free_port()}"
    done = rollout(url, "--deadline", 3.7, "--rate", 10, "--", "touch", ran)
    assert (done.code, ran.exists()) == (8, False)
    assert done.report["command"]["started"] in (False, None)
    assert done.report["command"]["exit_code"] is None
    assert "respon" in done.report["headline"]


def test_wrong_goes_before_not_reached() -> None:
    with serving(alternating(NEW, NEW.broken, page)) as server:
        done = smoke_test(server.url, "--expect-release", "v43", "--wait", 5)
    assert done.code == 1


def test_old_goes_before_a_dead_address_and_before_instances_that_are_missing() -> None:
    with serving(OLD) as server:
        dead = f"127.0.0.2:{server.port}"
        for more in (
            ("--address", server.address, "--address", dead),
            ("--instances", 2),
        ):
            done = smoke_test(server.url, "--expect-release", "v43", "--wait", 0.6, *more)
            assert done.code == 4


def test_unproved_goes_before_a_log_line_that_is_missing(tmp_path: Path) -> None:
    log = tmp_path / "empty.log"
    log.touch()
    logs = ("--logs", log, "--logs-within", 0.3)
    with serving(NEW) as server:
        unproved = smoke_test(server.url, "--instances", 2, "--wait", 0.5, *logs)
    with serving(accepting_null) as server:
        wrong = smoke_test(server.url, *logs)
    assert (unproved.code, wrong.code) == (5, 1)


def accepting_null(request: Received, _: socket.socket) -> bytes:
    """Respond as a service whose validation lets a null through."""
    try:
        null = json.loads(request.body) == {"ping": None}
    except ValueError:
        null = False
    return NEW.pong(request, "x") if null else NEW(request)


def test_unproved_goes_before_a_budget() -> None:
    with serving(Fleet(lambda number: resets if number == 5 else (NEW, OLD)[number % 2])) as server:
        done = rollout(server.url, "--deadline", 1, "--consecutive", 20)
    assert done.code == 5
    assert done.report["pings"]["failed"] == {"reset": 1}
