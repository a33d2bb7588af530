"""The table of raw requests over the wire, against the service that the Procfile starts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress

import pytest

from petsage.contract import PROBLEMS
from tests.running import Service, running_service
from tests.server.http_cases import CASES, CHUNKED, GET, POST, SMUGGLED, Case
from tests.server.wire import Client

pytestmark = pytest.mark.contract

# The method of a request that can't be read is unknown, and so is whether its body is wanted.
LIVE = GET + b"\r\n"


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with running_service() as service:
        yield service


def assert_problem(client: Client, status: int, code: str) -> None:
    """Read the one response that is left: a problem."""
    response = client.response()
    problem = json.loads(response.body)
    assert (response.status, problem["code"], problem["status"]) == (status, code, status)
    assert PROBLEMS[code].status == status
    assert problem["title"] == PROBLEMS[code].title
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers.get_all("Server") == ["PetSage"]
    assert len(response.headers.get_all("Date") or []) == 1
    assert response.headers["X-Request-ID"] == problem["request_id"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert len(response.body) < 2_000
    if status in (400, 413, 414, 431, 501):
        assert response.headers["Connection"] == "close"
        assert client.rest() == b""
    elif status == 405:
        assert "GET" in response.headers["Allow"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_request_gets_what_the_table_says(service: Service, case: Case) -> None:
    with Client(service.port) as client:
        client.send(LIVE)
        assert client.response().status == 200
        with suppress(OSError):  # the end of what is rejected may not be taken any more
            client.send(case.raw + (SMUGGLED if case.code else b""))
        if case.code is not None:
            assert_problem(client, case.status, case.code)
            return
        response = client.response()
        assert response.status == case.status
        if case.raw.startswith(b"POST"):
            assert json.loads(response.body)["pong"] == "a"
        if response.headers["Connection"] == "close":
            assert client.rest() == b""
        else:
            client.send(LIVE)
            assert client.response().status == 200


def test_no_rejection_leaves_a_traceback_or_an_odd_line_in_the_log(service: Service) -> None:
    with Client(service.port) as client:
        client.send(b"\x00\r\n\r\n")
        assert_problem(client, 400, "bad-request")
    records = service.log_records()
    assert not [record for record in records if "traceback" in record]
    assert [record["method"] for record in records if record.get("path") == "-"][-1] == "-"


@pytest.mark.parametrize("expects", [b"", b"Expect: 100-continue\r\n"])
@pytest.mark.parametrize(
    ("head", "status", "code"),
    [
        (b"POST /none HTTP/1.1\r\nHost: a\r\n", 404, "not-found"),
        (b"POST /system/live HTTP/1.1\r\nHost: a\r\n", 405, "method-not-allowed"),
        (POST + b"Expect-Release: another\r\n", 412, "release-mismatch"),
        (POST, 413, "body-too-large"),
    ],
)
def test_a_body_over_the_limit_is_never_asked_for_and_what_is_worse_goes_first(
    service: Service, head: bytes, status: int, code: str, expects: bytes
) -> None:
    with Client(service.port) as client:
        client.send(head + expects + b"Content-Length: 10737418240\r\n\r\n")
        assert_problem(client, status, code)
        assert client.rest() == b""


def test_100_continue_is_sent_where_the_body_is_wanted(service: Service) -> None:
    for framing, body in (
        (b"Content-Length: 12\r\n", b'{"ping":"a"}'),
        (b"Transfer-Encoding: chunked\r\n", b'c\r\n{"ping":"a"}\r\n0\r\n\r\n'),
    ):
        with Client(service.port) as client:
            client.send(POST + framing + b"Expect: 100-continue\r\n\r\n")
            assert client.response().status == 100
            client.send(body)
            assert json.loads(client.response().body)["pong"] == "a"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"GET /x HTTP/1.1\r\nHo", "bad-request"),
        (POST + b"Content-Length: 5\r\n\r\nabc", "incomplete-body"),
        (CHUNKED + b"3\r\nabc\r\n", "incomplete-body"),
    ],
)
def test_a_half_closed_client_is_told_what_is_missing(
    service: Service, raw: bytes, code: str
) -> None:
    with Client(service.port) as client:
        client.send(raw)
        client.end()
        assert_problem(client, 400, code)


def test_a_large_upload_is_read_to_its_end_so_that_the_client_sees_its_413(
    service: Service,
) -> None:
    with Client(service.port) as client:
        client.send(POST + b"Content-Length: 20000000\r\n\r\n")
        for _ in range(20):
            client.send(bytes(1_000_000))
        assert client.response().status == 413
        client.end()
        assert client.rest() == b""


def test_pipelined_requests_get_their_responses_in_order(service: Service) -> None:
    with Client(service.port) as client:
        for number in range(100):
            body = b'{"ping":"%d"}' % number
            client.send(POST + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        for number in range(100):
            assert json.loads(client.response().body)["pong"] == str(number)
