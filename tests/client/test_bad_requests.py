"""The bad requests: what must be rejected, and what it means where something else comes."""

from __future__ import annotations

import socket

import pytest

from petsage.client.bad_requests import ATTEMPTS, BAD_REQUESTS, BadRequest, send
from petsage.client.http_client import HttpClient
from petsage.client.probe import RunIds
from petsage.client.result import BadRequestOutcome, BadRequestResult
from petsage.client.target import target_from
from tests.client.fleets import HIDDEN, NEW, OLD, own_ids, stripped
from tests.client.servers import Received, Respond, constant, http, resets, serving, silent
from tests.running import free_port

REJECTED = BadRequestOutcome.REJECTED
ACCEPTED = BadRequestOutcome.ACCEPTED
NOT_DELIVERED = BadRequestOutcome.NOT_DELIVERED
OTHER_RELEASE = BadRequestOutcome.OTHER_RELEASE

ALL = {one.name: one for one in BAD_REQUESTS}
MISSING = ALL["missing member"]


def sent(
    respond: Respond, bad_request: BadRequest = MISSING, expect: str | None = "v43"
) -> tuple[BadRequestResult, int]:
    """Return what came of a bad request to this service, and how often it was sent."""
    with serving(respond) as server:
        client = HttpClient(target_from(server.url))
        result = send(
            client, RunIds(), bad_request, expect=expect, timeout=20, sleep=lambda _: None
        )
        return result, len(server.requests)


@pytest.mark.parametrize("bad_request", BAD_REQUESTS, ids=ALL.keys())
@pytest.mark.parametrize(
    "service",
    [NEW, HIDDEN, stripped(NEW), own_ids(NEW)],
    ids=["plain", "not disclosed", "PetSage-* stripped", "ids replaced"],
)
def test_each_is_rejected(service: Respond, bad_request: BadRequest) -> None:
    result, times = sent(service, bad_request)
    assert (result.outcome, times) == (REJECTED, 1)
    assert result.got.startswith(result.expected)
    assert (result.name, result.release) in {(bad_request.name, "v43"), (bad_request.name, None)}


def test_what_goes_out() -> None:
    with serving(NEW) as server:
        client, ids = HttpClient(target_from(f"{server.url}/pets")), RunIds()
        for bad_request in BAD_REQUESTS:
            send(client, ids, bad_request, expect="v43", timeout=20)
        requests = list(server.requests)
    assert {one.expects for one in requests} == {"v43"}
    assert len({one.request_id for one in requests}) == len(BAD_REQUESTS)
    assert {one.path for one in requests} == {
        "/pets/system/smoke-test",
        "/pets/system/no-such-path",
    }
    (get,) = (one for one in requests if one.method == "GET")
    assert get.body == b""
    (huge,) = (one for one in requests if one.headers.get("content-length") == str(10 * 2**30))
    assert huge.body == b""


def lax(request: Received, _: socket.socket) -> bytes:
    return NEW.pong(request, "x")


def wrong_code(request: Received, _: socket.socket) -> bytes:
    return NEW.problem(request, "malformed-json")


def own_handler(status: int) -> Respond:
    return lambda one, _: http(status, b'{"error": "mine"}', **NEW.headers(one))


@pytest.mark.parametrize(
    ("respond", "outcome", "got", "times"),
    [
        (lax, ACCEPTED, "200", 1),
        (wrong_code, ACCEPTED, "400 malformed-json", 1),
        (NEW.broken, ACCEPTED, "500 internal-error", ATTEMPTS),
        (own_handler(400), ACCEPTED, "400", 1),
        (own_handler(422), NOT_DELIVERED, "422 with no Content-Type: something replaced", 1),
        (constant(422, b"<h1>Oops</h1>"), NOT_DELIVERED, "422 from something before PetSage", 1),
        (constant(403), NOT_DELIVERED, "403 from something before PetSage", 1),
        (constant(200, b"<h1>blocked</h1>"), NOT_DELIVERED, "200 from something", 1),
        (constant(502), NOT_DELIVERED, "502 from something before PetSage", ATTEMPTS),
        (constant(429, PetSage_Release="v43"), NOT_DELIVERED, "429 from something", ATTEMPTS),
        (resets, NOT_DELIVERED, "the connection was reset", ATTEMPTS),
        (lambda *_: b"", NOT_DELIVERED, "closed without a response", ATTEMPTS),
        (OLD, OTHER_RELEASE, "412 release-mismatch", 1),
        (OLD.named(ignores_expect=True), OTHER_RELEASE, "422 validation-error", 1),
        (stripped(OLD), OTHER_RELEASE, "412 release-mismatch", 1),
    ],
)
def test_what_a_response_means(
    respond: Respond, outcome: BadRequestOutcome, got: str, times: int
) -> None:
    result, sent_times = sent(respond)
    assert (result.outcome, result.expected) == (outcome, "422 validation-error")
    assert got in result.got
    assert sent_times == times


def test_what_is_transient_is_tried_again() -> None:
    left = [constant(502), resets]

    def respond(request: Received, connection: socket.socket) -> bytes | None:
        return (left.pop() if left else NEW)(request, connection)

    result, times = sent(respond)
    assert (result.outcome, times) == (REJECTED, 3)


def test_without_an_expectation_any_release_may_reject() -> None:
    assert sent(OLD, expect=None)[0].outcome is REJECTED
    mismatch = sent(lambda one, _: NEW.problem(one, "release-mismatch"), expect=None)
    assert mismatch[0].outcome is ACCEPTED


@pytest.mark.parametrize(("name", "status"), [("wrong method", 405), ("unknown path", 404)])
def test_the_status_alone_decides_where_an_app_has_handlers_of_its_own(
    name: str, status: int
) -> None:
    result, _ = sent(own_handler(status), ALL[name])
    assert (result.outcome, result.expected) == (REJECTED, str(status))
    assert sent(constant(status), ALL[name])[0].outcome is NOT_DELIVERED
    assert sent(own_handler(200), ALL[name])[0].outcome is ACCEPTED


def test_a_proxy_that_waits_for_the_announced_body_is_asked_once() -> None:
    with serving(silent) as server:
        client = HttpClient(target_from(server.url))
        huge = ALL["body of 10 GiB announced"]
        result = send(client, RunIds(), huge, expect=None, timeout=0.1)
    assert result.outcome is NOT_DELIVERED


def test_nothing_that_listens_is_tried_again() -> None:
    pauses: list[float] = []
    client = HttpClient(target_from(f"http://127.0.0.1:{free_port()}"))
    result = send(client, RunIds(), MISSING, expect=None, timeout=20, sleep=pauses.append)
    assert (result.outcome, len(pauses)) == (NOT_DELIVERED, ATTEMPTS - 1)
    assert result.got.startswith("no connection: ")
