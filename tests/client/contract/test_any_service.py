"""A service that is not PetSage, whose release is read from its responses (DESIGN 3.5)."""

from __future__ import annotations

import itertools
import json
import socket
from typing import Any

import pytest

from tests.client.contract.names import Names
from tests.client.fleets import alternating, login, resets
from tests.client.runs import Done, rollout, smoke_test
from tests.client.servers import (
    Fleet,
    Received,
    Respond,
    constant,
    http,
    serving,
    serving_at,
    silent,
)

pytestmark = pytest.mark.contract

BOTH = pytest.mark.parametrize("command", ["smoke-test", "rollout"])


def by_json(release: str, **headers: str) -> Respond:
    """Return a service that names its release in a JSON document."""
    body = json.dumps({"status": "up", "version": release, "build": {"sha": release}})
    return constant(200, body.encode(), Content_Type="application/json", **headers)


def fleet(*members: Respond) -> Fleet:
    """Return a fleet whose members respond in turn, to whatever is asked."""
    return Fleet(lambda number: members[number % len(members)], counts=lambda _: True)


def switching(at: int, before: Respond, after: Respond) -> Fleet:
    return Fleet(lambda number: before if number < at else after, counts=lambda _: True)


NEW, OLD = by_json("v43"), by_json("v42")


def asked(command: str, url: str, *more: object, seconds: float = 60) -> Done:
    if command == "smoke-test":
        return smoke_test(url, "--expect-release", "v43", "--wait", seconds, *more)
    return rollout(url, "--deadline", seconds, *more)


JSON = ("--release-json", "version")

PLACES: dict[str, tuple[Respond, tuple[str, str]]] = {
    "a member": (NEW, JSON),
    "a pointer": (NEW, ("--release-json", "/build/sha")),
    "a header": (constant(204, X_Release="v43"), ("--release-header", "x-release")),
    "a text": (
        constant(200, b"<meta name=release content=v43>", Content_Type="text/html"),
        ("--release-text", "content=(v[0-9]+)"),
    ),
}


@pytest.mark.parametrize(("respond", "place"), PLACES.values(), ids=PLACES.keys())
def test_the_release_is_read_from(respond: Respond, place: tuple[str, str]) -> None:
    with serving(respond) as server:
        url = f"{server.url}/health?full=1"
        new = smoke_test(url, "--expect-release", "v43", *place)
        other = smoke_test(url, "--expect-release", "v44", *place, "--wait", 0.4)
        requests = server.requests
    assert (new.code, other.code) == (0, 4)
    assert {(one.method, one.path, one.body) for one in requests} == {
        ("GET", "/health?full=1", b"")
    }
    assert {one.headers["cache-control"] for one in requests} == {"no-cache"}
    assert {one.expects for one in requests} == {"v43", "v44"}
    report = new.report
    assert (report["streak"]["reached"], report["streak"]["excluded_share"]) == (20, 0.14)
    assert (report["releases"]["v43"]["count"], report["bad_requests"]) == (21, [])
    # That nothing of PetSage's own is there is no warning.
    assert all("PetSage-" not in one for one in report["warnings"])


@pytest.mark.parametrize(
    ("shown", "expected", "code"),
    [
        ("0F9A3B7C", "0f9a3b7c0f9a3b7c", 0),
        ("0f9a3b7c0f9a3b7c", "0f9a3b7", 0),
        ("0f9a3b", "0f9a3b7c0f9a3b7c", 4),
        ("v4", "v43", 4),
        ("unknown", "v43", 4),
    ],
)
def test_of_two_commits_either_may_begin_the_other(shown: str, expected: str, code: int) -> None:
    with serving(by_json(shown)) as server:
        done = smoke_test(
            *(server.url, "--expect-release", expected, *JSON),
            *("--consecutive", 3, "--wait", 60 if code == 0 else 0.4),
        )
    assert done.code == code


@BOTH
def test_a_switch_from_the_old_release_to_the_new_one(command: str) -> None:
    with serving(switching(10, OLD, NEW)) as server:
        done = asked(command, server.url, *JSON)
    assert (done.code, set(done.report["releases"])) == (0, {"v42", "v43"})


@BOTH
def test_a_mixed_fleet_is_unproved(command: str) -> None:
    with serving(fleet(NEW, OLD)) as server:
        done = asked(command, server.url, *JSON, seconds=1)
    assert done.code == 5


def test_one_stale_instance_of_seven_never_passes() -> None:
    with serving(fleet(*[NEW] * 6, OLD)) as server:
        done = smoke_test(server.url, "--expect-release", "v43", *JSON, "--wait", 1.5)
    assert done.code == 5
    assert done.report["streak"]["interruptions"] > 0


