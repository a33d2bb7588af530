"""The parser of a response, fed piece by piece."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petsage.client.response import (
    MAX_BODY_BYTES,
    Response,
    read_response,
)
from petsage.client.result import Failure, NoResponseError


def read(*pieces: bytes, method: str = "POST") -> Response:
    left = iter(pieces)
    return read_response(lambda: next(left, b""), method=method)


def one_by_one(data: bytes) -> Iterable[bytes]:
    return (bytes([byte]) for byte in data)


COMPLETE = {
    "a length": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "a length given twice alike": b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello",
    "no length": b"HTTP/1.0 200 OK\r\n\r\nhello",
    "no reason": b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nX: y\r\n\r\n",
    "interim responses": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "more than was announced": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello world",
}


@pytest.mark.parametrize("data", COMPLETE.values(), ids=COMPLETE.keys())
def test_a_response_is_read_however_it_arrives(data: bytes) -> None:
    for response in (read(data), read(*one_by_one(data))):
        assert (response.status, response.body, response.complete) == (200, b"hello", True)


def test_responses_without_a_body_have_none() -> None:
    assert read(b"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n").body == b""
    for method in ("HEAD", "CONNECT"):
        assert read(COMPLETE["a length"], method=method).body == b""


def test_fields_are_found_in_any_case_and_repeated_ones_show_each_value() -> None:
    response = read(b"HTTP/1.1 204 No\r\nX-A: 1\r\nx-a: 1\r\nX-a:  2 \r\n\r\n")
    assert (response.header("x-A"), response.header("X-B")) == ("1, 2", None)


def test_a_field_full_of_blanks_is_read_at_once() -> None:
    # What takes quadratic time here (a minute) ends by no deadline.
    blanks = b" " * 60_000
    began = time.process_time()
    head = b"HTTP/1.1 204 No\r\nX: \ta" + blanks + b"b" + b"\t \r\nY:\r\n\r\n"
    assert read(head).headers == {"x": f"a{blanks.decode()}b", "y": ""}
    assert time.process_time() - began < 1


NO_RESPONSE = {
    "no HTTP": b"220 mail.example ESMTP\r\n",
    "HTTP/2": b"HTTP/2 200\r\n\r\n",
    "a line that is no field": b"HTTP/1.1 200 OK\r\nhello\r\n\r\n",
    "a folded field": b"HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
    "another coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "a chunk of no size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "a chunk too long": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
    "a switch of protocols": b"HTTP/1.1 101 Switching\r\n\r\n",
    "interim responses without end": b"HTTP/1.1 102 Processing\r\n\r\n" * 100,
    "a head without end": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000,
    "a line without end": b"HTTP/" + b"1" * 200_000,
}


@pytest.mark.parametrize("data", NO_RESPONSE.values(), ids=NO_RESPONSE.keys())
def test_what_is_no_response_is_an_error(data: bytes) -> None:
    with pytest.raises(NoResponseError) as caught:
        read(data)
    assert caught.value.judgement.failure is Failure.NOT_THE_SERVICE


@pytest.mark.parametrize("start", [b"<html>", b"SSH-2.0", b"HTML", b"\0"])
def test_what_is_no_http_is_told_by_its_first_bytes(start: bytes) -> None:
    def never() -> bytes:
        raise AssertionError("its line may never end")

    left = iter([bytes([byte]) for byte in start])
    with pytest.raises(NoResponseError, match="does not speak HTTP"):
        read_response(lambda: next(left, b"") or never())


@pytest.mark.parametrize("name", ["a length", "chunks", "interim responses"])
def test_a_response_cut_anywhere_is_cut(name: str) -> None:
    for end in range(len(COMPLETE[name])):
        with pytest.raises(NoResponseError) as caught:
            read(COMPLETE[name][:end])
        assert caught.value.judgement.failure is Failure.RESET


@pytest.mark.parametrize(
    "head",
    [b"", b"Content-Length: 99999999\r\n", b"Transfer-Encoding: chunked\r\n"],
    ids=["to the end", "by length", "by chunk"],
)
def test_a_body_is_read_up_to_a_cap(head: bytes) -> None:
    start = b"FFFFFF\r\n" if b"chunked" in head else b""
    pieces = [b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + start] + [b"x" * 65_536] * 100
    left = iter(pieces)
    response = read_response(lambda: next(left, b""))
    assert (len(response.body), response.complete) == (MAX_BODY_BYTES, False)
    assert len(list(left)) > 90


@given(st.lists(st.binary(max_size=60), max_size=20), st.sampled_from(list(COMPLETE.values())))
def test_any_bytes_are_a_response_or_one_of_two_errors(noise: list[bytes], complete: bytes) -> None:
    for pieces in (noise, [complete[: len(complete) // 2], *noise]):
        with contextlib.suppress(NoResponseError):
            assert read(*pieces).status >= 200
