"""The bad requests: rejected, accepted, or kept from the service by something before it."""

from __future__ import annotations

import json
import socket

import pytest

from petsage import contract
from tests.client.fleets import (
    HIDDEN,
    NEW,
    OLD,
    behind,
    firewalled,
    own_ids,
    resets,
    status_of,
)
from tests.client.runs import smoke_test
from tests.client.servers import (
    Received,
    Respond,
    Running,
    constant,
    http,
    is_ping,
    serving,
    silent,
)

pytestmark = pytest.mark.contract

BLOCKS: dict[str, Respond] = {
    "403": constant(403, b"blocked", Content_Type="text/plain"),
    "a 200 page": constant(200, b"<h1>blocked</h1>", Content_Type="text/html"),
    "a reset": resets,
    "a proxy's 502": constant(502),
}


def test_each_is_rejected_with_its_status_and_code() -> None:
    with serving(NEW) as server:
        done = smoke_test(server.url, "--expect-release", "v43", "--consecutive", 2)
        bad = [one for one in server.requests if not is_ping(one)]
    assert done.code == 0
    told = done.report["bad_requests"]
    assert len(told) == len(bad) >= 11
    assert all(one["rejected"] is True for one in told)
    assert {one.expects for one in bad} == {"v43"}
    assert {
        "validation-error",
        "malformed-json",
        "duplicate-key",
        "invalid-unicode",
        "unsupported-media-type",
        "body-too-large",
    } <= {one["expected"].split()[-1] for one in told}
    sent = [json.loads(one.body) for one in bad if one.body in (b"{}", b'{"ping": null}')]
    assert sent == [{}, {"ping": None}]


def test_they_can_be_left_out() -> None:
    with serving(NEW) as server:
        done = smoke_test(server.url, "--no-bad-requests", "--consecutive", 2)
        assert all(map(is_ping, server.requests))
    assert (done.code, done.report["bad_requests"]) == (0, [])


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS.keys())
def test_a_firewall_that_keeps_all_of_them_leaves_validation_unproved(block: Respond) -> None:
    with serving(firewalled(NEW, block)) as server:
        done = smoke_test(server.url, "--consecutive", 2)
    assert done.code == 5
    assert not any(one["rejected"] for one in done.report["bad_requests"])


def test_a_proxy_that_replaces_every_4xx_by_a_page_leaves_validation_unproved() -> None:
    def paged(_request: Received, response: bytes) -> bytes:
        if 400 <= status_of(response) < 500:
            return http(status_of(response), b"<h1>Oops</h1>", Content_Type="text/html")
        return response

    with serving(behind(NEW, paged)) as server:
        done = smoke_test(server.url, "--expect-release", "v43", "--consecutive", 2)
    assert done.code == 5


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS.keys())
def test_a_firewall_that_keeps_one_of_them_is_one_warning(block: Respond) -> None:
    def respond(request: Received, connection: socket.socket) -> bytes | None:
        huge = request.headers.get("content-length", "").startswith("10737")
        return (block if huge else NEW)(request, connection)

    with serving(respond) as server:
        done = smoke_test(server.url, "--consecutive", 2)
    assert (done.code, len(done.report["warnings"])) == (0, 1)
    assert [one["rejected"] for one in done.report["bad_requests"]].count(True) == len(
        done.report["bad_requests"]
    ) - 1


def test_a_proxy_that_waits_for_the_announced_body_is_a_warning() -> None:
    def respond(request: Received, connection: socket.socket) -> bytes | None:
        huge = request.headers.get("content-length", "").startswith("10737")
        return (silent if huge else NEW)(request, connection)

    with serving(respond) as server:
        done = smoke_test(server.url, "--consecutive", 2, "--timeout", 1)
    assert (done.code, len(done.report["warnings"])) == (0, 1)


class EndsAtBadRequest:
    """A service that ends at the bad request with this body; `after` responds from then on."""

    def __init__(self, body: bytes, before: Respond, after: Respond | None = None) -> None:
        self.server: Running | None = None
        self._body, self._respond, self._after = body, before, after

    def __call__(self, request: Received, connection: socket.socket) -> bytes | None:
        if request.body != self._body:
            return self._respond(request, connection)
        if self._after:
            self._respond = self._after
        elif self.server:
            self.server.close()
        resets(request, connection)
        return None


