"""Requests that are no good HTTP: each refused with its status, in the one shape, and closed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.service.server.listening import BODY_BYTES, Client, Listening, listening

HOST = b"Host: a\r\n"
POST = b"POST /x HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
# What would be answered 200 if the server took the bytes after a refused request for another one.
SMUGGLED = b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"

BAD_REQUESTS = {
    "no method": b" / HTTP/1.1\r\n" + HOST + b"\r\n",
    "lower case method": b"get / HTTP/1.1\r\n" + HOST + b"\r\n",
    "method that is no token": b"GE[T / HTTP/1.1\r\n" + HOST + b"\r\n",
    "no target": b"GET HTTP/1.1\r\n" + HOST + b"\r\n",
    "no version (HTTP/0.9)": b"GET /\r\n",
    "no version, with headers": b"GET /\r\n" + HOST + b"\r\n",
    "HTTP/0.9 by name": b"GET / HTTP/0.9\r\n" + HOST + b"\r\n",
    "HTTP/1.2": b"GET / HTTP/1.2\r\n" + HOST + b"\r\n",
    "HTTP/1.10": b"GET / HTTP/1.10\r\n" + HOST + b"\r\n",
    "HTTP/2.0": b"GET / HTTP/2.0\r\n" + HOST + b"\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "lower case http": b"GET / http/1.1\r\n" + HOST + b"\r\n",
    "version cut short": b"GET / H\r\n\r\n",
    "another protocol": b"GET / RTSP/1.0\r\n" + HOST + b"\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xab" * 40,
    "two spaces before the target": b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n",
    "two spaces after the target": b"GET /  HTTP/1.1\r\n" + HOST + b"\r\n",
    "space after the version": b"GET / HTTP/1.1 \r\n" + HOST + b"\r\n",
    "tab in the request line": b"GET\t/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "space in the target": b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n",
    "NUL in the target": b"GET /\x00 HTTP/1.1\r\n" + HOST + b"\r\n",
    "raw bytes in the target": b"GET /\xc3\xa9 HTTP/1.1\r\n" + HOST + b"\r\n",
    "fragment in the target": b"GET /#a HTTP/1.1\r\n" + HOST + b"\r\n",
    "relative target": b"GET a HTTP/1.1\r\n" + HOST + b"\r\n",
    "target of another scheme": b"GET ftp://a/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "target with a user": b"GET http://u@a/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "target without a host": b"GET http:/// HTTP/1.1\r\n" + HOST + b"\r\n",
    "CONNECT to a host": b"CONNECT a:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "* with GET": b"GET * HTTP/1.1\r\n" + HOST + b"\r\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "empty Host": b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
    "two Hosts": b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    "two different Hosts": b"GET / HTTP/1.1\r\n" + HOST + b"Host: b\r\n\r\n",
    "Host with a slash": b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "Host with a user": b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
    "Host with a space": b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "Host list": b"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n",
    "Host with a port that is none": b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n",
    "Host with a port too high": b"GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n",
    "Host that is no IPv6 address": b"GET / HTTP/1.1\r\nHost: [::g]\r\n\r\n",
    "Host with an open bracket": b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
    "Host in raw bytes": b"GET / HTTP/1.1\r\nHost: \xc3\xa9\r\n\r\n",
    "bad Host in HTTP/1.0": b"GET / HTTP/1.0\r\nHost: a b\r\n\r\n",
    "header without a colon": b"GET / HTTP/1.1\r\n" + HOST + b"X\r\n\r\n",
    "header without a name": b"GET / HTTP/1.1\r\n" + HOST + b": x\r\n\r\n",
    "space before the colon": b"GET / HTTP/1.1\r\n" + HOST + b"X : x\r\n\r\n",
    "space before the first header": b"GET / HTTP/1.1\r\n X: x\r\n" + HOST + b"\r\n",
    "space in a header's name": b"GET / HTTP/1.1\r\n" + HOST + b"X Y: x\r\n\r\n",
    "raw bytes in a header's name": b"GET / HTTP/1.1\r\n" + HOST + b"X\xe9: x\r\n\r\n",
    "obsolete line folding": b"GET / HTTP/1.1\r\n" + HOST + b"X: x\r\n y\r\n\r\n",
    "NUL in a header": b"GET / HTTP/1.1\r\n" + HOST + b"X: \x00\r\n\r\n",
    "escape in a header": b"GET / HTTP/1.1\r\n" + HOST + b"X: \x1b[31m\r\n\r\n",
    "lone CR in a header": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\rb\r\n\r\n",
    "lone LF after the request line": b"GET / HTTP/1.1\n" + HOST + b"\r\n",
    "lone LF after a header": b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
    "lone LF at the end of the head": b"GET / HTTP/1.1\r\n" + HOST + b"\n",
    "only lone LFs": b"GET / HTTP/1.1\nHost: a\n\n",
    "empty lines and a lone CR first": b"\r\n\r\n\rGET / HTTP/1.1\r\n" + HOST + b"\r\n",
    "length and chunks": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "length and identity": POST + b"Transfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 0\r\nContent-Length: 5\r\n\r\nabcde",
    "the same length twice": POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nabcde",
    "list of lengths": POST + b"Content-Length: 5, 5\r\n\r\nabcde",
    "length with a sign": POST + b"Content-Length: +5\r\n\r\nabcde",
    "negative length": POST + b"Content-Length: -5\r\n\r\nabcde",
    "hexadecimal length": POST + b"Content-Length: 0x5\r\n\r\nabcde",
    "length with an underscore": POST + b"Content-Length: 1_0\r\n\r\nabcdeabcde",
    "length with a space in it": POST + b"Content-Length: 1 0\r\n\r\nabcdeabcde",
    "empty length": POST + b"Content-Length:\r\n\r\n",
    "length that wraps around to 5": POST + b"Content-Length: 18446744073709551621\r\n\r\nabcde",
    "length of thirty digits": POST + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n",
    "gzip, chunked": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked, gzip": POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    "chunked, chunked": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "identity": POST + b"Transfer-Encoding: identity\r\n\r\n",
    "unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "empty coding": POST + b"Transfer-Encoding:\r\n\r\n",
    "coding after a comma": POST + b"Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n",
    "quoted coding": POST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "coding with a vertical tab": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": b"POST / HTTP/1.0\r\n" + HOST
    + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two media types": POST + b"Content-Type: a/b\r\nContent-Type: c/d\r\n\r\n",
}  # fmt: skip
BROKEN_CHUNKS = {
    "size that is no number": b"zz\r\nabc\r\n0\r\n\r\n",
    "empty size": b"\r\nabc\r\n0\r\n\r\n",
    "negative size": b"-3\r\nabc\r\n0\r\n\r\n",
    "size with a sign": b"+3\r\nabc\r\n0\r\n\r\n",
    "size with 0x": b"0x3\r\nabc\r\n0\r\n\r\n",
    "size with an underscore": b"0_3\r\nabc\r\n0\r\n\r\n",
    "space before the size": b" 3\r\nabc\r\n0\r\n\r\n",
    "space after the size": b"3 \r\nabc\r\n0\r\n\r\n",
    "size that wraps around to 3": b"10000000000000003\r\nabc\r\n0\r\n\r\n",
    "lone LF after the size": b"3\nabc\r\n0\r\n\r\n",
    "lone CR after the size": b"3\rabc\r\n0\r\n\r\n",
    "lone LF in an extension": b"3;a\nabc\r\n0\r\n\r\n",
    "lone CR in an extension": b"3;a\rb\r\nabc\r\n0\r\n\r\n",
    "NUL in an extension": b"3;a=\x00\r\nabc\r\n0\r\n\r\n",
    "chunk longer than its size": b"3\r\nabcd\r\n0\r\n\r\n",
    "chunk shorter than its size": b"4\r\nabc\r\n0\r\n\r\n",
    "no line end after a chunk": b"3\r\nabc0\r\n\r\n",
    "trailer without a colon": b"3\r\nabc\r\n0\r\nX\r\n\r\n",
    "trailer folded": b"3\r\nabc\r\n0\r\nX: y\r\n z\r\n\r\n",
    "trailer with a lone LF": b"3\r\nabc\r\n0\r\nX: y\n\r\n",
    "endless extension": b"3;" + b"a" * 10_000,
    "endless trailers": b"0\r\n" + b"X: y\r\n" * 3_000,
    "endless leading zeros": b"0" * 10_000,
}
GET = b"GET / HTTP/1.1\r\n" + HOST
TOO_LONG = {
    "long target": b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "long query": b"GET /?" + b"a" * 9_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "endless target": b"GET /" + b"a" * 9_000,
}
TOO_LARGE = {
    "101 headers": GET + b"X: y\r\n" * 100 + b"\r\n",
    "1,000 headers": GET + b"X: y\r\n" * 999 + b"\r\n",
    "large header": GET + b"X: " + b"y" * 9_000 + b"\r\n\r\n",
    "large name": GET + b"X" * 9_000 + b": y\r\n\r\n",
    "endless header": GET + b"X: " + b"y" * 70_000,
    "endless headers": GET + b"X: y\r\n" * 20_000,
}
CASES = [
    *(pytest.param(raw, 400, "bad-request", id=name) for name, raw in BAD_REQUESTS.items()),
    *(
        pytest.param(CHUNKED + raw, 400, "incomplete-body", id=name)
        for name, raw in BROKEN_CHUNKS.items()
    ),
    *(pytest.param(raw, 414, "uri-too-long", id=name) for name, raw in TOO_LONG.items()),
    *(pytest.param(raw, 431, "headers-too-large", id=name) for name, raw in TOO_LARGE.items()),
]


@pytest.fixture(scope="module")
def server() -> Iterator[Listening]:
    with listening(request_seconds=5.0) as server:
        yield server


def assert_refused(connection: Client, status: int, code: str) -> None:
    """Read the one answer on a connection: a problem, and then the end."""
    answer = connection.answer()
    problem = json.loads(answer.body)
    assert (answer.status, problem["code"], problem["status"]) == (status, code, status)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Connection"] == "close"
    assert answer.headers.get_all("Server") == ["PetSage"]
    assert len(answer.headers.get_all("Date") or []) == 1
    assert answer.headers["X-Request-ID"] == problem["request_id"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert connection.rest() == b""


@pytest.mark.parametrize(("raw", "status", "code"), CASES)
def test_is_refused_and_nothing_after_it_is_read(
    server: Listening, raw: bytes, status: int, code: str
) -> None:
    with server.connect() as connection:
        connection.send(raw + SMUGGLED)
        assert_refused(connection, status, code)


@pytest.mark.parametrize(("raw", "status", "code"), CASES)
def test_is_refused_on_a_kept_alive_connection_too(
    server: Listening, raw: bytes, status: int, code: str
) -> None:
    with server.connect() as connection:
        connection.send(b"GET /first HTTP/1.1\r\n" + HOST + b"\r\n")
        assert connection.answer().body == b"GET /first "
        connection.send(raw)
        assert_refused(connection, status, code)


@pytest.mark.parametrize("target", [b"/" + b"a" * 9_000, b"a", b"/#a", b"/ X: y"])
def test_a_head_that_is_refused_gets_no_body_either(server: Listening, target: bytes) -> None:
    with server.connect() as connection:
        connection.send(b"\r\nHEAD %b HTTP/1.1\r\nHost: a\r\n\r\n" % target)
        answer = connection.answer("HEAD")
        assert answer.status in (400, 414)
        assert int(answer.headers["Content-Length"]) > 100
        assert connection.rest() == b""


# A space within the first bytes and such show only once the line is there; these need the rest.
@pytest.mark.parametrize(("raw", "status", "code"), CASES)
def test_is_refused_when_it_comes_in_pieces(
    server: Listening, raw: bytes, status: int, code: str
) -> None:
    with server.connect() as connection:
        middle = len(raw) // 2
        connection.send(raw[:middle])
        time.sleep(0.002)
        with suppress(OSError):  # refused already
            connection.send(raw[middle:] + SMUGGLED)
        assert_refused(connection, status, code)


GOOD = {
    "plain": (b"GET /x HTTP/1.1\r\n" + HOST + b"\r\n", b"GET /x "),
    "an empty line first": (b"\r\nGET /x HTTP/1.1\r\n" + HOST + b"\r\n", b"GET /x "),
    "many empty lines first": (
        b"\r\n" * 1_000 + b"GET /x HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /x ",
    ),
    "a body and an empty line": (POST + b"Content-Length: 3\r\n\r\nabc\r\n", b"POST /x abc"),
    "chunks and an empty line": (CHUNKED + b"3\r\nabc\r\n0\r\n\r\n\r\n", b"POST /x abc"),
    "a body": (POST + b"Content-Length: 3\r\n\r\nabc", b"POST /x abc"),
    "leading zeros of the length": (POST + b"Content-Length: 003\r\n\r\nabc", b"POST /x abc"),
    "chunks": (CHUNKED + b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", b"POST /x abc"),
    "chunk extension": (CHUNKED + b'3;a="b"\r\nabc\r\n0;c\r\n\r\n', b"POST /x abc"),
    "trailers": (CHUNKED + b"3\r\nabc\r\n0\r\nX: y\r\nZ:\r\n\r\n", b"POST /x abc"),
    "leading zeros of a chunk": (CHUNKED + b"0003\r\nabc\r\n00\r\n\r\n", b"POST /x abc"),
    "upper case coding": (
        POST + b"Transfer-Encoding: CHUNKED\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"POST /x abc",
    ),
    "upgrade": (
        b"GET /x HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"GET /x ",
    ),
    "h2c upgrade": (
        b"GET /x HTTP/1.1\r\n" + HOST + b"Connection: Upgrade, HTTP2-Settings\r\n"
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n",
        b"GET /x ",
    ),
    "URL as target": (b"GET http://b/x?y HTTP/1.1\r\n" + HOST + b"\r\n", b"GET http://b/x?y "),
    "OPTIONS *": (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", b"OPTIONS * "),
    "IPv6 host": (b"GET /x HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", b"GET /x "),
    "raw bytes in a header": (
        b"GET /x HTTP/1.1\r\n" + HOST + b"X: \xc3\xa9\r\n\r\n",
        b"GET /x ",
    ),
    "a header of 8,000 bytes": (
        b"GET /x HTTP/1.1\r\n" + HOST + b"X: " + b"y" * 8_000 + b"\r\n\r\n",
        b"GET /x ",
    ),
    "100 headers": (
        b"GET /x HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 99 + b"\r\n",
        b"GET /x ",
    ),
}


@pytest.mark.parametrize(("raw", "body"), GOOD.values(), ids=GOOD.keys())
def test_is_served_and_what_follows_is_served_next(
    server: Listening, raw: bytes, body: bytes
) -> None:
    with server.connect() as connection:
        connection.send(raw + b"GET /next HTTP/1.1\r\n" + HOST + b"\r\n")
        assert connection.answer().body == body
        assert connection.answer().body == b"GET /next "


@pytest.mark.parametrize(("raw", "body"), GOOD.values(), ids=GOOD.keys())
def test_is_served_when_it_comes_byte_by_byte(server: Listening, raw: bytes, body: bytes) -> None:
    with server.connect() as connection:
        step = 1 if len(raw) < 1_000 else 97
        for start in range(0, len(raw), step):
            connection.send(raw[start : start + step])
        assert connection.answer().body == body


def test_http_1_0_needs_no_host_and_closes(server: Listening) -> None:
    with server.connect() as connection:
        connection.send(b"GET /x HTTP/1.0\r\n\r\n")
        answer = connection.answer()
        assert (answer.status, answer.body, answer.headers["Connection"]) == (
            200,
            b"GET /x ",
            "close",
        )
        assert connection.rest() == b""


def test_http_1_0_keeps_alive_when_asked(server: Listening) -> None:
    with server.connect() as connection:
        for _ in range(2):
            connection.send(b"GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert connection.answer().headers["Connection"] == "keep-alive"


def test_a_host_in_the_target_beats_the_header() -> None:
    def app(environ, start_response):  # type: ignore[no-untyped-def]
        start_response("200 OK", [])
        return ["{HTTP_HOST} {PATH_INFO} {QUERY_STRING}".format(**environ).encode()]

    with listening(app) as server, server.connect() as connection:
        connection.send(b"GET http://b:81/%41?c=%42 HTTP/1.1\r\n" + HOST + b"\r\n")
        assert connection.answer().body == b"b:81 /A c=%42"
        connection.send(b"GET http://b?c HTTP/1.1\r\n" + HOST + b"\r\n")
        assert connection.answer().body == b"b / c"


@pytest.mark.parametrize(
    "announced", [BODY_BYTES + 1, 10 * 2**30, 999_999_999_999_999_999], ids=str
)
def test_a_body_announced_too_large_is_never_asked_for(server: Listening, announced: int) -> None:
    with server.connect() as connection:
        connection.send(POST + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % announced)
        assert_refused(connection, 413, "body-too-large")


def test_a_body_in_chunks_is_received_to_the_limit_only(server: Listening) -> None:
    with server.connect() as connection:
        connection.send(CHUNKED + b"200\r\n" + b"a" * 0x200 + b"\r\n")
        connection.send(b"ffffff\r\n" + b"a" * 0x200)
        assert_refused(connection, 413, "body-too-large")


def test_100_continue_is_sent_where_the_body_is_wanted(server: Listening) -> None:
    with server.connect() as connection:
        connection.send(POST + b"Expect: 100-Continue\r\nContent-Length: 3\r\n\r\n")
        assert connection.answer().status == 100
        connection.send(b"abc")
        assert connection.answer().body == b"POST /x abc"


def test_100_continue_is_not_sent_where_the_body_is_there_already(server: Listening) -> None:
    with server.connect() as connection:
        connection.send(POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc")
        assert connection.answer().status == 200


HALF_CLOSED = {
    "in the head": (b"GET /x HTTP/1.1\r\nHo", "bad-request"),
    "in the body": (POST + b"Content-Length: 5\r\n\r\nabc", "incomplete-body"),
    "before the body": (POST + b"Content-Length: 5\r\n\r\n", "incomplete-body"),
    "in a chunk": (CHUNKED + b"5\r\nabc", "incomplete-body"),
    "before the last chunk": (CHUNKED + b"3\r\nabc\r\n", "incomplete-body"),
    "in the trailers": (CHUNKED + b"3\r\nabc\r\n0\r\n", "incomplete-body"),
}


@pytest.mark.parametrize(("raw", "code"), HALF_CLOSED.values(), ids=HALF_CLOSED.keys())
def test_a_half_closed_client_is_told_what_is_missing(
    server: Listening, raw: bytes, code: str
) -> None:
    with server.connect() as connection:
        connection.send(raw)
        connection.end()
        assert_refused(connection, 400, code)


def test_a_half_closed_client_gets_all_its_answers(server: Listening) -> None:
    with server.connect() as connection:
        connection.send((b"GET /1 HTTP/1.1\r\n" + HOST + b"\r\n") * 20)
        connection.end()
        assert connection.rest().count(b"GET /1 ") == 20


def test_a_client_that_half_closes_after_its_last_byte_gets_its_answer(server: Listening) -> None:
    for _ in range(20):
        with server.connect() as connection:
            connection.send(POST + b"Content-Length: 3\r\n\r\nab")
            time.sleep(0.005)
            connection.send(b"c")
            connection.end()
            assert connection.rest().endswith(b" abc")


def test_a_client_that_says_nothing_and_goes_gets_nothing(server: Listening) -> None:
    with server.connect() as connection:
        connection.end()
        assert connection.rest() == b""
