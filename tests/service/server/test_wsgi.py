"""PEP 3333, as any app relies on it: called right away or in a thread, the answer is the same."""

from __future__ import annotations

import logging
import time
from asyncio import CancelledError
from collections.abc import Iterable
from contextlib import ExitStack
from io import BytesIO
from typing import Any
from wsgiref.validate import validator

import pytest
from flask import Flask, request

from petsage import create_app
from petsage.service.logs import current_request
from petsage.server import answer as server_answer
from tests.service.server.listening import BODY_BYTES, Answer, echo, listening
from tests.service.server.wsgi_apps import (
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
    splits_a_header,
    splits_a_header_softly,
    starts_twice,
    writes,
)


@pytest.fixture(params=["at once", "in a thread"])
def never_blocks(request: pytest.FixtureRequest) -> Any:
    return lambda environ: request.param == "at once"


def ask(
    app: Any,
    never_blocks: Any,
    request: bytes = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n",
) -> tuple[Answer, bool]:
    """Return the answer, and whether the connection was kept alive."""
    with listening(app, never_blocks=never_blocks) as server, server.connect() as client:
        client.send(request)
        answer = client.answer(request.split()[0].decode())
        client.end()
        return answer, answer.headers["Connection"] != "close" and client.rest() == b""


@pytest.mark.parametrize(
    ("app", "body"),
    [(writes, b"one two three"), (generates, b"one two"), (is_empty, b""), (is_hop_by_hop, b"bye")],
)
def test_the_body_arrives_whole(app: Any, body: bytes, never_blocks: Any) -> None:
    answer, kept = ask(app, never_blocks)
    assert (answer.status, answer.body) == (200, body)
    assert kept == (app is not is_hop_by_hop)
    assert answer.headers["Keep-Alive"] is None
    assert answer.headers["Server"] == "PetSage"
    assert answer.headers["Date"].endswith(" GMT")


def test_what_the_app_says_of_itself_stands(never_blocks: Any) -> None:
    answer, _ = ask(names_itself, never_blocks)
    assert answer.headers.get_all("Server") == ["Own"]
    assert answer.headers.get_all("Date") == ["Thu, 01 Jan 1970 00:00:00 GMT"]


