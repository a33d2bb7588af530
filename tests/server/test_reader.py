"""RequestReader: the table of raw requests, whole and in pieces, and what an environ holds."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from petsage.server.reader import Limits, RejectedError, Request, RequestReader
from petsage.server.wsgi import UnreceivedBody
from tests.server.http_cases import CASES, GET, HOST, MAX_FIELDS, MAX_LINE, PING, POST, Case

LIMITS = Limits(line=MAX_LINE, field=MAX_LINE, fields=MAX_FIELDS, body=65_536)
READ = [case for case in CASES if case.status not in (400, 414, 431, 501)]
REJECTED = [case for case in CASES if case.status in (400, 414, 431, 501)]
HOW = ("whole", "halves", "bytes")


def reader() -> RequestReader:
    return RequestReader(LIMITS, {"SCRIPT_NAME": ""})


def pieces(raw: bytes, how: str) -> list[bytes]:
    if how == "whole":
        return [raw]
    if how == "halves":
        return [raw[: len(raw) // 2], raw[len(raw) // 2 :]]
    step = 1 if len(raw) < 2_000 else 997
    return [raw[at : at + step] for at in range(0, len(raw), step)]


def read(raw: bytes, how: str = "whole") -> Request:
    one = reader()
    for piece in pieces(raw, how):
        one.feed(piece)
        if (request := one.next_request()) is not None:
            return request
    raise AssertionError("the request is not complete")


def environ_of(raw: bytes) -> dict[str, Any]:
    return read(raw).environ


def ids(case: Case) -> str:
    return case.name


def test_no_two_cases_have_the_same_name() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", REJECTED, ids=ids)
def test_a_bad_request_is_rejected_however_it_arrives(case: Case) -> None:
    for how in HOW:
        with pytest.raises(RejectedError) as rejected:
            read(case.raw + b"\r\n\r\n\r\n\r\n", how)
        assert rejected.value.code == case.code
        assert rejected.value.detail.endswith(".")


@pytest.mark.parametrize("case", READ, ids=ids)
def test_a_request_is_read_however_it_arrives(case: Case) -> None:
    requests = [read(case.raw, how) for how in HOW]
    bodies = [request.environ.pop("wsgi.input") for request in requests]
    assert requests == [requests[0]] * len(HOW)
    for body in bodies:
        assert isinstance(body, UnreceivedBody) == ("over the limit" in case.name)
        if case.raw.startswith(b"POST") and case.status == 200:
            assert body.read() == PING


@pytest.mark.parametrize("case", [case for case in READ if case.status == 200], ids=ids)
def test_what_follows_a_request_is_the_next_one(case: Case) -> None:
    one = reader()
    one.feed(case.raw + GET + b"\r\n")
    first, second = one.next_request(), one.next_request()
    assert first is not None
    assert second is not None
    assert second.environ["PATH_INFO"] == "/system/live"
    assert (one.next_request(), one.has_begun) == (None, False)


@pytest.mark.parametrize("case", [case for case in REJECTED if case.status == 400], ids=ids)
def test_a_bad_request_ends_where_it_is_found(case: Case) -> None:
    """Found at the latest with its last byte: nobody waits for more to reject it."""
    one = reader()
    one.feed(case.raw)
    with suppress(RejectedError):
        assert one.next_request() is None
        # Only half a line is left open: what it becomes is not known yet.
        assert not case.raw.endswith(b"\n"), case.name


def test_the_environ_is_what_the_pep_asks_for() -> None:
    environ = environ_of(
        b"POST /a%20b%C3%A9%2F?c=%20 HTTP/1.1\r\nHost: h:8\r\nX-Twice: 1\r\nx-twice: 2 \r\n"
        b"X_Twice: 3\r\nScript-Name: /x\r\nScript_Name: /y\r\nContent_Length: 7\r\n"
        b"Content-Type: text/x\r\nContent-Length: 3\r\n\r\nabc"
    )
    assert environ.pop("wsgi.input").read() == b"abc"
    assert environ == {
        "REQUEST_METHOD": "POST",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/a b\u00c3\u00a9/",
        "QUERY_STRING": "c=%20",
        "REQUEST_URI": "/a%20b%C3%A9%2F?c=%20",
        "RAW_URI": "/a%20b%C3%A9%2F?c=%20",
        "CONTENT_TYPE": "text/x",
        "CONTENT_LENGTH": "3",
        "HTTP_HOST": "h:8",
        "HTTP_X_TWICE": "1,2",
        "HTTP_SCRIPT_NAME": "/x",
    }


def test_chunks_become_a_body_of_known_length() -> None:
    environ = environ_of(POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")
    assert environ["CONTENT_LENGTH"] == "3"
    assert "HTTP_TRANSFER_ENCODING" not in environ
    assert environ["wsgi.input"].read() == b"abc"


TARGETS = {
    b"http://b:81/%41?c=%42": ("b:81", "/A", "c=%42"),
    b"http://b?c": ("b", "/", "c"),
    b"http://b": ("b", "/", ""),
    b"/x//y?": ("a", "/x//y", ""),
}


@pytest.mark.parametrize("target", TARGETS)
def test_a_host_in_the_target_beats_the_header(target: bytes) -> None:
    environ = environ_of(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target)
    found = (environ["HTTP_HOST"], environ["PATH_INFO"], environ["QUERY_STRING"])
    assert found == TARGETS[target]


KEEP_ALIVE = {
    "HTTP/1.1": (b"1.1", b"", True),
    "HTTP/1.2": (b"1.2", b"", True),
    "close": (b"1.1", b"Connection: close\r\n", False),
    "Close, with others": (b"1.1", b"Connection: Keep-Alive,\tClose , x\r\n", False),
    "close in the first of two lines": (b"1.1", b"Connection: close\r\nConnection: x\r\n", False),
    "close in the last of two lines": (b"1.1", b"Connection: x\r\nConnection: close\r\n", False),
    "a word that holds close": (b"1.1", b"Connection: disclose, x-close\r\n", True),
    "HTTP/1.0": (b"1.0", b"", False),
    "HTTP/1.0 keep-alive": (b"1.0", b"Connection: Keep-Alive\r\n", True),
    "HTTP/1.0 keep-alive and close": (b"1.0", b"Connection: keep-alive, close\r\n", False),
}


@pytest.mark.parametrize(("version", "fields", "kept"), KEEP_ALIVE.values(), ids=KEEP_ALIVE)
def test_the_connection_is_kept_as_section_9_3_says(
    version: bytes, fields: bytes, kept: bool
) -> None:
    head = b"GET / HTTP/%b\r\n" % version + HOST + fields + b"\r\n"
    assert read(head).keep_alive is kept


@pytest.mark.parametrize(
    ("fields", "waits"),
    [
        (b"Expect: 100-Continue\r\nContent-Length: 3\r\n", True),
        (b"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n", True),
        (b"Expect: 200-ok\r\nContent-Length: 3\r\n", False),
        (b"Content-Length: 3\r\n", False),
    ],
)
def test_a_100_is_wanted_before_the_body(fields: bytes, waits: bool) -> None:
    one = reader()
    one.feed(POST + fields + b"\r\n")
    assert one.next_request() is None
    assert [one.expects_continue] == [waits]


def test_no_100_is_wanted_by_http_1_0_nor_once_the_body_is_coming() -> None:
    fields = b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    for raw in (b"POST / HTTP/1.0\r\n" + fields, POST + fields + b"a"):
        one = reader()
        one.feed(raw)
        assert one.next_request() is None
        assert not one.expects_continue


def test_a_body_over_the_limit_cannot_be_read_and_ends_the_connection() -> None:
    for fields in (
        b"Content-Length: 65537\r\n\r\n",
        b"Content-Length: 9999999999999999999\r\n\r\n",
    ):
        request = read(POST + b"Expect: 100-continue\r\n" + fields)
        assert not request.keep_alive
        assert isinstance(request.environ["wsgi.input"], UnreceivedBody)


INCOMPLETE = {
    "in the head": (b"GET /x HTTP/1.1\r\nHo", "bad-request"),
    "in the body": (POST + b"Content-Length: 5\r\n\r\nabc", "incomplete-body"),
    "before the body": (POST + b"Content-Length: 5\r\n\r\n", "incomplete-body"),
    "in a chunk": (POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc", "incomplete-body"),
    "in the trailers": (POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", "incomplete-body"),
}


@pytest.mark.parametrize(("raw", "code"), INCOMPLETE.values(), ids=INCOMPLETE)
def test_what_is_missing_of_a_request_is_named(raw: bytes, code: str) -> None:
    one = reader()
    one.feed(raw)
    assert one.next_request() is None
    assert one.has_begun
    assert one.incomplete().code == code


def test_a_rejection_knows_what_was_read_of_the_request() -> None:
    with pytest.raises(RejectedError) as rejected:
        read(b"HEAD /x HTTP/1.1\r\nX-Request-ID: id\r\n\r\n")
    environ = rejected.value.environ
    assert (environ["REQUEST_METHOD"], environ["HTTP_X_REQUEST_ID"]) == ("HEAD", "id")
    with pytest.raises(RejectedError) as rejected:
        read(b"HEAD / X: y\r\n\r\n")
    environ = rejected.value.environ
    assert (environ["REQUEST_METHOD"], environ["REQUEST_URI"]) == ("HEAD", "-")


def test_many_small_chunks_are_a_body_and_endless_framing_is_none() -> None:
    head = POST + b"Transfer-Encoding: chunked\r\n\r\n"
    environ = environ_of(head + b"1\r\na\r\n" * 60_000 + b"0\r\n\r\n")
    assert environ["CONTENT_LENGTH"] == "60000"
    with pytest.raises(RejectedError):
        read(head + b"1;aaaaaaaaaaaaaaaa\r\na\r\n" * 10_000)
