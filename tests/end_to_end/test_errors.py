"""Strict requests and one shape of error (DESIGN, 2.3), over the wire."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from petsage.contract import PROBLEMS
from tests.running import Service
from tests.wire import JSON, SMOKE_TEST, Response, ask, connected, get, send

pytestmark = pytest.mark.contract

HOST = b"Host: petsage\r\n"
POST = b"POST /system/smoke-test HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
MEMBERS = {"type", "title", "status", "detail", "code", "request_id"}

# Requests as bytes, and whether the sender then says that nothing more comes.
REJECTED: dict[str, tuple[bytes, bool, str]] = {
    "no Host": (b"GET /system/live HTTP/1.1\r\n\r\n", False, "bad-request"),
    "a Host that is none": (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", False, "bad-request"),
    "two Hosts": (b"GET / HTTP/1.1\r\n" + 2 * HOST + b"\r\n", False, "bad-request"),
    "not HTTP": (b"hello\r\n\r\n", False, "bad-request"),
    "a header without a colon": (b"GET / HTTP/1.1\r\n" + HOST + b"X\r\n\r\n", False, "bad-request"),
    "both lengths": (
        POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        False,
        "bad-request",
    ),
    "two lengths": (POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n", False, "bad-request"),
    "a length that is no number": (POST + b"Content-Length: x\r\n\r\n", False, "bad-request"),
    "a length of 65 bits": (
        POST + b"Content-Length: 18446744073709551628\r\n\r\n" + b'{"ping":"a"}',
        False,
        "bad-request",
    ),
    "lines that end in LF alone": (b"GET / HTTP/1.1\nHost: a\n\n", False, "bad-request"),
    "a folded header": (
        b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n b\r\n\r\n",
        False,
        "bad-request",
    ),
    "a body cut short": (POST + b"Content-Length: 10\r\n\r\n{", True, "incomplete-body"),
    "a broken chunk": (
        POST + b"Transfer-Encoding: chunked\r\n\r\nx\r\n",
        True,
        "incomplete-body",
    ),
    "a long request line": (
        b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        False,
        "uri-too-long",
    ),
    "a long header": (
        b"GET / HTTP/1.1\r\n" + HOST + b"X-Long: " + b"a" * 9_000 + b"\r\n\r\n",
        False,
        "headers-too-large",
    ),
    "101 headers": (
        b"GET / HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 100 + b"\r\n",
        False,
        "headers-too-large",
    ),
    "a body of 10 GiB that is only announced": (
        POST + b"Content-Length: 10737418240\r\n\r\n",
        False,
        "body-too-large",
    ),
    "a body of 10 GiB that waits for a 100": (
        POST + b"Expect: 100-continue\r\nContent-Length: 10737418240\r\n\r\n",
        False,
        "body-too-large",
    ),
}


@pytest.mark.parametrize(("sent", "then_end", "code"), REJECTED.values(), ids=REJECTED)
def test_broken_http_is_a_problem_like_any_other(
    service: Service, sent: bytes, then_end: bool, code: str
) -> None:
    response = send(service, sent, then_end=then_end)
    assert response
    assert response.problem == (PROBLEMS[code][0], code)
    assert response.headers["PetSage-Release"] == "v43"
    assert response.headers["X-Request-ID"] == response.json["request_id"]


def test_long_lines_and_many_headers_are_taken_up_to_the_limits(service: Service) -> None:
    assert get(service, f"/system/live?{'a' * 8_000}").status == 200
    assert get(service, "/system/live", {"X-Long": "a" * 8_000}).status == 200
    assert get(service, "/system/live", {f"X-{number}": "" for number in range(90)}).status == 200


def test_chunks_are_read_and_the_connection_serves_on(service: Service) -> None:
    sent = POST + b'Transfer-Encoding: chunked\r\n\r\n4\r\n{"pi\r\n8;a=b\r\nng":"a"}\r\n0\r\n\r\n'
    with service.connect() as raw:
        for _ in range(2):
            raw.sendall(sent)
            received = b""
            while b'"pong":"a"' not in received.replace(b" ", b""):
                piece = raw.recv(65_536)
                assert piece
                received += piece
            assert received.startswith(b"HTTP/1.1 200 ")


def test_a_body_that_may_come_is_asked_for(service: Service) -> None:
    with service.connect() as raw:
        raw.sendall(POST + b"Expect: 100-continue\r\nContent-Length: 12\r\n\r\n")
        received = raw.recv(65_536)
        assert received.startswith(b"HTTP/1.1 100 ")
        raw.sendall(b'{"ping":"a"}')
        while b"pong" not in received:
            piece = raw.recv(65_536)
            assert piece
            received += piece
    assert b"HTTP/1.1 200 " in received


def posted(body: bytes, **headers: str) -> dict[str, Any]:
    return {"method": "POST", "path": SMOKE_TEST, "body": body, "headers": JSON | headers}


ASKED: dict[str, tuple[dict[str, Any], str]] = {
    "empty body": (posted(b""), "malformed-json"),
    "trailing data": (posted(b'{"ping":"a"} x'), "malformed-json"),
    "a key twice": (posted(b'{"ping":"a","ping":"b"}'), "duplicate-key"),
    "invalid UTF-8": (posted(b'{"ping":"\xff"}'), "invalid-unicode"),
    "65 levels": (posted(b"[" * 65), "too-deep"),
    "a long number": (posted(b"1" * 1_001), "number-too-long"),
    "no media type": (posted(b"{}", **{"Content-Type": ""}), "unsupported-media-type"),
    "text": (posted(b"{}", **{"Content-Type": "text/plain"}), "unsupported-media-type"),
    "UTF-16": (
        posted(b"{}", **{"Content-Type": "application/json; charset=utf-16"}),
        "unsupported-media-type",
    ),
    "gzip": (posted(b"{}", **{"Content-Encoding": "gzip"}), "unsupported-media-type"),
    "no ping": (posted(b"{}"), "validation-error"),
    "a large body": (posted(b" " * 65_537), "body-too-large"),
    "another release": (posted(b"{}", **{"Expect-Release": "v44"}), "release-mismatch"),
    "an empty Expect-Release": (posted(b"{}", **{"Expect-Release": ""}), "bad-request"),
    "unknown path": ({"method": "GET", "path": "/nothing"}, "not-found"),
    "wrong method": ({"method": "DELETE", "path": "/system/live"}, "method-not-allowed"),
    "unknown query": ({"method": "GET", "path": "/system/ready?verbose=1"}, "validation-error"),
}


@pytest.mark.parametrize(("asked", "code"), ASKED.values(), ids=ASKED)
def test_a_problem_has_exactly_the_members_of_the_contract(
    service: Service, asked: dict[str, Any], code: str
) -> None:
    response = ask(service, **asked)
    assert response.problem == (PROBLEMS[code][0], code)
    told = response.json
    assert told.keys() == MEMBERS | ({"errors"} if code == "validation-error" else set())
    assert told["type"] == f"urn:petsage:problem:{code}"
    assert told["title"] == PROBLEMS[code][1]
    assert told["request_id"] == response.headers["X-Request-ID"]
    assert told["detail"].endswith(".")
    assert len(response.body) < 2_048


MISFITS = {
    b"{}": {"ping": ["Missing data for required field."]},
    b'{"ping":null}': {"ping": ["Field may not be null."]},
    b'{"ping":1}': {"ping": ["Not a valid string."]},
    b'{"ping":"a","pong":"b"}': {"pong": ["Unknown field."]},
    b"[]": {"_schema": ["Invalid input type."]},
}


@pytest.mark.parametrize("body", MISFITS)
def test_a_misfit_is_told_as_flask_smorest_tells_it(service: Service, body: bytes) -> None:
    told = ask(service, **posted(body)).json
    assert told["errors"] == {"json": MISFITS[body]}


def test_a_query_is_rejected_on_the_post_routes_and_ignored_elsewhere(service: Service) -> None:
    rejected = ask(service, "POST", f"{SMOKE_TEST}?verbose=1", b'{"ping":""}', JSON)
    assert rejected.problem == (422, "validation-error")
    assert rejected.json["errors"] == {"query": {"verbose": ["Unknown field."]}}
    for path in ("/", "/smoke-test", "/system/live", "/system/version", "/openapi.json"):
        assert get(service, f"{path}?verbose=1").status == 200


def test_a_problem_is_small_and_repeats_no_value(service: Service) -> None:
    with connected(service) as connection:
        twice = connection.ping(b'{"ping":"a","sesame":"secret","sesame":"secret"}')
        broken = connection.ping(b'{"ping":\n  secret}')
        unknown = connection.ping(json.dumps({"ping": "", "x" * 1_000: "secret"}).encode())
        many = connection.ping(json.dumps({f"x{n}": "secret" for n in range(3_000)}).encode())
    (name,) = unknown.json["errors"]["json"]
    assert len(name.encode()) <= 64
    for response in (twice, broken, unknown, many):
        assert response.status in {400, 422}
        assert "secret" not in response.text
        assert len(response.body) < 2_048


def test_what_is_too_large_is_told_the_limit(service: Service, hidden: Service) -> None:
    for asked, limit in ((service, "65536"), (hidden, "1000")):
        response = ask(asked, **posted(b" " * 70_000))
        assert response.problem == (413, "body-too-large")
        assert limit in response.json["detail"].replace(",", "")


def test_404_405_and_412_come_before_the_size_and_the_size_before_the_rest(
    service: Service,
) -> None:
    large = b"x" * 70_000
    other = {"Expect-Release": "v44"}
    assert ask(service, "POST", "/nothing", large, JSON | other).status == 404
    assert ask(service, "POST", "/system/live", large, JSON | other).status == 405
    assert ask(service, **posted(large, **other)).status == 412
    assert ask(service, **posted(large, **{"Content-Type": "text/plain"})).status == 413


def test_a_request_that_does_not_arrive_in_ten_seconds_is_408_and_silence_just_ends(
    service: Service,
) -> None:
    """All of them wait at the same time, for the deadlines of the real service."""
    beginnings = [
        b"GET /system/live HTTP/1.1\r\nHost: a\r\n",
        POST + b"Content-Length: 10\r\n\r\n{",
        POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    ]
    with service.connect() as idle, service.connect() as silent:
        idle.sendall(b"GET /system/live HTTP/1.1\r\nHost: a\r\n\r\n")
        assert idle.recv(65_536).startswith(b"HTTP/1.1 200 ")
        waiting = [service.connect() for _ in beginnings]
        for raw, beginning in zip(waiting, beginnings, strict=True):
            raw.sendall(beginning)
        for raw in waiting:
            with raw:
                response = received_whole(raw)
                assert response.startswith(b"HTTP/1.1 408 ")
                assert b'"request-timeout"' in response
        assert received_whole(silent) == b""
        # A kept-alive connection may idle for longer.
        idle.sendall(b"GET /system/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert received_whole(idle).startswith(b"HTTP/1.1 200 ")


def received_whole(raw: socket.socket) -> bytes:
    """Receive until the service closes the connection."""
    received = b""
    with suppress(ConnectionResetError):
        while piece := raw.recv(65_536):
            received += piece
    return received


def test_bytes_at_random_are_a_problem_or_nothing_and_never_an_error_of_the_service(
    service: Service,
) -> None:
    for sent in damaged_requests(seed=7, count=150):
        response = send(service, sent, then_end=True)
        if response and response.status != 200:
            status, code = response.problem
            assert 400 <= status < 500 or code == "not-implemented", (sent, response)
    assert get(service, "/system/live").status == 200


def damaged_requests(seed: int, count: int) -> Iterator[bytes]:
    source = random.Random(seed)
    good = POST + b'Content-Length: 12\r\n\r\n{"ping":"a"}'
    for _ in range(count):
        sent = bytearray(good)
        for _ in range(source.randint(1, 4)):
            place = source.randrange(len(sent))
            sent[place : place + source.randint(0, 3)] = source.randbytes(source.randint(0, 3))
        yield bytes(sent)


def test_what_takes_a_bad_pattern_forever_is_rejected(service: Service) -> None:
    with connected(service) as connection:
        for body in (b'["' + b"\\" * 60_000, b'"' * 60_000, b"[" * 65 + b'"\\' * 30_000):
            assert connection.ping(body).status == 400
        for header in ("X-Request-ID", "traceparent", "Content-Type", "Accept", "Host"):
            value = "a" * 4_000 + "=;" * 1_000
            assert connection.ask("GET", "/", headers={header: value}).status in {200, 400}


def test_what_a_proxy_says_has_no_effect_where_none_is_trusted(service: Service) -> None:
    forged = {
        "X-Forwarded-For": "203.0.113.7",
        "X-Forwarded-Prefix": "/evil",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "SCRIPT_NAME": "/evil",
        "X-Request-ID": "forged",
    }
    assert "evil" not in get(service, "/docs", forged).text
    (line,) = service.records_of("forged")
    assert line["remote_addr"] == "127.0.0.1"


def test_a_trusted_proxy_tells_the_address_and_the_prefix(hidden: Service) -> None:
    told = {
        "X-Forwarded-For": "198.51.100.1, 203.0.113.7",
        "X-Forwarded-Prefix": "/team/petsage",
        "X-Request-ID": "forwarded",
    }
    assert "/team/petsage/openapi.json" in get(hidden, "/docs", told).text
    (line,) = hidden.records_of("forwarded")
    assert line["remote_addr"] == "203.0.113.7"


def test_a_prefix_that_a_trusted_proxy_passes_on_breaks_out_of_no_page(hidden: Service) -> None:
    for prefix in ('/"><script>alert(1)</script>', "/'onload=alert(1)", "//evil.example", "/a\\b"):
        for path in ("/", "/docs", "/redoc"):
            headers = {"X-Forwarded-Prefix": prefix, "Accept": "text/html"}
            page = get(hidden, path, headers)
            assert page.status == 200
            assert "<script>alert" not in page.text
            assert "'onload" not in page.text
            assert '"//evil' not in page.text


@pytest.fixture(scope="module")
def document(service: Service) -> dict[str, Any]:
    found: dict[str, Any] = get(service, "/openapi.json").json
    return found


def examples(node: Any) -> Iterator[dict[str, Any]]:
    """Yield every example of a problem that stands in the OpenAPI document."""
    if isinstance(node, dict):
        if isinstance(node.get("code"), str) and node.keys() >= MEMBERS:
            yield node
        node = list(node.values())
    if isinstance(node, list):
        for one in node:
            yield from examples(one)


def test_every_problem_has_an_example_in_the_document(document: dict[str, Any]) -> None:
    assert {example["code"] for example in examples(document)} == set(PROBLEMS)


PROVOKED: dict[str, Any] = {code: asked for asked, code in ASKED.values()} | {
    code: (sent, then_end) for sent, then_end, code in REJECTED.values() if code != "bad-request"
}


@pytest.mark.parametrize("code", PROVOKED)
def test_a_problem_of_the_document_is_like_the_one_that_comes(
    service: Service, document: dict[str, Any], code: str
) -> None:
    response: Response | None
    if isinstance(PROVOKED[code], dict):
        response = ask(service, **PROVOKED[code])
    else:
        sent, then_end = PROVOKED[code]
        response = send(service, sent, then_end=then_end)
    assert response
    told = response.json
    found = [example for example in examples(document) if example["code"] == code]
    assert found
    for example in found:
        assert example.keys() == told.keys()
        for member in ("type", "title", "status"):
            assert example[member] == told[member]
