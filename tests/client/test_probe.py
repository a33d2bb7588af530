"""One ping of a PetSage service: what each response says of it."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

import pytest

from petsage import contract
from petsage.client.http_client import HttpClient
from petsage.client.probe import PetSageProbe, RunIds, retry_after
from petsage.client.result import Failure, Outcome, PingResult
from petsage.client.target import target_from
from tests.client.fleets import HIDDEN, NEW, own_ids, stripped, without_header
from tests.client.servers import Received, Respond, constant, http, serving
from tests.running import free_port

RELEASE = NEW.named(commit="0f9a3b7c")
HTML = "text/html"


def pinged(respond: Respond, path: str = "", expect: str | None = None, **more: Any) -> PingResult:
    """Return the result of one ping to this service."""
    with serving(respond) as server:
        probe = PetSageProbe(HttpClient(target_from(server.url + path)), RunIds())
        result = probe.ping(expect=expect, timeout=20, **more)
        assert probe.addresses == (server.address,)
    return result


def test_a_correct_response_names_its_origin() -> None:
    result = pinged(RELEASE)
    assert (result.outcome, result.failure, result.detail) == (Outcome.CORRECT, None, "")
    assert (result.status, result.release, result.commit) == (200, "v43", "0f9a3b7c")
    assert (result.instance, result.worker) == ("web.1", "w1")
    assert (result.log_id, result.lost_headers) == (result.request_id, frozenset())
    assert abs(result.due_at - time.time()) < 60


def test_what_goes_out_with_a_ping() -> None:
    with serving(RELEASE) as server:
        ids = RunIds()
        probe = PetSageProbe(HttpClient(target_from(f"{server.url}/pets")), ids)
        probe.ping(expect=None, timeout=20)
        probe.ping(expect="v43", timeout=20)
        probe.ping(expect="v43", timeout=20, bogus=True)
        pings = server.pings
    assert {one.path for one in pings} == {"/pets/system/smoke-test"}
    assert [one.expects for one in pings][:2] == [None, "v43"]
    assert str(pings[2].expects).startswith("no-release-")
    assert len({one.body for one in pings}) == len({one.request_id for one in pings}) == 3
    assert all(ids.run in one.request_id for one in pings)


def test_no_id_nonce_or_release_is_used_twice() -> None:
    ids = RunIds()
    drawn = [make() for make in (ids.nonce, ids.request_id, ids.bogus_release) for _ in range(300)]
    assert len(set(drawn)) == 900


def test_the_latency_counts_from_the_moment_the_ping_was_due() -> None:
    result = pinged(RELEASE, due=time.monotonic() - 100)
    assert result.latency_s >= 100
    assert time.time() - result.due_at >= 100
    assert pinged(RELEASE, due=time.monotonic() + 100).latency_s < 100


def test_another_release_is_a_mismatch_or_a_correct_response_of_its_own() -> None:
    mismatch = pinged(RELEASE, expect="v44")
    assert (mismatch.outcome, mismatch.failure, mismatch.status) == (Outcome.MISMATCH, None, 412)
    assert (mismatch.release, mismatch.bogus, mismatch.retry_after_s) == ("v43", False, 1.0)
    ignored = pinged(RELEASE.named(ignores_expect=True), expect="v44")
    assert (ignored.outcome, ignored.release) == (Outcome.CORRECT, "v43")
    bogus = pinged(RELEASE, expect="v43", bogus=True)
    assert (bogus.outcome, bogus.bogus) == (Outcome.MISMATCH, True)
    served = pinged(HIDDEN.named(ignores_expect=True), expect="v43", bogus=True)
    assert (served.outcome, served.bogus) == (Outcome.CORRECT, True)


def test_a_412_needs_no_mark_where_a_release_was_expected() -> None:
    assert pinged(constant(412, b"<h1>Oops</h1>"), expect="v43").outcome is Outcome.MISMATCH
    assert pinged(constant(412)).outcome is Outcome.NOT_REACHED


@pytest.mark.parametrize("expect", ["v43", "0F9A3B7C"])
def test_a_412_of_the_very_release_is_incorrect(expect: str) -> None:
    result = pinged(lambda one, _: RELEASE.problem(one, "release-mismatch"), expect=expect)
    assert (result.outcome, result.failure) == (Outcome.INCORRECT, Failure.OTHER_STATUS)


def with_members(**changes: object) -> Respond:
    """Respond with these members of the pong instead; None leaves one out."""

    def respond(request: Received, _: socket.socket) -> bytes:
        body: dict[str, object] = {
            "status": "ok",
            "message": contract.SMOKE_TEST_MESSAGE,
            "pong": json.loads(request.body)["ping"],
            "timestamp": "2026-11-21T03:42:53.009378Z",
        }
        body |= changes
        return NEW.ok(request, {name: part for name, part in body.items() if part is not None})

    return respond


def replaced(old: bytes, new: bytes) -> Respond:
    """Respond as PetSage, with these bytes replaced."""
    return lambda request, _: NEW(request).replace(old, new)


def body_of(data: bytes, **headers: str) -> Respond:
    """Respond with these bytes as PetSage's body."""
    media = {"Content_Type": "application/json"} | headers
    return lambda request, _: http(200, data, **{**NEW.headers(request), **media})


