"""The refusals: what PetSage must refuse, and what it means where something else does."""

from __future__ import annotations

import socket

import pytest

from petsage.client.exchange import Client
from petsage.client.findings import refusal_problems
from petsage.client.ping import Marks
from petsage.client.refusals import REFUSALS, refuse
from petsage.client.target import target_from
from petsage.client.verdict import ExitCode
from tests.client.runs import smoke_test
from tests.client.servers import Instance, Received, Respond, http, is_ping, serving, silent

PETSAGE = Instance()


def accepts_numbers(request: Received, _: socket.socket) -> bytes:
    if request.body == b'{"ping": 42}':
        return PETSAGE.pong(request, "42")
    return PETSAGE(request)


def wrong_code(request: Received, _: socket.socket) -> bytes:
    if b'"ping": "y"' in request.body:
        return PETSAGE.problem(request, "malformed-json")
    return PETSAGE(request)


def wrong_status(request: Received, _: socket.socket) -> bytes:
    return PETSAGE(request).replace(b"HTTP/1.1 415", b"HTTP/1.1 400")


def hangs_on_null(request: Received, connection: socket.socket) -> bytes | None:
    return silent(request, connection) if b"null" in request.body else PETSAGE(request)


def dies_on_null(request: Received, _: socket.socket) -> bytes:
    return b"" if b"null" in request.body else PETSAGE(request)


@pytest.mark.parametrize(
    ("respond", "name", "got"),
    [
        (accepts_numbers, "number instead of string", "200"),
        (wrong_code, "duplicate key", "400 malformed-json"),
        (wrong_status, "wrong media type", "400 unsupported-media-type"),
        (dies_on_null, "null", "the connection was closed"),
        (hangs_on_null, "null", "no whole answer within 1 s"),
    ],
    ids=["validation dead", "wrong code", "wrong status", "crashes", "hangs"],
)
def test_a_refusal_that_is_not_what_it_must_be_is_1(respond: Respond, name: str, got: str) -> None:
    with serving(respond) as server:
        done = smoke_test(server.url, "--timeout", 1)
        skipped = smoke_test(server.url, "--no-refusals")
    assert done.code == 1
    failed = [one for one in done.report["refusals"] if not one["passed"]]
    assert [one["name"] for one in failed] == [name]
    assert got in failed[0]["got"]
    assert (skipped.code, skipped.report["refusals"]) == (0, [])


def test_a_service_that_goes_away_among_the_refusals_is_unreachable_not_wrong() -> None:
    with serving(PETSAGE) as server:
        target = target_from(server.url)
    missing = refuse(Client(target), Marks(), REFUSALS[0], expect=None, timeout=1, sleep=id)
    assert (missing.passed, missing.unreachable) == (False, True)
    [(code, sentence)] = refusal_problems([missing])
    assert code is ExitCode.UNREACHABLE
    assert "422 validation-error was due; what came: no connection" in sentence


def test_a_refusal_by_something_before_petsage_is_a_warning() -> None:
    def firewall(request: Received, _: socket.socket) -> bytes:
        return PETSAGE(request) if is_ping(request) else http(403, b"blocked")

    with serving(firewall) as server:
        done = smoke_test(server.url)
    assert done.code == 0
    assert [one["passed"] for one in done.report["refusals"]] == [None] * 11
    assert len(done.report["warnings"]) == 11


def test_a_proxy_that_waits_for_the_10_gib_is_a_warning() -> None:
    def collecting(request: Received, connection: socket.socket) -> bytes | None:
        if int(request.headers["content-length"]) > 1_000_000:
            return silent(request, connection)
        return PETSAGE(request)

    with serving(collecting) as server:
        done = smoke_test(server.url, "--timeout", 0.5)
    assert done.code == 0
    assert "10 GiB" in done.report["warnings"][0]
