"""Any service: where the release is read from a response, and what each response says."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from petsage.client.http_client import HttpClient
from petsage.client.probe import RunIds
from petsage.client.release_probe import ReleaseProbe, cache_hit, may_be_copy, release_source
from petsage.client.response import Response
from petsage.client.result import Failure, Outcome, PingResult
from petsage.client.target import target_from
from tests.client.servers import Received, Respond, constant, http, serving

JSON = {"json": "release"}
SHA = "0f9a3b7c" * 5


def pinged(
    respond: Respond,
    source: dict[str, str] | None = None,
    path: str = "/health",
    expect: str | None = None,
    **more: Any,
) -> PingResult:
    """Return the result of one ping to this service."""
    given = release_source(**(source or JSON))
    assert given is not None
    with serving(respond) as server:
        target = target_from(server.url + path, exact=True)
        probe = ReleaseProbe(HttpClient(target), RunIds(), given)
        return probe.ping(expect=expect, timeout=20, **more)


def test_what_goes_out() -> None:
    source = release_source(json="release")
    assert source is not None
    with serving(constant(200, b'{"release": "v43"}')) as server:
        target = target_from(f"{server.url}/health/?full=1", exact=True)
        probe = ReleaseProbe(HttpClient(target), RunIds(), source)
        results = [
            probe.ping(expect="v43", timeout=20),
            probe.ping(expect="v43", timeout=20, bogus=True),
            probe.ping(expect=None, timeout=20),
        ]
        first, bogus, last = server.requests
    assert (first.method, first.path, first.body) == ("GET", "/health/?full=1", b"")
    assert first.headers["cache-control"] == "no-cache"
    assert first.headers["accept"] == "*/*"
    assert (first.expects, last.expects) == ("v43", None)
    assert str(bogus.expects).startswith("no-release-")
    assert [one.bogus for one in results] == [False, True, False]
    assert [one.request_id for one in results] == [one.request_id for one in server.requests]


@pytest.mark.parametrize(
    ("source", "response", "release"),
    [
        ({"json": "version"}, http(200, b'{"version": " 1.10 "}'), "1.10"),
        ({"json": "version"}, http(200, b'{"version": 1.10}'), "1.10"),
        ({"json": "build"}, http(200, b'{"build": 42}'), "42"),
        ({"json": "/build/git/sha"}, http(200, b'{"build": {"git": {"sha": "v1"}}}'), "v1"),
        ({"json": "git.sha"}, http(200, b'{"git.sha": "v1"}'), "v1"),
        ({"json": "/a~1b/m~0n/0"}, http(200, b'{"a/b": {"m~n": ["v1"]}}'), "v1"),
        ({"json": "/"}, http(200, b'{"": "v1"}'), "v1"),
        ({"json": "v"}, http(203, '\N{BOM}{"v": "v1"}'.encode()), "v1"),
        ({"header": "x-app-version"}, http(200, X_App_Version="v1"), "v1"),
        ({"text": r"version (\S+)"}, http(200, b"<p>version 1.2\n"), "1.2"),
        ({"text": r"(?m)^release=(.*)$"}, http(200, b"a=b\nrelease=v1\n\xff"), "v1"),
    ],
)
def test_where_a_release_is_read(source: dict[str, str], response: bytes, release: str) -> None:
    result = pinged(lambda *_: response, source)
    assert (result.outcome, result.failure, result.release) == (Outcome.CORRECT, None, release)


def test_a_release_that_would_colour_a_terminal_is_shown_escaped() -> None:
    assert pinged(constant(200, b'{"release": "\\u001b[31m"}')).release == "?[31m"


@pytest.mark.parametrize(
    ("source", "response", "detail"),
    [
        (
            JSON,
            http(200, b'{"version": "1", "a\\n": 2}'),
            "object with the members version, a?, without release",
        ),
        (JSON, http(200, b"{}"), "the body is an empty object, without release"),
        (JSON, http(200, b'{"release": null}'), "/release is null"),
        (JSON, http(200, b'{"release": ""}'), "/release is empty"),
        (JSON, http(200, b'{"release": {}}'), "/release is an empty object"),
        (JSON, http(200, b'{"release": true}'), "/release is true"),
        (JSON, http(200, b'["v1"]'), "the body is an array of 1, without release"),
        (JSON, http(200, b'"v1"'), "the body is a string or number, without release"),
        (JSON, http(200, b"43"), "the body is a string or number, without release"),
        (
            {"json": "/a/b"},
            http(200, b'{"a": {"c": 1}}'),
            "/a is an object with the members c, without b",
        ),
        ({"json": "/a/1"}, http(200, b'{"a": ["v1"]}'), "/a is an array of 1, without 1"),
        (JSON, http(200, b"<h1>Hi\x1b[31m</h1>" * 9), "the body is no JSON: '<h1>Hi?[31m</h1>"),
        (JSON, http(200, b"[" * 100_000), "the body is no JSON: '[[["),
        (JSON, http(200), "the body is no JSON: it is empty"),
        (JSON, http(200, b"{}", Content_Encoding="br"), "coded as br"),
        (JSON, http(200, b" " * 300_000), "too large"),
        ({"header": "X-A"}, http(200, X_B="1"), "no header X-A; the headers: content-length, "),
        ({"header": "X-A"}, http(200, X_A=""), "no header X-A"),
        ({"text": "v(1)"}, http(200, b"v2"), "does not match the text: 'v2'"),
        ({"text": "v2(x?)"}, http(200, b"v2"), "does not match the text: 'v2'"),
        ({"text": "v1|(x)"}, http(200, b"v1"), "does not match the text: 'v1'"),
    ],
)
def test_a_response_without_a_release_is_not_the_service_and_shows_what_was_there(
    source: dict[str, str], response: bytes, detail: str
) -> None:
    result = pinged(lambda *_: response, source)
    assert (result.outcome, result.failure) == (Outcome.NOT_REACHED, Failure.NOT_THE_SERVICE)
    assert (result.release, result.permanent) == (None, False)
    assert detail in result.detail
    assert result.detail.isprintable()
    assert len(result.detail) < 300
    assert next(iter(source)) in result.remedy


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ({"json": ""}, "give its name"),
        ({"json": "/a~b"}, "is no JSON pointer"),
        ({"json": "/a~"}, "is no JSON pointer"),
        ({"header": "X A"}, "is no name of a header"),
        ({"header": ""}, "is no name of a header"),
        ({"text": "v([0-9]"}, "is no regular expression"),
        ({"text": "v[0-9]"}, "has no group"),
        ({"json": "a", "text": "(a)"}, "only one of"),
        ({"json": "a", "header": "a"}, "only one of"),
    ],
)
def test_what_names_no_place_is_an_error(source: dict[str, str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        release_source(**source)


def test_no_source_is_none() -> None:
    assert release_source() is None


CACHED = [
    ("Age", "31"),
    ("Age", "31, 0"),
    ("X-Cache", "Hit from cloudfront"),
    ("X-Cache", "MISS, HIT"),
    ("X-Cache", "TCP_MEM_HIT"),
    ("CF-Cache-Status", "HIT"),
    ("CF-Cache-Status", "STALE"),
    ("Cache-Status", "ExampleCache; hit; ttl=30"),
    ("Cache-Status", "Origin; fwd=miss, Edge;hit"),
    ("X-Cache-Status", "HIT"),
    ("X-Proxy-Cache", "UPDATING"),
    ("X-Vercel-Cache", "STALE"),
    ("X-Nextjs-Cache", "HIT"),
]
FRESH = [
    ("Age", "0"),
    ("Age", "0, 0"),
    ("X-Cache", "Miss from cloudfront"),
    ("X-Cache", "RefreshHit from cloudfront"),
    ("X-Cache", "HITPASS"),
    ("CF-Cache-Status", "DYNAMIC"),
    ("CF-Cache-Status", "REVALIDATED"),
    ("Cache-Status", "ExampleCache; fwd=uri-miss"),
    ("Cache-Status", "ExampleCache; fwd=stale; stored"),
    ("Cache-Status", "hit; fwd=bypass"),
    ("X-Cache-Status", "EXPIRED"),
    ("X-Vercel-Cache", "PRERENDER"),
    ("X-Cache-Hits", "1"),
]


@pytest.mark.parametrize(("name", "value"), CACHED)
def test_a_cached_response_proves_nothing_and_names_the_cache(name: str, value: str) -> None:
    result = pinged(constant(200, b'{"release": "v43"}', **{name.replace("-", "_"): value}))
    assert (result.outcome, result.failure, result.release) == (Outcome.CACHED, None, "v43")
    assert f"{name}: {value}" in result.detail


@pytest.mark.parametrize(("name", "value"), FRESH)
def test_a_miss_is_no_cached_response(name: str, value: str) -> None:
    assert cache_hit(Response(200, {name.lower(): value}, b"")) is None


@pytest.mark.parametrize("headers", [{}, {"X_Varnish": "65538 3"}], ids=["no more", "Varnish"])
def test_of_the_copies_of_age_0_one_counts_a_second(headers: dict[str, str]) -> None:
    source = release_source(json="release")
    assert source is not None
    # Later than any response can take.
    times = [0.0, 0.9, 10_000.0, 10_000.1]
    with serving(constant(200, b'{"release": "v43"}', Age="0", **headers)) as server:
        target = target_from(server.url, exact=True)
        probe = ReleaseProbe(HttpClient(target), RunIds(), source, iter(times).__next__)
        outcomes = [probe.ping(expect="v43", timeout=20).outcome for _ in times]
    assert outcomes == [Outcome.CORRECT, Outcome.CACHED] * 2


@pytest.mark.parametrize(
    "headers", [{}, {"Age": "0", "X-Cache": "MISS"}, {"Age": "0", "X-Varnish": "32770"}]
)
def test_what_is_known_to_be_no_copy_always_counts(headers: dict[str, str]) -> None:
    known = {name.lower(): value for name, value in headers.items()}
    assert not may_be_copy(Response(200, known, b""))


def test_a_copy_of_an_error_proves_nothing_of_the_release_that_it_names() -> None:
    copy = pinged(constant(500, b'{"release": "v43"}', Age="9"), expect="v43")
    assert (copy.outcome, copy.failure) == (Outcome.DOWN, Failure.SERVER_ERROR)
    header = {"header": "X-Release"}
    for release in ("v42", "v43"):
        copy = pinged(constant(412, Age="9", X_Release=release), header, expect="v43")
        assert (copy.outcome, copy.failure) == (Outcome.CACHED, None)


def test_another_release_is_a_correct_response_of_its_own() -> None:
    result = pinged(constant(200, b'{"release": "v42"}'), expect="v43")
    assert (result.outcome, result.release) == (Outcome.CORRECT, "v42")
    assert not result.names("v43")


@pytest.mark.parametrize("release", [SHA[:7], SHA, SHA.upper()])
def test_a_short_commit_and_a_long_one_name_each_other(release: str) -> None:
    result = pinged(constant(200, f'{{"release": "{release}"}}'.encode()), expect=SHA)
    assert result.names(SHA)
    assert result.names(SHA[:9])
    assert not result.names(SHA[:6])


def heeding(request: Received, _connection: socket.socket) -> bytes:
    """Respond as an app that heeds Expect-Release and is v43."""
    if request.expects not in (None, "v43"):
        return http(412, b"another release", X_Release="v43")
    return http(200, b'{"release": "v43"}', X_Release="v43")


def test_an_app_that_heeds_expect_release_is_proved_by_412() -> None:
    assert pinged(heeding, expect="v43").outcome is Outcome.CORRECT
    mismatch = pinged(heeding, expect="v44")
    assert (mismatch.outcome, mismatch.failure) == (Outcome.MISMATCH, None)
    named = pinged(heeding, {"header": "X-Release"}, expect="v43", bogus=True)
    assert (named.outcome, named.release) == (Outcome.MISMATCH, "v43")
    wrong = pinged(constant(412, X_Release="v43"), {"header": "X-Release"}, expect="v43")
    assert (wrong.outcome, wrong.failure) == (Outcome.INCORRECT, Failure.OTHER_STATUS)
    assert pinged(constant(412)).outcome is Outcome.NOT_REACHED


@pytest.mark.parametrize(
    ("respond", "outcome", "failure"),
    [
        (constant(500, b'{"release": "v43"}'), Outcome.INCORRECT, Failure.SERVER_ERROR),
        (constant(503, b"<h1>down</h1>"), Outcome.DOWN, Failure.SERVER_ERROR),
        (constant(501), Outcome.NOT_REACHED, Failure.NOT_THE_SERVICE),
        (constant(404, b'{"release": "v43"}'), Outcome.NOT_REACHED, Failure.NOT_THE_SERVICE),
        (constant(429), Outcome.RATE_LIMITED, Failure.OTHER_STATUS),
        (lambda *_: b"", Outcome.DOWN, Failure.RESET),
        (lambda *_: b"SSH", Outcome.NOT_REACHED, Failure.NOT_THE_SERVICE),
    ],
)
def test_what_a_status_means(respond: Respond, outcome: Outcome, failure: Failure) -> None:
    result = pinged(respond)
    assert (result.outcome, result.failure, result.permanent) == (outcome, failure, False)
    assert result.detail


def test_an_expression_that_matches_any_page_finds_no_release_in_an_error() -> None:
    word = {"text": r"^(\S+)"}
    page = pinged(constant(503, b"<html> down"), word, expect="v43")
    assert (page.outcome, page.release) == (Outcome.DOWN, None)
    own = pinged(constant(500, b"v43 broke"), word, expect="v43")
    assert (own.outcome, own.release) == (Outcome.INCORRECT, "v43")
    mismatch = pinged(constant(412, b'{"release": "v45"}'), expect="v43")
    assert (mismatch.outcome, mismatch.release) == (Outcome.MISMATCH, None)


def test_an_error_of_its_own_names_its_release() -> None:
    result = pinged(constant(500, b'{"release": "v43"}'))
    assert (result.release, result.detail) == ("v43", "500 from release v43")


def test_a_login_and_a_redirect_are_permanent() -> None:
    login = pinged(constant(401))
    assert (login.outcome, login.permanent) == (Outcome.NOT_REACHED, True)
    moved = pinged(constant(301, Location="https://app.example/healthz?a=b"))
    assert (moved.outcome, moved.permanent) == (Outcome.NOT_REACHED, True)
    assert moved.remedy == (
        "If the release is there, give https://app.example/healthz?a=b as the URL."
    )


def test_a_redirect_to_the_same_url_is_no_other_url_to_give() -> None:
    def again(request: Received, _: socket.socket) -> bytes:
        return http(302, Location=request.path)

    def with_slash(request: Received, _: socket.socket) -> bytes:
        return http(308, Location=f"{request.path}/")

    assert "redirects to itself" in pinged(again).remedy
    assert "/ as the URL" in pinged(with_slash).remedy


def test_petsage_itself_names_its_instance() -> None:
    result = pinged(
        constant(200, b'{"release": "v43"}', PetSage_Instance="web.1", PetSage_Worker="w1")
    )
    assert (result.instance, result.worker) == ("web.1", "w1")