@pytest.mark.parametrize(
    ("respond", "detail"),
    [
        (with_members(pong="something else"), "the pong is not the ping"),
        (with_members(pong=None), "members are not the four"),
        (with_members(extra=1), "the four of the contract: extra"),
        (with_members(status="fine"), "status or message"),
        (with_members(message="Hello"), "status or message"),
        (with_members(timestamp="2026-11-21T03:42:53Z"), "not RFC 3339"),
        (with_members(timestamp="2026-02-30T03:42:53.009378Z"), "not RFC 3339"),
        (with_members(timestamp=7), "not RFC 3339"),
        (replaced(b"application/json", HTML.encode()), "Content-Type is text/html"),
        (replaced(b"Content-Type: application/json\r\n", b""), "Content-Type is missing"),
        (body_of(b"{}", Content_Encoding="gzip"), "coded as gzip"),
        (body_of(b'{"pong": 1, "pong": 2}'), "no strict JSON"),
        (body_of(b"[" * 100_000), "no strict JSON"),
        (body_of(b"\xff"), "no strict JSON"),
        (body_of(b"[]"), "no JSON object"),
        (body_of(b" " * 300_000), "far too large"),
    ],
)
def test_a_pong_that_breaks_the_contract_is_incorrect(respond: Respond, detail: str) -> None:
    result = pinged(respond)
    assert (result.outcome, result.failure) == (Outcome.INCORRECT, Failure.WRONG_PONG)
    assert (result.release, detail in result.detail) == ("v43", True)


def test_the_pong_of_an_earlier_ping_points_to_a_cache() -> None:
    first: list[bytes] = []

    def cached(request: Received, _: socket.socket) -> bytes:
        first.append(NEW(request))
        return first[0]

    with serving(cached) as server:
        probe = PetSageProbe(HttpClient(target_from(server.url)), RunIds())
        results = [probe.ping(expect=None, timeout=20) for _ in range(2)]
    assert [one.failure for one in results] == [None, Failure.WRONG_PONG]
    assert "something caches responses" in results[1].detail


def own(code: str) -> Respond:
    return lambda request, _: NEW.problem(request, code)