@pytest.mark.parametrize("app", [writes, generates, echo, is_empty, names_itself])
def test_head_carries_no_body(app: Any, never_blocks: Any) -> None:
    with listening(app, never_blocks=never_blocks) as server, server.connect() as client:
        client.send(b"HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
        for _ in range(2):
            assert client.answer("HEAD").status == 200
        client.end()
        assert client.rest() == b""


@pytest.mark.parametrize(
    ("app", "status"), [(has_no_content, 204), (is_not_modified, 304)], ids=["204", "304"]
)
def test_some_answers_have_neither_body_nor_length(
    app: Any, status: int, never_blocks: Any
) -> None:
    answer, kept = ask(app, never_blocks)
    assert (answer.status, kept) == (status, True)
    assert not {"Content-Length", "Transfer-Encoding"} & set(answer.headers)


def test_http_1_0_gets_no_chunks(never_blocks: Any) -> None:
    answer, kept = ask(generates, never_blocks, b"GET /x HTTP/1.0\r\n\r\n")
    assert (answer.body, kept) == (b"one two", False)
    assert answer.headers["Transfer-Encoding"] is None


def test_a_body_longer_than_announced_is_cut(never_blocks: Any) -> None:
    answer, kept = ask(announces_less, never_blocks)
    assert (answer.body, kept) == (b"abc", True)


def test_a_body_shorter_than_announced_ends_the_connection(never_blocks: Any) -> None:
    with (
        listening(announces_more, never_blocks=never_blocks) as server,
        server.connect() as client,
    ):
        client.send(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.rest().endswith(b"\r\n\r\nabc")


def test_start_response_may_be_called_again_with_what_went_wrong(never_blocks: Any) -> None:
    answer, _ = ask(changes_its_mind, never_blocks)
    assert (answer.status, answer.body) == (418, b"no coffee")


@pytest.mark.parametrize(
    "app",
    [
        raises,
        raises_after_start,
        forgets_to_start,
        starts_twice,
        splits_a_header,
        splits_a_header_softly,
        is_no_iterable,
        exits,
        is_cancelled,
    ],
)
def test_an_app_that_fails_is_a_500_that_tells_nothing(
    app: Any, never_blocks: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer, kept = ask(app, never_blocks)
    assert (answer.status, answer.headers["Content-Type"]) == (500, "application/problem+json")
    assert b'"internal-error"' in answer.body
    assert b"secret" not in answer.body
    assert "Set-Cookie" not in answer.headers
    assert kept
    assert [record.getMessage() for record in caplog.records] == ["The app failed."]


@pytest.mark.parametrize("fault", [RuntimeError, SystemExit, CancelledError])
def test_an_answer_that_fails_half_way_does_not_look_whole(fault: type[BaseException]) -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [TEXT])
        yield b"begun"
        raise fault

    with (
        listening(app, never_blocks=lambda environ: False) as server,
        server.connect() as client,
    ):
        client.send(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        with pytest.raises((ConnectionError, ValueError)):
            client.answer()


def test_the_body_is_closed_also_when_it_fails(never_blocks: Any) -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        if environ["REQUEST_URI"] == "/fails":
            return Probe(b"x")  # start_response was never called
        start_response("200 OK", [TEXT])
        return Probe(b"x")

    Probe.closed = 0
    ask(app, never_blocks)
    assert Probe.closed == 1
    ask(app, never_blocks, b"GET /fails HTTP/1.1\r\nHost: a\r\n\r\n")
    assert Probe.closed == 2


def test_the_environ_is_what_the_pep_asks_for(never_blocks: Any) -> None:
    seen: list[dict[str, Any]] = []

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        seen.append(environ)
        start_response("200 OK", [TEXT])
        return [b""]

    ask(
        validator(app),
        never_blocks,
        b"POST /a%20b%C3%A9%2F?c=%20 HTTP/1.1\r\nHost: h:8\r\nX-Twice: 1\r\nx-twice: 2\r\n"
        b"X_Twice: 3\r\nScript-Name: /x\r\nScript_Name: /y\r\nContent_Length: 7\r\n"
        b"Proxy: evil\r\nContent-Type: text/x\r\nContent-Length: 3\r\n\r\nabc",
    )
    (environ,) = seen
    assert environ["REQUEST_METHOD"] == "POST"
    assert environ["SCRIPT_NAME"] == ""
    assert environ["PATH_INFO"] == "/a b\u00c3\u00a9/"
    assert environ["QUERY_STRING"] == "c=%20"
    assert environ["REQUEST_URI"] == environ["RAW_URI"] == "/a%20b%C3%A9%2F?c=%20"
    assert environ["CONTENT_TYPE"] == "text/x"
    assert environ["CONTENT_LENGTH"] == "3"
    assert environ["HTTP_X_TWICE"] == "1,2"
    assert environ["HTTP_HOST"] == "h:8"
    assert environ["HTTP_SCRIPT_NAME"] == "/x"
    assert environ["SERVER_NAME"] == "127.0.0.1"
    assert environ["SERVER_PORT"].isdigit()
    assert environ["REMOTE_ADDR"] == "127.0.0.1"
    assert environ["wsgi.url_scheme"] == "http"
    assert environ["wsgi.input_terminated"] is True


@pytest.mark.parametrize("app", [writes, generates, is_empty, announces_less, has_no_content])
def test_the_validator_has_no_complaint(app: Any, never_blocks: Any) -> None:
    answer, _ = ask(validator(app), never_blocks)
    assert answer.status in (200, 204)


def test_chunks_reach_the_app_as_one_body_of_known_length(never_blocks: Any) -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [TEXT])
        assert isinstance(environ["wsgi.input"], BytesIO)
        assert "HTTP_TRANSFER_ENCODING" not in environ
        return [environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))]

    answer, _ = ask(
        app,
        never_blocks,
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
    )
    assert answer.body == b"abc"


