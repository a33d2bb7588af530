"""Every address of a name is asked, and each one must be in the streak (DESIGN 3.2)."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from tests.client.contract.names import Names
from tests.client.fleets import NEW, OLD, switching, then
from tests.client.runs import Done, rollout, smoke_test
from tests.client.servers import (
    Received,
    Respond,
    Running,
    constant,
    serving,
    serving_at,
    swallowing,
)

pytestmark = pytest.mark.contract

NAME = "pets.example"
FIRST, SECOND = "127.0.0.1", "127.0.0.2"
BOTH = pytest.mark.parametrize("command", ["smoke-test", "rollout"])


def asked_for_v43(
    command: str, servers: dict[str, Running], names: Names, *more: object, seconds: float = 1.5
) -> Done:
    """Ask for v43 under the name, which has the addresses of these servers."""
    port = next(iter(servers.values())).port
    url = f"http://{NAME}:{port}"
    if command == "smoke-test":
        asked = ("--expect-release", "v43", "--wait", seconds, "--no-bad-requests")
        return smoke_test(url, *asked, "--interval", 0.03, *more, **names.environment)
    asked = ("--deadline", seconds, "--rate", 30)
    return rollout(url, *asked, "--consecutive", 20, *more, **names.environment)


@BOTH
def test_two_addresses_with_the_release_pass_and_each_has_its_line(
    command: str, names: Names
) -> None:
    names.set(NAME, [FIRST, SECOND])
    with serving_at({FIRST: NEW, SECOND: NEW}) as servers:
        done = asked_for_v43(command, servers, names, seconds=60)
        hosts = {one.headers["host"] for server in servers.values() for one in server.requests}
    assert done.code == 0
    addresses = done.report["addresses"]
    assert set(addresses) == {server.address for server in servers.values()}
    assert all(one["count"] >= 8 for one in addresses.values())
    assert hosts == {f"{NAME}:{servers[FIRST].port}"}


@BOTH
def test_a_stale_address_is_named(command: str, names: Names) -> None:
    names.set(NAME, [FIRST, SECOND])
    with serving_at({FIRST: NEW, SECOND: OLD}) as servers:
        done = asked_for_v43(command, servers, names)
        stale = servers[SECOND].address
    assert done.code == 5
    assert stale in done.sentences
    assert servers[FIRST].address not in done.report["headline"]
    assert "v42" in done.report["addresses"][stale]["releases"]


@BOTH
def test_a_stale_address_of_the_other_family_is_named(
    command: str, names: Names, ipv6: str
) -> None:
    names.set(NAME, [FIRST, ipv6])
    with serving_at({FIRST: NEW, ipv6: OLD}) as servers:
        done = asked_for_v43(command, servers, names)
        assert (done.code, servers[ipv6].address in done.sentences) == (5, True)


def test_a_family_can_be_chosen(names: Names, ipv6: str) -> None:
    names.set(NAME, [FIRST, ipv6])
    with serving_at({FIRST: NEW, ipv6: OLD}) as servers:
        new = asked_for_v43("smoke-test", servers, names, "-4")
        old = asked_for_v43("rollout", servers, names, "-6", seconds=0.7)
        assert [list(done.report["addresses"]) for done in (new, old)] == [
            [servers[FIRST].address],
            [servers[ipv6].address],
        ]
    assert (new.code, old.code) == (0, 4)


@BOTH
@pytest.mark.parametrize("swallows", [False, True], ids=["refused", "SYNs swallowed"])
def test_a_dead_address_is_named_and_does_not_slow_the_others_down(
    command: str, swallows: bool, names: Names
) -> None:
    names.set(NAME, [FIRST, SECOND])
    with serving_at({FIRST: switching(3) if command == "rollout" else NEW}) as servers:
        dead = f"{SECOND}:{servers[FIRST].port}"
        if swallows:
            with swallowing(SECOND, servers[FIRST].port):
                done = asked_for_v43(command, servers, names, "--timeout", 0.4)
        else:
            done = asked_for_v43(command, servers, names, "--timeout", 0.4)
    assert (done.code, dead in done.sentences) == (5, True)
    report = done.report
    assert report["addresses"][dead]["releases"] in ({}, [])
    assert report["addresses"][servers[FIRST].address]["count"] >= 2
    if command == "rollout":
        # It never responded, before the switch either: the switch did not fail these pings.
        assert (report["failures"], report["open_gap_s"]) == ([], None)


@BOTH
def test_an_address_with_a_rate_limit_is_not_called_stale(command: str, names: Names) -> None:
    names.set(NAME, [FIRST, SECOND])
    with serving_at({FIRST: NEW, SECOND: constant(429)}) as servers:
        done = asked_for_v43(command, servers, names)
    assert done.code == 5
    assert "rate limit" in done.report["headline"]
    assert ("--interval" if command == "smoke-test" else "--rate") in done.report["what_next"]


def test_where_the_release_responds_nowhere_a_dead_address_changes_nothing(names: Names) -> None:
    names.set(NAME, [FIRST, SECOND])
    with serving_at({FIRST: OLD}) as servers:
        assert asked_for_v43("smoke-test", servers, names, seconds=0.7).code == 4


@BOTH
def test_an_address_that_goes_stale_while_the_run_lasts_is_named(
    command: str, names: Names
) -> None:
    names.set(NAME, [FIRST, SECOND])
    with serving_at({FIRST: NEW, SECOND: then(3, NEW, OLD)}) as servers:
        done = asked_for_v43(command, servers, names)
        assert (done.code, servers[SECOND].address in done.sentences) == (5, True)
    assert done.report["streak"]["interruptions"] >= 1


def after(requests: int, act: Callable[[], None], respond: Respond) -> Respond:
    """Return a service at whose request of this number something else happens too."""
    seen: list[Received] = []

    def acting(request: Received, connection: socket.socket) -> bytes | None:
        seen.append(request)
        if len(seen) == requests:
            act()
        return respond(request, connection)

    return acting


@BOTH
def test_an_address_that_leaves_the_list_is_not_needed_any_more(command: str, names: Names) -> None:
    names.set(NAME, [FIRST, SECOND])
    first = after(3, lambda: names.set(NAME, [FIRST]), NEW)
    with serving_at({FIRST: first, SECOND: OLD}) as servers:
        done = asked_for_v43(command, servers, names, "--consecutive", 5, seconds=60)
        assert servers[SECOND].requests
    assert done.code == 0


def test_an_address_that_joins_the_list_must_be_in_the_streak(names: Names) -> None:
    names.set(NAME, [FIRST])
    first = after(3, lambda: names.set(NAME, [FIRST, SECOND]), NEW)
    with serving_at({FIRST: first, SECOND: NEW}) as servers:
        more = ("--interval", 0.2, "--consecutive", 10)
        done = asked_for_v43("smoke-test", servers, names, *more, seconds=60)
        assert servers[SECOND].requests
    assert (done.code, len(done.report["addresses"])) == (0, 2)


def test_a_lookup_that_fails_later_keeps_the_last_list_with_a_warning(names: Names) -> None:
    names.set(NAME, [FIRST, SECOND])
    first = after(3, lambda: names.set(NAME, []), NEW)
    with serving_at({FIRST: first, SECOND: NEW}) as servers:
        more = ("--interval", 0.2, "--consecutive", 10)
        done = asked_for_v43("smoke-test", servers, names, *more, seconds=60)
    assert (done.code, len(done.report["addresses"])) == (0, 2)
    assert len(done.warnings_of(NAME)) == 1


@BOTH
def test_a_name_that_does_not_resolve_is_not_reached(command: str, names: Names) -> None:
    if command == "smoke-test":
        done = smoke_test(f"http://{NAME}", "--wait", 0.5, **names.environment)
    else:
        done = rollout(f"http://{NAME}", "--deadline", 0.5, **names.environment)
    assert done.code == 9
    assert list(done.report["pings"]["failed"]) == ["dns"]
    assert NAME in done.sentences


def test_a_name_that_moves_to_another_address_is_followed(names: Names) -> None:
    names.set(NAME, [SECOND])
    second = after(1, lambda: names.set(NAME, [FIRST]), OLD)
    with serving_at({FIRST: NEW, SECOND: second}) as servers:
        done = asked_for_v43("smoke-test", servers, names, "--consecutive", 3, seconds=60)
    assert done.code == 0


def test_given_addresses_are_asked_instead_of_the_names(names: Names, ipv6: str) -> None:
    with serving_at({FIRST: NEW, SECOND: OLD, ipv6: NEW}) as servers:
        given = (
            *("--address", FIRST),
            *("--address", servers[ipv6].address),
        )
        done = asked_for_v43("smoke-test", servers, names, *given)
        one = asked_for_v43("smoke-test", servers, names, "--address", ipv6)
        stale = asked_for_v43("rollout", servers, names, *given, "--address", SECOND)
        assert {seen.headers["host"] for seen in servers[ipv6].requests} == {
            f"{NAME}:{servers[FIRST].port}"
        }
        assert servers[SECOND].address in stale.sentences
    assert (done.code, one.code, stale.code) == (0, 0, 5)
    assert set(done.report["addresses"]) == {servers[FIRST].address, servers[ipv6].address}
    assert list(one.report["addresses"]) == [servers[ipv6].address]


def test_a_given_address_has_a_port_of_its_own_while_host_and_tls_are_the_urls(
    names: Names, authority: trustme.CA, cacert: Path
) -> None:
    asked: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(NAME).configure_cert(context)
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    with serving(NEW, tls=context) as server:
        done = smoke_test(
            *(f"https://{NAME}", "--address", server.address, "--cacert", cacert),
            *("--consecutive", 2, "--no-bad-requests"),
            **names.environment,
        )
        hosts = {one.headers["host"] for one in server.requests}
    assert (done.code, hosts, set(asked)) == (0, {NAME}, {NAME})