@pytest.mark.parametrize("body", [b"{}", b'{"ping": "x", "ping": "y"}'], ids=["first", "sixth"])
def test_a_service_that_ends_at_a_bad_request_is_down(body: bytes) -> None:
    respond = EndsAtBadRequest(body, NEW)
    with serving(respond) as server:
        respond.server = server
        done = smoke_test(server.url, "--expect-release", "v43", "--consecutive", 2)
    assert done.code == 3
    assert "v43 responded, but nothing has responded for" in done.report["headline"]
    assert "bad request" in done.report["what_next"]


def test_another_release_after_a_bad_request_without_a_response_is_unproven() -> None:
    with serving(EndsAtBadRequest(b"{}", NEW, OLD)) as server:
        done = smoke_test(server.url, "--expect-release", "v43", "--consecutive", 2)
    assert done.code == 5
    assert "v42" in done.report["headline"]


def test_a_new_worker_after_a_bad_request_without_a_response_needs_no_new_proof() -> None:
    once = EndsAtBadRequest(b"{}", HIDDEN, HIDDEN.named(worker="w9"))
    with serving(once) as server:
        done = smoke_test(server.url, "--expect-release", "v43", "--consecutive", 2)
    assert done.code == 0
    assert "missing member" in done.sentences


def accepts(kind: str) -> Respond:
    """Return a service that is lax in one respect."""

    def respond(request: Received, _: socket.socket) -> bytes:
        lax = {
            "an unknown member": request.body.startswith(b"{") and b'"pong"' in request.body,
            "another media type": request.headers.get("content-type") == "text/plain",
            "a duplicate key": request.body.count(b'"ping"') == 2,
        }[kind]
        return NEW.pong(request, "x") if lax else NEW(request)

    return respond


@pytest.mark.parametrize("kind", ["an unknown member", "another media type", "a duplicate key"])
def test_one_that_is_accepted_is_wrong(kind: str) -> None:
    with serving(accepts(kind)) as server:
        done = smoke_test(server.url, "--consecutive", 2)
    assert done.code == 1
    assert [one["rejected"] for one in done.report["bad_requests"]].count(False) == 1


def test_the_services_own_500_is_no_rejection() -> None:
    def respond(request: Received, _: socket.socket) -> bytes:
        return NEW.broken(request) if request.body == b"{}" else NEW(request)

    with serving(respond) as server:
        assert smoke_test(server.url, "--consecutive", 2).code == 1


def test_for_the_wrong_method_and_an_unknown_path_the_status_alone_decides() -> None:
    def own_handlers(request: Received, response: bytes) -> bytes:
        if status_of(response) in (404, 405):
            return http(status_of(response), b'{"error": "mine"}', **NEW.headers(request))
        return response

    with serving(behind(NEW, own_handlers)) as server:
        done = smoke_test(server.url, "--consecutive", 2)
    assert (done.code, done.report["warnings"]) == (0, [])
    assert all(one["rejected"] for one in done.report["bad_requests"])


def test_rejections_of_another_release_prove_nothing_of_this_one() -> None:
    with serving(firewalled(NEW, OLD.named(ignores_expect=True))) as server:
        named = smoke_test(server.url, "--expect-release", "v43", "--consecutive", 2)
    with serving(firewalled(NEW, OLD)) as server:
        mismatch = smoke_test(server.url, "--expect-release", "v43", "--consecutive", 2)
    assert (named.code, mismatch.code) == (5, 5)
    assert "v42" in named.sentences


def test_rejections_behind_a_proxy_that_replaces_ids_count() -> None:
    with serving(own_ids(NEW)) as server:
        done = smoke_test(server.url, "--consecutive", 2)
    assert done.code == 0
    assert all(one["rejected"] for one in done.report["bad_requests"])
    assert len(done.warnings_of(contract.REQUEST_ID_HEADER)) == 1
