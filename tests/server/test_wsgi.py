"""PEP 3333, as any app relies on it: called inline or in a thread, the response is the same."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from typing import Any, cast
from wsgiref.validate import validator

import pytest
from flask import Flask, request

from petsage import create_app
from petsage.server.wsgi import ErrorsStream, Threads, base_environ
from petsage.service.logs import current_request
from tests.server.fakes import BODY_BYTES, GET, POST, World, echo
from tests.server.wire import Response
from tests.server.wsgi_apps import (
    TEXT,
    Probe,
    announces_less,
    announces_more,
    changes_its_mind,
    exits,
    forgets_to_start,
    generates,
    has_no_content,
    is_cancelled,
    is_empty,
    is_hop_by_hop,
    is_no_iterable,
    is_not_modified,
    names_itself,
    raises,
    raises_after_start,
    raises_half_way,
    splits_a_header,
    splits_a_header_softly,
    starts_twice,
    writes,
    yields_text,
)


@pytest.fixture(params=[True, False], ids=["inline", "in a thread"])
def inline(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def ask(app: Any, inline: bool, request: bytes = GET) -> tuple[Response, bool]:
    """Return the response, and whether the connection was kept alive."""
    world = World(app, inline=inline)
    client = world.connect()
    client.send(request)
    world.work()
    response = client.response(request.split(b" ")[0].decode())
    assert client.received == b""
    return response, response.headers["Connection"] != "close" and not client.closed


BODIES = {writes: b"one two three", generates: b"one two", is_empty: b"", is_hop_by_hop: b"bye"}


@pytest.mark.parametrize("app", BODIES)
def test_the_body_is_gathered_and_its_length_announced(app: Any, inline: bool) -> None:
    response, kept = ask(app, inline)
    assert (response.status, response.body) == (200, BODIES[app])
    assert response.headers["Content-Length"] == str(len(BODIES[app]))
    assert kept == (app is not is_hop_by_hop)
    assert not {"Keep-Alive", "Transfer-Encoding"} & set(response.headers)
    assert response.headers["Server"] == "PetSage"
    assert response.headers["Date"].endswith(" GMT")


def test_what_the_app_says_of_itself_stands(inline: bool) -> None:
    response, _ = ask(names_itself, inline)
    assert response.headers.get_all("Server") == ["Own"]
    assert response.headers.get_all("Date") == ["Thu, 01 Jan 1970 00:00:00 GMT"]


@pytest.mark.parametrize("app", [writes, generates, echo, is_empty, names_itself])
def test_head_carries_no_body(app: Any, inline: bool) -> None:
    response, kept = ask(app, inline, b"HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (response.status, kept) == (200, True)


@pytest.mark.parametrize(("app", "status"), [(has_no_content, 204), (is_not_modified, 304)])
def test_some_responses_have_neither_body_nor_length(app: Any, status: int, inline: bool) -> None:
    response, kept = ask(app, inline)
    assert (response.status, kept) == (status, True)
    assert not {"Content-Length", "Transfer-Encoding"} & set(response.headers)


def test_a_body_longer_than_announced_is_cut(inline: bool) -> None:
    response, kept = ask(announces_less, inline)
    assert (response.body, kept) == (b"abc", True)


def test_a_body_shorter_than_announced_ends_the_connection(inline: bool) -> None:
    world = World(announces_more, inline=inline)
    client = world.connect()
    client.send(GET)
    world.work()
    assert client.received.endswith(b"Connection: close\r\n\r\nabc")
    assert client.closed


def test_start_response_may_be_called_again_with_what_went_wrong(inline: bool) -> None:
    response, _ = ask(changes_its_mind, inline)
    assert (response.status, response.body) == (418, b"no coffee")


FAILING = [
    *(raises, raises_after_start, raises_half_way, exits, is_cancelled),
    *(forgets_to_start, starts_twice, splits_a_header, splits_a_header_softly),
    *(is_no_iterable, yields_text),
]


@pytest.mark.parametrize("app", FAILING)
def test_an_app_that_fails_is_a_500_that_tells_nothing(
    app: Any, inline: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        response, kept = ask(app, inline)
    assert (response.status, response.headers["Content-Type"]) == (500, "application/problem+json")
    assert b'"internal-error"' in response.body
    assert b"secret" not in response.body
    assert "Set-Cookie" not in response.headers
    assert kept
    assert [record.getMessage() for record in caplog.records] == ["The app failed."]


def test_the_body_is_closed_also_when_it_fails(inline: bool) -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        if environ["REQUEST_URI"] == "/fails":
            return Probe(b"x")  # start_response was never called
        start_response("200 OK", [TEXT])
        return Probe(b"x")

    Probe.closed = 0
    ask(app, inline)
    assert Probe.closed == 1
    ask(app, inline, b"GET /fails HTTP/1.1\r\nHost: a\r\n\r\n")
    assert Probe.closed == 2


@pytest.mark.parametrize("app", [writes, generates, is_empty, announces_less, has_no_content])
def test_the_validator_of_the_standard_library_has_no_complaint(app: Any, inline: bool) -> None:
    response, _ = ask(validator(app), inline)
    assert response.status in (200, 204)


def test_the_environ_names_the_client_and_the_server() -> None:
    seen: list[dict[str, Any]] = []

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        seen.append(environ)
        return echo(environ, start_response)

    ask(app, inline=True)
    assert (seen[0]["REMOTE_ADDR"], seen[0]["REMOTE_PORT"]) == ("192.0.2.1", "4711")
    assert (seen[0]["SERVER_NAME"], seen[0]["SERVER_PORT"]) == ("192.0.2.9", "80")
    assert base_environ("/run/socket")["SERVER_NAME"] == "localhost"


def test_what_an_app_writes_to_wsgi_errors_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    stream = ErrorsStream()
    print("one\ntwo", file=cast(Any, stream))
    stream.writelines(["th", "ree"])
    stream.flush()
    stream.flush()
    assert [record.getMessage() for record in caplog.records] == ["one", "two", "three"]


def test_a_large_body_is_sent_as_it_is_so_that_many_clients_can_share_it(inline: bool) -> None:
    body, written = bytes(100_000), list[bytes]()

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [TEXT])
        return [body]

    world = World(app, inline=inline)
    client = world.connect()
    client.write = written.append  # type: ignore[method-assign]
    client.send(GET)
    world.work()
    head, part = written
    assert head.endswith(b"\r\n\r\n")
    assert part is body


def test_a_call_that_hangs_takes_one_thread_and_the_others_go_on() -> None:
    threads, hanging, done = Threads(2), threading.Event(), threading.Semaphore(0)
    threads.run(lambda: hanging.wait(30) and None)
    for _ in range(20):
        threads.run(done.release)
    for _ in range(20):
        assert done.acquire(timeout=30)
    hanging.set()


def test_threads_are_no_more_than_allowed_and_one_at_least() -> None:
    for limit in (3, 0):
        seen, done = set(), threading.Semaphore(0)

        def call() -> None:
            seen.add(threading.current_thread())  # noqa: B023
            done.release()  # noqa: B023

        threads = Threads(limit)
        for _ in range(50):
            threads.run(call)
        for _ in range(50):
            assert done.acquire(timeout=30)
        assert 1 <= len(seen) <= max(1, limit)
        assert all(thread.daemon for thread in seen)


def test_a_failure_is_logged_under_the_id_that_its_response_names(
    inline: bool, caplog: pytest.LogCaptureFixture
) -> None:
    own = create_app()
    logged: list[str | None] = []

    @own.get("/x")
    def fails() -> tuple[str, dict[str, str]]:
        logging.getLogger("own").error("in the view")
        return "", {"X-Own": "\u20ac"}  # no header can hold it

    def note(record: logging.LogRecord) -> bool:
        logged.append(current_request.get().request_id)
        return True

    caplog.handler.addFilter(note)
    response, _ = ask(own, inline)
    caplog.handler.removeFilter(note)
    assert response.status == 500
    assert {"in the view", "The app failed."} <= {one.getMessage() for one in caplog.records}
    assert set(logged) == {response.headers["X-Request-ID"]}


def reads(environ: Any, start_response: Any) -> Iterable[bytes]:
    body = environ["wsgi.input"].read()
    start_response("200 OK", [TEXT])
    return [b"%d" % len(body)]


def reads_lines(environ: Any, start_response: Any) -> Iterable[bytes]:
    body = list(environ["wsgi.input"])
    start_response("200 OK", [TEXT])
    return [b"%d" % len(body)]


own = Flask("own")


@own.post("/x")
def upload() -> dict[str, int]:
    return {name: len(file.read()) for name, file in request.files.items()}


LARGE = b"x" * (BODY_BYTES + 1)
FORM = (
    b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n%b\r\n--b--\r\n' % LARGE
)
TOO_LARGE = {
    "announced": b"Content-Length: %d\r\n\r\n%b" % (len(FORM), FORM),
    "in chunks": b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(FORM), FORM),
}


@pytest.mark.parametrize("body", TOO_LARGE.values(), ids=TOO_LARGE)
@pytest.mark.parametrize("app", [reads, reads_lines, own], ids=["reads", "lines", "Flask"])
def test_a_body_too_large_to_be_received_is_never_taken_for_an_empty_one(
    app: Any, body: bytes, inline: bool
) -> None:
    head = POST + b"Content-Type: multipart/form-data; boundary=b\r\n"
    response, kept = ask(app, inline, head + body)
    assert (response.status, kept) == (413, False)
    assert f"{BODY_BYTES:,}".encode() in response.body


def test_an_app_that_reads_no_body_responds_whatever_its_size(inline: bool) -> None:
    response, kept = ask(writes, inline, POST + TOO_LARGE["announced"])
    assert (response.status, kept) == (200, False)