@pytest.mark.parametrize(
    ("respond", "outcome", "failure", "detail"),
    [
        (own("internal-error"), Outcome.INCORRECT, Failure.SERVER_ERROR, "500 internal-error"),
        (stripped(own("not-ready")), Outcome.INCORRECT, Failure.SERVER_ERROR, "503 not-ready"),
        (own("not-implemented"), Outcome.INCORRECT, Failure.SERVER_ERROR, "501"),
        (constant(503, PetSage_Release="v43"), Outcome.INCORRECT, Failure.SERVER_ERROR, "503"),
        (own("validation-error"), Outcome.INCORRECT, Failure.OTHER_STATUS, "422"),
        (own("release-mismatch"), Outcome.INCORRECT, Failure.OTHER_STATUS, "412"),
        (constant(204, PetSage_Worker="w1"), Outcome.INCORRECT, Failure.OTHER_STATUS, "204"),
        (constant(500), Outcome.DOWN, Failure.SERVER_ERROR, "500 from something before"),
        (constant(503, b"<h1>Error</h1>"), Outcome.DOWN, Failure.SERVER_ERROR, "503"),
        (constant(501), Outcome.NOT_REACHED, Failure.NOT_THE_SERVICE, "501"),
        (constant(404), Outcome.NOT_REACHED, Failure.NOT_THE_SERVICE, "404 with no Content"),
        (constant(200, b"<h1>"), Outcome.NOT_REACHED, Failure.NOT_THE_SERVICE, "200"),
        (constant(200, b'{"type": 7}'), Outcome.NOT_REACHED, Failure.NOT_THE_SERVICE, "200"),
        (own("not-found"), Outcome.NOT_REACHED, Failure.OTHER_STATUS, "404 from PetSage at /x/"),
        (own("method-not-allowed"), Outcome.NOT_REACHED, Failure.OTHER_STATUS, "405"),
        (lambda *_: b"", Outcome.DOWN, Failure.RESET, "closed without a response"),
    ],
)
def test_what_a_status_means(
    respond: Respond, outcome: Outcome, failure: Failure, detail: str
) -> None:
    result = pinged(respond, "/x")
    assert (result.outcome, result.failure) == (outcome, failure)
    assert (detail in result.detail, result.permanent) == (True, False)


@pytest.mark.parametrize("status", [401, 403, 407])
def test_a_login_is_permanent_and_names_the_option(status: int) -> None:
    result = pinged(constant(status, b"who are you?", Content_Type=HTML))
    assert (result.outcome, result.failure) == (Outcome.NOT_REACHED, Failure.OTHER_STATUS)
    assert (result.permanent, "-H 'Authorization: " in result.remedy) == (True, True)


def test_a_rate_limit_names_the_options() -> None:
    result = pinged(constant(429, Retry_After="60"))
    assert (result.outcome, result.failure) == (Outcome.RATE_LIMITED, Failure.OTHER_STATUS)
    assert (result.permanent, result.retry_after_s) == (False, 60.0)
    assert "--interval" in result.remedy
    assert "--rate" in result.remedy


@pytest.mark.parametrize(
    ("location", "remedy"),
    [
        ("https://app.example/x/system/smoke-test", "Give https://app.example/x as the URL."),
        ("https://app.example/system/smoke-test/", "Give https://app.example as the URL."),
        ("/y/system/smoke-test", "Give http://127.0.0.1:PORT/y as the URL."),
        ("/x/system/smoke-test", "redirects to itself: check what stands before the service."),
        ("/x/system/smoke-test/", "redirects to itself: check what stands before the service."),
        ("/login?next=%2Fx", "pass what it asks for with -H; else correct the URL."),
        ("https://login.example/", "pass what it asks for with -H; else correct the URL."),
        ("mailto:me@example", ""),
        ("https://[", ""),
    ],
)
def test_a_redirect_is_permanent_and_names_the_other_url(location: str, remedy: str) -> None:
    with serving(constant(308, Location=location)) as server:
        probe = PetSageProbe(HttpClient(target_from(f"{server.url}/x")), RunIds())
        result = probe.ping(expect=None, timeout=20)
        assert len(server.requests) == 1
    assert (result.outcome, result.failure) == (Outcome.NOT_REACHED, Failure.OTHER_STATUS)
    assert (result.permanent, result.detail) == (True, f"308 to {location}")
    assert result.remedy.endswith(remedy.replace("PORT", str(server.port)))
    assert bool(result.remedy) is bool(remedy)