@BOTH
def test_a_stale_address_is_named(command: str, names: Names) -> None:
    names.set("pets.example", ["127.0.0.1", "127.0.0.2"])
    with serving_at({"127.0.0.1": NEW, "127.0.0.2": OLD}) as servers:
        url = f"http://pets.example:{servers['127.0.0.1'].port}/health"
        more = ("--wait", 1) if command == "smoke-test" else ("--deadline", 1)
        if command == "smoke-test":
            done = smoke_test(url, "--expect-release", "v43", *JSON, *more, **names.environment)
        else:
            done = rollout(url, *JSON, *more, **names.environment)
        assert (done.code, servers["127.0.0.2"].address in done.sentences) == (5, True)


@BOTH
@pytest.mark.parametrize(
    "header",
    [
        {"Age": "31"},
        {"X_Cache": "Hit from cloudfront"},
        {"CF_Cache_Status": "HIT"},
        {"Cache_Status": "ExampleCache; hit; ttl=376"},
    ],
    ids=lambda one: next(iter(one)),
)
def test_cached_responses_alone_prove_nothing(command: str, header: dict[str, str]) -> None:
    with serving(by_json("v43", **header)) as server:
        done = asked(command, server.url, *JSON, seconds=0.5)
    assert done.code == 5
    assert next(iter(header)).replace("_", "-") in done.sentences


def test_a_cached_response_neither_counts_nor_interrupts() -> None:
    fresh = by_json("v43", Age="0", X_Cache="Miss from cloudfront", CF_Cache_Status="DYNAMIC")
    with serving(fleet(fresh, by_json("v42", Age="7"), fresh)) as server:
        done = smoke_test(server.url, "--expect-release", "v43", *JSON, "--consecutive", 4)
    assert (done.code, done.report["streak"]["interruptions"]) == (0, 0)
    assert done.report["streak"]["reached"] == 4
    assert done.report["pings"]["sent"] > 5


@BOTH
@pytest.mark.parametrize(
    ("respond", "shown"),
    [
        (constant(200, b'{"status": "up"}', Content_Type="application/json"), "status"),
        (constant(200, b"<h1>Welcome</h1>", Content_Type="text/html"), "Welcome"),
        (constant(404, b"nothing here", Content_Type="text/plain"), "404"),
        (constant(302, Location="/login"), "/login"),
        (login, "401"),
    ],
    ids=["no member", "no JSON", "404", "redirect", "login"],
)
def test_a_response_without_a_release_is_not_reached(
    command: str, respond: Respond, shown: str
) -> None:
    with serving(respond) as server:
        done = asked(command, server.url, *JSON, seconds=0.5)
    assert (done.code, shown in done.sentences) == (9, True)


@BOTH
def test_a_5xx_is_the_releases_own_where_it_names_it(command: str) -> None:
    body = json.dumps({"version": "v43"}).encode()
    own = constant(503, body, Content_Type="application/json")
    with serving(switching(3, NEW, own)) as server:
        assert asked(command, server.url, *JSON, seconds=1).code == 1
    with serving(switching(3, NEW, constant(503))) as server:
        more = () if command == "smoke-test" else ("--rate", 10)
        assert asked(command, server.url, *JSON, *more, seconds=4.5).code == 3


def test_silence_and_resets_are_down() -> None:
    for respond in (silent, resets):
        with serving(respond) as server:
            done = asked("smoke-test", server.url, *JSON, "--timeout", 0.2, seconds=0.5)
        assert done.code == 3


def test_a_service_that_honours_expect_release_is_proved_by_its_412s_too() -> None:
    body = json.dumps({"version": "v42"}).encode()

    def honouring(request: Received, _: socket.socket) -> bytes:
        return http(412 if request.expects != "v42" else 200, body, Content_Type="application/json")

    with serving(honouring) as server:
        old = asked("smoke-test", server.url, *JSON, seconds=0.4)
    with serving(switching(4, honouring, NEW)) as server:
        new = asked("rollout", server.url, *JSON)
    assert (old.code, new.code) == (4, 0)
    assert set(new.report["releases"]) >= {"v43"}


def test_a_service_without_a_412_of_a_release_is_not_old_but_not_reached() -> None:
    with serving(alternating(constant(404))) as server:
        assert asked("smoke-test", server.url, *JSON, seconds=0.4).code == 9


def test_without_an_expectation_any_release_passes() -> None:
    numbers = itertools.count()

    def counting(_request: Received, _connection: socket.socket) -> bytes:
        release: Any = f"v{next(numbers) % 2}"
        return http(200, json.dumps({"version": release}).encode())

    with serving(counting) as server:
        done = smoke_test(server.url, *JSON)
    assert (done.code, done.report["streak"]["reached"]) == (0, 3)
    assert set(done.report["releases"]) == {"v0", "v1"}