def test_what_an_app_writes_to_wsgi_errors_is_logged(
    never_blocks: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        print("one\ntwo", file=environ["wsgi.errors"])
        environ["wsgi.errors"].write("three")
        environ["wsgi.errors"].flush()
        start_response("200 OK", [TEXT])
        return [b""]

    ask(app, never_blocks)
    assert [record.getMessage() for record in caplog.records] == ["one", "two", "three"]


def test_a_large_answer_from_a_thread_waits_for_the_client() -> None:
    produced = 0

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        nonlocal produced
        start_response("200 OK", [TEXT])
        for _ in range(200):
            produced += 1
            yield bytes(65_536)

    def never_blocks(environ: Any) -> bool:
        return False

    with (
        listening(app, never_blocks=never_blocks, request_seconds=5) as server,
        server.connect() as client,
    ):
        client.send(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.3)
        # What the kernel buffers, and no more.
        assert produced < 190
        assert len(client.answer().body) == 200 * 65_536


def test_a_client_that_does_not_take_its_whole_answer_holds_no_thread() -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [TEXT])
        return [bytes(20_000_000 if environ["PATH_INFO"] == "/large" else 2)]

    def never_blocks(environ: Any) -> bool:
        return False

    with (
        listening(app, never_blocks=never_blocks, request_seconds=10, threads=1) as server,
        server.connect() as slow,
        server.connect() as other,
    ):
        slow.send(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.3)
        other.send(b"GET /small HTTP/1.1\r\nHost: a\r\n\r\n")
        began = time.monotonic()
        assert other.answer().status == 200
        assert time.monotonic() - began < 5
        assert len(slow.answer().body) == 20_000_000
        assert len(slow.answer().body) == 2


def test_a_large_part_is_sent_as_it_is_so_that_many_clients_can_share_it() -> None:
    large, sent = bytes(100_000), list[bytes]()

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [TEXT])
        return [large]

    environ = {"REQUEST_METHOD": "GET", "SERVER_PROTOCOL": "HTTP/1.1"}
    made = server_answer.Answer(sent.append, date="", keep_alive=True, at_once=False)
    made.run(app, environ)
    head, part = sent
    assert head.endswith(b"\r\n\r\n")
    assert part is large


@pytest.mark.alone
def test_a_view_that_blocks_holds_up_nobody_else() -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/slow":
            time.sleep(0.5)
        start_response("200 OK", [TEXT])
        return [environ["PATH_INFO"].encode()]

    def never_blocks(environ: Any) -> bool:
        return bool(environ["PATH_INFO"] == "/fast")

    with listening(app, never_blocks=never_blocks, threads=2) as server, ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(5)]
        for client in clients:
            client.send(
                b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\nGET /fast HTTP/1.1\r\nHost: a\r\n\r\n"
            )
        began = time.monotonic()
        with server.connect() as other:
            for _ in range(50):
                other.send(b"GET /fast HTTP/1.1\r\nHost: a\r\n\r\n")
                assert other.answer().body == b"/fast"
        assert time.monotonic() - began < 0.4
        for client in clients:
            assert client.answer().body == b"/slow"
            assert client.answer().body == b"/fast"


def test_a_view_that_ends_its_thread_takes_no_other_s() -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/exits":
            raise SystemExit
        return writes(environ, start_response)

    with listening(app, never_blocks=lambda environ: False, threads=2) as server:
        for path, status in [(b"/exits", 500)] * 3 + [(b"/", 200)]:
            with server.connect() as client:
                client.send(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path)
                assert client.answer().status == status


def test_a_failure_is_logged_under_the_id_that_its_answer_names(
    never_blocks: Any, caplog: pytest.LogCaptureFixture
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
    answer, _ = ask(own, never_blocks)
    caplog.handler.removeFilter(note)
    assert answer.status == 500
    assert {"in the view", "The app failed."} <= {one.getMessage() for one in caplog.records}
    assert set(logged) == {answer.headers["X-Request-ID"]}


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
    app: Any, body: bytes, never_blocks: Any
) -> None:
    head = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    answer, kept = ask(app, never_blocks, head + body)
    assert (answer.status, kept) == (413, False)
    assert f"{BODY_BYTES:,}".encode() in answer.body


def test_an_app_that_reads_no_body_answers_whatever_its_size(never_blocks: Any) -> None:
    request = b"POST /x HTTP/1.1\r\nHost: a\r\n" + TOO_LARGE["announced"]
    answer, kept = ask(writes, never_blocks, request)
    assert (answer.status, kept) == (200, False)
