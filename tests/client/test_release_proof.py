"""The release proof against real sockets: fleets that are old, mixed, hidden, small or flaky."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable

import pytest

from tests.client.runs import smoke_test
from tests.client.servers import Fleet, Instance, Received, Respond, http, serving

NEW = Instance()
OLD = Instance(release="v42", instance="web.2", worker="w2")


def until(seconds: float, before: Respond, after: Respond) -> Respond:
    """Answer as `before` for so long from the first request on, then as `after`."""
    began: list[float] = []

    def respond(request: Received, connection: socket.socket) -> bytes | None:
        began.append(time.monotonic())
        chosen = before if began[-1] - began[0] < seconds else after
        return chosen(request, connection)

    return respond


def alternating(*instances: Instance) -> Fleet:
    return Fleet(lambda number: instances[number % len(instances)])


@pytest.mark.parametrize("ignores", [False, True], ids=["412", "200 that names itself"])
def test_the_old_release_alone_is_4(ignores: bool) -> None:
    with serving(OLD.named(ignores_expect=ignores)) as server:
        done = smoke_test(server.url, "--expect-release", "v43", "--wait", 1)
    assert (done.code, done.report["verdict"]) == (4, "other-release")
    assert set(done.report["releases"]) == {"v42"}
    assert done.report["row"]["excluded_share"] is None


def test_a_service_that_does_not_know_its_release_is_4_and_told_what_it_lacks() -> None:
    with serving(OLD.named(release=None)) as server:
        done = smoke_test(server.url, "--expect-release", "v43", "--wait", 0.5)
    assert done.code == 4
    assert "set PETSAGE_RELEASE there" in done.report["problems"][0]


@pytest.mark.parametrize("ignores", [False, True], ids=["412", "200 that names itself"])
def test_a_tenth_of_a_round_robin_fleet_old_is_5(ignores: bool) -> None:
    old = OLD.named(ignores_expect=ignores)
    with serving(Fleet(lambda number: NEW if number % 10 else old)) as server:
        done = smoke_test(server.url, "--expect-release", "v43", "--wait", 3)
    assert (done.code, done.report["verdict"]) == (5, "mixed")
    assert done.report["row"]["breaks"] > 3


def test_old_for_three_seconds_and_then_new_passes() -> None:
    with serving(until(3, OLD, NEW)) as server:
        done = smoke_test(server.url, "--expect-release", "v43")
    assert done.code == 0
    assert 3 < done.report["elapsed_s"] < 10
    assert done.report["row"] == {
        "needed": 20,
        "reached": 20,
        "breaks": 0,
        "excluded_share": 0.14,
    }


def test_half_old_for_two_seconds_and_then_none_passes_with_a_longer_row() -> None:
    with serving(until(2, alternating(NEW, OLD), NEW)) as server:
        done = smoke_test(server.url, "--expect-release", "v43")
    assert done.code == 0
    row = done.report["row"]
    assert row["needed"] > 20
    assert row["reached"] == row["needed"]
    assert row["excluded_share"] > 0.14
    assert any("broke" in one for one in done.report["warnings"])


def test_a_412s_retry_after_is_not_for_this_client() -> None:
    with serving(alternating(NEW, NEW, OLD)) as server:
        done = smoke_test(server.url, "--expect-release", "v43", "--wait", 1.5)
    assert done.report["row"]["breaks"] > 5


def test_the_answer_that_ends_the_waiting_does_not_count() -> None:
    with serving(NEW) as server:
        assert smoke_test(server.url, "--expect-release", "v43").report["pings"]["sent"] == 21
        assert smoke_test(server.url).report["pings"]["sent"] == 3


def test_a_commits_beginning_is_enough() -> None:
    commit = "0f9a3b7c" * 5
    with serving(NEW.named(commit=commit)) as server:
        assert smoke_test(server.url, "--expect-release", commit[:7].upper()).code == 0
        assert smoke_test(server.url, "--expect-release", commit[:6], "--wait", 1).code == 4


def test_two_releases_without_an_expectation_pass_with_a_warning() -> None:
    with serving(alternating(NEW, OLD)) as server:
        done = smoke_test(server.url)
    assert done.code == 0
    assert "more than one release" in done.report["warnings"][0]


def test_fewer_instances_than_asked_is_5() -> None:
    with serving(NEW) as server:
        done = smoke_test(server.url, "--instances", 2, "--wait", 1)
    assert done.code == 5
    assert "1 distinct instance of the 2" in done.report["problems"][0]


def test_hidden_instances_can_not_be_counted_and_are_5() -> None:
    with serving(NEW.named(hidden=True)) as server:
        done = smoke_test(server.url, "--instances", 1, "--wait", 1)
    assert (done.code, done.report["instances"]) == (5, {})


def test_ten_instances_of_a_random_fleet_of_ten_are_found() -> None:
    draw = random.Random(3)
    fleet = [NEW.named(instance=f"web.{n}", worker=f"w{n}") for n in range(10)]
    with serving(Fleet(lambda _: draw.choice(fleet))) as server:
        for _ in range(3):
            done = smoke_test(server.url, "--expect-release", "v43", "--instances", 10)
            assert (done.code, len(done.report["instances"])) == (0, 10)


HIDDEN = NEW.named(hidden=True)
HIDDEN_OLD = OLD.named(hidden=True)


def test_a_hidden_release_is_proved_by_what_its_workers_refuse() -> None:
    with serving(alternating(HIDDEN, HIDDEN.named(worker="w3"))) as server:
        done = smoke_test(server.url, "--expect-release", "v43")
        controls = [one for one in server.pings if (one.expects or "").startswith("no-release-")]
    assert done.code == 0
    assert len(controls) >= 2
    assert set(done.report["releases"]) == {"v43"}


def test_a_hidden_worker_that_goes_away_within_the_row_is_outlived() -> None:
    with serving(Fleet(lambda n: HIDDEN.named(worker="w9") if n == 5 else HIDDEN)) as server:
        assert smoke_test(server.url, "--expect-release", "v43").code == 0


def test_a_hidden_old_release_is_4() -> None:
    with serving(HIDDEN_OLD) as server:
        done = smoke_test(server.url, "--expect-release", "v43", "--wait", 1)
    assert done.code == 4


def test_a_hidden_fleet_that_is_mixed_is_5() -> None:
    with serving(alternating(HIDDEN, HIDDEN_OLD)) as server:
        done = smoke_test(server.url, "--expect-release", "v43", "--wait", 1)
    assert done.code == 5


@pytest.mark.parametrize(
    "pick",
    [
        lambda _: HIDDEN.named(ignores_expect=True),
        lambda number: HIDDEN.named(ignores_expect=True, worker="w9") if number % 2 else HIDDEN,
    ],
    ids=["all", "one worker of two"],
)
def test_who_compares_nothing_and_names_nothing_never_passes(
    pick: Callable[[int], Respond],
) -> None:
    with serving(Fleet(pick)) as server:
        done = smoke_test(server.url, "--expect-release", "v43", "--wait", 2)
    assert done.code == 1
    assert "Expect-Release" in done.report["problems"][0]


def test_a_worker_that_never_meets_the_control_leaves_the_row_unproved() -> None:
    # The balancer sends what expects v43 to one worker, and all else to another.
    def split(request: Received, connection: socket.socket) -> bytes:
        here = HIDDEN if request.expects == "v43" else HIDDEN.named(worker="w3")
        return here(request, connection)

    with serving(split) as server:
        done = smoke_test(server.url, "--expect-release", "v43", "--wait", 1)
    assert done.code == 5
    assert "nothing is proved" in done.report["problems"][0]


def test_a_proxy_that_drops_the_header_does_no_harm_where_the_release_is_named() -> None:
    with serving(alternating(NEW.named(ignores_expect=True))) as server:
        assert smoke_test(server.url, "--expect-release", "v43").code == 0


def test_a_412_from_the_very_release_asked_for_is_1() -> None:
    with serving(lambda request, _: NEW.problem(request, "release-mismatch")) as server:
        assert smoke_test(server.url, "--expect-release", "v43", "--wait", 5).code == 1


def test_a_cached_412_proves_nothing_of_a_worker() -> None:
    cached = HIDDEN.problem(Received("POST", "/", {}, b""), "release-mismatch")

    def respond(request: Received, connection: socket.socket) -> bytes:
        return HIDDEN(request) if request.expects == "v43" else cached

    with serving(respond) as server:
        assert smoke_test(server.url, "--expect-release", "v43", "--wait", 5).code == 1


@pytest.mark.parametrize("flake", [b"", http(502)], ids=["closed", "502"])
def test_one_transport_flake_in_the_middle_still_passes_with_a_warning(flake: bytes) -> None:
    with serving(Fleet(lambda n: (lambda *_: flake) if n == 10 else NEW)) as server:
        done = smoke_test(server.url, "--expect-release", "v43")
    assert (done.code, done.report["row"]["breaks"]) == (0, 0)
    assert done.report["pings"]["sent"] == 22
    assert "1 ping failed" in done.report["warnings"][0]


def test_pages_of_something_else_between_right_answers_are_1() -> None:
    page = http(200, b"<p>Hello</p>", Content_Type="text/html")
    with serving(Fleet(lambda n: (lambda *_: page) if n % 4 == 1 else NEW)) as server:
        done = smoke_test(server.url, "--expect-release", "v43", "--wait", 2)
    assert done.code == 1


def test_a_service_that_goes_away_within_the_row_is_3() -> None:
    with serving(Fleet(lambda n: NEW if n < 10 else (lambda *_: b""))) as server:
        done = smoke_test(server.url, "--expect-release", "v43", "--wait", 2)
    assert done.code == 3
    assert done.report["row"]["reached"] == 9


def test_an_old_release_that_answers_a_refusal_is_5() -> None:
    def split(request: Received, connection: socket.socket) -> bytes:
        return (OLD if request.body == b"{}" else NEW)(request, connection)

    with serving(split) as server:
        done = smoke_test(server.url, "--expect-release", "v43")
    assert done.code == 5