def test_a_redirect_without_a_location_and_one_that_would_colour_a_terminal() -> None:
    nowhere = pinged(constant(302))
    assert (nowhere.detail, nowhere.remedy) == ("302 to nowhere", "")
    assert pinged(constant(302, Location="/\x1b[31m")).detail == "302 to /?[31m"


def test_nothing_that_listens_is_down() -> None:
    probe = PetSageProbe(HttpClient(target_from(f"http://127.0.0.1:{free_port()}")), RunIds())
    result = probe.ping(expect="v43", timeout=20, bogus=True)
    assert (result.outcome, result.failure) == (Outcome.DOWN, Failure.REFUSED)
    assert (result.bogus, result.address) == (True, probe.addresses[0])


ALL = {"PetSage-Release", "PetSage-Commit", "PetSage-Instance", "PetSage-Worker"}


@pytest.mark.parametrize(
    ("respond", "lost"),
    [
        (stripped(NEW), ALL),
        (HIDDEN, set()),
        (without_header(NEW, b"petsage-worker"), {"PetSage-Worker"}),
        (without_header(NEW, b"x-request-id"), {"X-Request-ID"}),
        (without_header(NEW, b"cache-control"), {"Cache-Control"}),
        (replaced(b"no-store", b"public, max-age=60"), {"Cache-Control"}),
        (own_ids(NEW), {"X-Request-ID"}),
    ],
    ids=["PetSage-*", "not disclosed", "worker", "id", "cache", "other cache", "other id"],
)
def test_headers_that_something_removed_or_replaced(respond: Respond, lost: set[str]) -> None:
    result = pinged(respond)
    assert (result.outcome, result.lost_headers) == (Outcome.CORRECT, lost)


def test_the_log_has_the_id_that_came_back() -> None:
    result = pinged(own_ids(NEW))
    assert result.log_id == f"envoy-{result.request_id[-12:]}"
    removed = pinged(without_header(NEW, b"x-request-id"))
    assert removed.log_id == removed.request_id
    assert pinged(constant(200)).log_id is None


def test_a_response_whose_headers_are_stripped_is_known_by_its_body() -> None:
    result = pinged(stripped(own("release-mismatch")), expect="v44")
    assert (result.outcome, result.release, result.worker) == (Outcome.MISMATCH, None, None)
    wrong = pinged(stripped(with_members(pong="another")))
    assert (wrong.outcome, wrong.failure) == (Outcome.INCORRECT, Failure.WRONG_PONG)


@pytest.mark.parametrize(("ahead", "least", "most"), [(0, -60, 60), (3600, 3500, 3700)])
def test_how_far_the_servers_clock_is_ahead(ahead: float, least: float, most: float) -> None:
    for sign in (1, -1):
        skew = pinged(NEW.named(clock_ahead=sign * ahead)).skew_s * sign
        assert least < skew < most


@pytest.mark.parametrize(
    "body",
    [
        b"<center>The plain HTTP request was sent to HTTPS port</center>",
        b"Client sent an HTTP request to an HTTPS server.\n",
        b"Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />",
    ],
    ids=["nginx", "Go", "Apache"],
)
def test_a_server_that_wants_tls_names_the_other_url(body: bytes) -> None:
    result = pinged(constant(400, body, Content_Type=HTML))
    assert (result.outcome, result.failure) == (Outcome.NOT_REACHED, Failure.NOT_THE_SERVICE)
    assert "https://" in result.remedy


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        ("Sat, 21 Nov 2026 03:42:53 GMT", 53.0),
        ("Sat, 21 Nov 2020 03:42:53 GMT", 0.0),
        ("soon", None),
        ("-1", None),
        ("1e3", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, now=1795232520.0) == seconds
