"""A connection among many: pipelining, deadlines, slow readers, the cap, the worker's end."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain, pairwise
from typing import Any

import pytest

from petsage.server.connections import TURNS_AT_A_TIME
from tests.service.server.listening import Listening, echo, listening

pytestmark = pytest.mark.alone

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: a\r\n"

UNFINISHED = {
    "request line": b"GET /x",
    "headers": b"GET /x HTTP/1.1\r\nHost: a\r\n",
    "body": POST + b"Content-Length: 5\r\n\r\nab",
    "no body": POST + b"Content-Length: 5\r\n\r\n",
    "chunks": POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
}


def test_pipelined_requests_are_answered_in_their_order() -> None:
    with listening() as server, server.connect() as client:
        client.send(
            b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(500))
        )
        for number in range(500):
            assert client.answer().body == b"GET /%d " % number


def test_a_flood_of_pipelined_requests_delays_nobody_else() -> None:
    with listening() as server, server.connect() as flooding, server.connect() as client:
        flooding.send(GET * 5_000)
        began = time.monotonic()
        client.send(GET)
        assert client.answer().status == 200
        assert time.monotonic() - began < 0.1
        for _ in range(5_000):
            assert flooding.answer().status == 200


class Numbering:
    """An app that takes its time, and answers with the number of the answer."""

    given = 0

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        time.sleep(0.001)
        self.given += 1
        start_response("200 OK", [("Content-Length", "6")])
        return [b"%06d" % self.given]


def test_a_hundred_that_pipeline_delay_nobody_else() -> None:
    app = Numbering()
    with listening(app, most=200) as server, ExitStack() as stack, server.connect() as client:
        for _ in range(100):
            stack.enter_context(server.connect()).send(GET * 50)
        while app.given < 300:
            time.sleep(0.01)
        before = app.given
        client.send(GET)
        # In one line with them it would be the fiftieth.
        assert int(client.answer().body) < before + 30


def test_clients_that_ask_over_and_over_are_answered_by_turns() -> None:
    async def waits(address: tuple[str, int]) -> list[int]:
        """Return how many answers were given from one of a client's own to its next one."""
        reader, writer = await asyncio.open_connection(*address)
        given = []
        for _ in range(60):
            writer.write(GET)
            await reader.readuntil(b"\r\n\r\n")
            given.append(int(await reader.readexactly(6)))
        writer.close()
        return [later - sooner for sooner, later in pairwise(given)]

    async def ask(address: tuple[str, int]) -> list[int]:
        return sorted(chain(*await asyncio.gather(*(waits(address) for _ in range(16)))))

    with listening(Numbering()) as server:
        waited = asyncio.run(ask(server.address))
    assert waited[len(waited) // 2] == 16
    # Answered as they are read, one in twenty would wait for 30 others.
    assert waited[-len(waited) // 50] <= 16 + TURNS_AT_A_TIME


@pytest.mark.parametrize("sent", UNFINISHED.values(), ids=UNFINISHED.keys())
@pytest.mark.parametrize("first", [b"", GET], ids=["new", "kept alive"])
def test_a_request_that_does_not_arrive_whole_gets_408(sent: bytes, first: bytes) -> None:
    with listening(request_seconds=0.3) as server, server.connect() as client:
        if first:
            client.send(first)
            assert client.answer().status == 200
        client.send(sent)
        answer = client.answer()
        assert answer.status == 408
        assert json.loads(answer.body)["code"] == "request-timeout"
        assert client.rest() == b""


@pytest.mark.parametrize("sent", UNFINISHED.values(), ids=UNFINISHED.keys())
def test_dripping_wins_no_time(sent: bytes) -> None:
    with listening(request_seconds=0.5) as server, server.connect() as client:
        began = time.monotonic()
        client.send(sent)
        client.socket.settimeout(0.02)
        while True:
            try:
                assert client.socket.recv(12) == b"HTTP/1.1 408"
                break
            except TimeoutError:
                client.send(b"a" if b"\r\n\r\n" not in sent else b"")
                assert time.monotonic() - began < 2
        assert time.monotonic() - began >= 0.45


def test_every_one_of_many_that_are_late_at_once_gets_408() -> None:
    with listening(request_seconds=1, most=300) as server, ExitStack() as stack:
        clients = []
        for _ in range(200):
            clients.append(stack.enter_context(server.connect()))
            clients[-1].send(b"GET")
        assert [client.answer().status for client in clients] == [408] * 200


def test_a_silent_new_connection_is_closed_without_a_word() -> None:
    with listening(request_seconds=0.3) as server, server.connect() as client:
        assert client.rest() == b""


def test_an_idle_kept_alive_connection_has_more_time() -> None:
    with (
        listening(request_seconds=0.2, keep_alive_seconds=0.8) as server,
        server.connect() as client,
    ):
        for _ in range(2):
            client.send(GET)
            assert client.answer().status == 200
            time.sleep(0.4)
        began = time.monotonic()
        assert client.rest() == b""
        assert time.monotonic() - began > 0.2


EMPTY_LINES = {"whole": [b"\r\n"], "in pieces": [b"\r", b"\n"], "begun": [b"\r\n\r"], "none": []}


@pytest.mark.parametrize("pieces", EMPTY_LINES.values(), ids=EMPTY_LINES.keys())
@pytest.mark.parametrize("at_once", [True, False], ids=["with the body", "after the answer"])
def test_an_empty_line_after_a_body_is_no_request_that_could_fail(
    pieces: list[bytes], at_once: bool
) -> None:
    with listening() as server, server.connect() as client:
        post = POST + b"Content-Length: 3\r\n\r\nabc"
        if at_once:
            post, pieces = post + b"".join(pieces[:1]), pieces[1:]
        client.send(post)
        assert client.answer().body == b"POST /x abc"
        for piece in pieces:
            client.send(piece)
            time.sleep(0.02)
        client.end()
        assert client.rest() == b""


def test_an_empty_line_does_not_begin_the_time_of_a_request() -> None:
    with (
        listening(request_seconds=0.2, keep_alive_seconds=1.5) as server,
        server.connect() as client,
    ):
        for _ in range(2):
            client.send(POST + b"Content-Length: 3\r\n\r\nabc\r\n")
            assert client.answer().body == b"POST /x abc"
            time.sleep(0.5)
        assert client.rest() == b""


@pytest.mark.parametrize("first", [b"", GET], ids=["new", "kept alive"])
def test_empty_lines_win_no_time(first: bytes) -> None:
    with (
        listening(request_seconds=0.4, keep_alive_seconds=0.4) as server,
        server.connect() as client,
    ):
        began = time.monotonic()
        if first:
            client.send(first)
            assert client.answer().status == 200
        with suppress(OSError):  # a reset or a broken pipe
            for _ in range(100):
                client.send(b"\r\n" * 1_000)
                time.sleep(0.02)
            pytest.fail("the server listened for two seconds")
        assert time.monotonic() - began >= 0.35


def test_a_client_that_takes_no_answer_is_dropped() -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return [bytes(20_000_000)]

    with listening(app, request_seconds=0.3) as server, server.connect() as client:
        client.send(GET)
        deadline = time.monotonic() + 5
        while len(server.connections) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(server.connections) == 0


LARGE = 12_000_000


def large(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [])
    return [bytes(LARGE)]


@contextmanager
def taking_little(server: Listening) -> Iterator[socket.socket]:
    """Connect, with little room for what has not been taken."""
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        slow.connect(server.address)
        yield slow


def take_slowly(slow: socket.socket, *, at_a_time: int, pause: float) -> None:
    """Ask for the large answer, and take it bit by bit."""
    slow.sendall(GET)
    received = 0
    while received < LARGE:
        part = slow.recv(at_a_time)
        assert part, f"dropped after {received:,} bytes"
        received += len(part)
        time.sleep(pause)


def test_a_client_that_takes_its_answer_slowly_gets_it() -> None:
    with listening(large, request_seconds=0.8) as server, taking_little(server) as slow:
        take_slowly(slow, at_a_time=1_000_000, pause=0.02)


def test_a_client_that_was_slow_before_may_be_slow_again() -> None:
    with listening(large, request_seconds=0.3) as server, taking_little(server) as slow:
        for _ in range(3):
            take_slowly(slow, at_a_time=100_000, pause=0.01)


def test_a_body_asked_for_behind_answers_that_fill_the_buffer_is_read() -> None:
    high_water, left = 65_536, []

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        body = environ["wsgi.input"].read()
        if not body:
            transport = next(iter(server.connections._all))._transport
            left.append(transport.get_write_buffer_size())
            body = bytes(high_water - left[-1] - len(head))
        start_response("200 OK", [*headers, ("Content-Length", f"{len(body):06}")])
        return [body]

    headers = [("Server", "x"), ("Date", "x")]
    head = "HTTP/1.1 200 OK\r\nServer: x\r\nDate: x\r\nContent-Length: 000000\r\n\r\n"
    with listening(app, request_seconds=2) as server, server.connect() as client:
        while not any(left):
            client.send(GET)
            time.sleep(0.01)
        # Not a byte more fits, and the 100 has some.
        client.send(POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        time.sleep(0.1)
        client.send(b"hello")
        time.sleep(0.1)
        assert [client.answer().status for _ in left] == [200] * len(left)
        assert client.answer().status == 100
        assert client.answer().body == b"hello"


def test_pipelining_without_reading_takes_no_memory() -> None:
    answered = 0

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        nonlocal answered
        answered += 1
        start_response("200 OK", [])
        return [bytes(10_000)]

    with listening(app, request_seconds=0.5) as server, server.connect() as client:
        client.socket.settimeout(0.2)
        with suppress(OSError):  # either it blocks or it is reset
            for _ in range(20_000):
                client.send(GET * 100)
            pytest.fail("the server took 2,000,000 requests")
        assert answered < 2_000


def test_an_upload_too_large_is_read_to_its_end_so_that_the_client_sees_413() -> None:
    with listening(request_seconds=5, linger_seconds=5) as server, server.connect() as client:
        client.send(POST + b"Content-Length: 50000000\r\n\r\n")
        for _ in range(50):
            client.send(bytes(1_000_000))
        assert client.answer().status == 413
        client.end()
        assert client.rest() == b""


def test_a_client_that_never_stops_sending_is_dropped() -> None:
    with listening(request_seconds=5, linger_seconds=0.3) as server, server.connect() as client:
        client.send(POST + b"Content-Length: 50000000\r\n\r\n")
        with suppress(OSError):  # a reset or a broken pipe
            for _ in range(200):
                client.send(bytes(1_000))
                time.sleep(0.01)
            pytest.fail("the server listened for two seconds")


def test_where_there_is_no_room_the_one_that_idles_longest_goes() -> None:
    with listening(most=10, request_seconds=5) as server, ExitStack() as stack:
        held = [stack.enter_context(server.connect()) for _ in range(10)]
        while len(server.connections) < 10:
            time.sleep(0.01)
        held[0].send(GET)
        assert held[0].answer().status == 200
        with server.connect() as probe:
            probe.send(GET)
            assert probe.answer().status == 200
        assert held[1].rest() == b""
        held[0].send(GET)
        assert held[0].answer().status == 200
        assert len(server.connections) <= 10


@pytest.mark.parametrize("sent", [b"", GET], ids=["silent", "asking"])
def test_connections_that_come_in_all_at_once_are_no_more_than_there_may_be(sent: bytes) -> None:
    with listening(most=20, request_seconds=5) as server, ExitStack() as stack:
        server.loop.call_soon_threadsafe(time.sleep, 0.3)
        clients = [stack.enter_context(server.connect()) for _ in range(300)]
        for client in clients:
            with suppress(OSError):
                client.send(sent)
        time.sleep(0.5)
        with server.connect() as probe:
            probe.send(GET)
            assert probe.answer().status == 200
            assert sum(is_held(client.socket) for client in clients) < 20


def is_held(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        while connection.recv(65_536):
            pass
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def test_where_everybody_waits_for_an_answer_the_newest_goes() -> None:
    ready, begun = threading.Event(), threading.Semaphore(0)

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        begun.release()
        ready.wait(5)
        return echo(environ, start_response)

    with (
        listening(app, never_blocks=lambda environ: False, most=3, request_seconds=30) as server,
        ExitStack() as stack,
    ):
        waiting = [stack.enter_context(server.connect()) for _ in range(3)]
        for client in waiting:
            client.send(GET)
            assert begun.acquire(timeout=5)
        with server.connect() as newest:
            assert newest.rest() == b""
        assert len(server.connections) == 3
        ready.set()
        assert [client.answer().status for client in waiting] == [200] * 3
        with server.connect() as probe:
            probe.send(GET)
            assert probe.answer().status == 200


def test_probes_get_in_while_connections_flood_in() -> None:
    with listening(most=20, request_seconds=5) as server, ExitStack() as stack:
        for number in range(200):
            stack.enter_context(server.connect())
            if number % 20 == 0:
                with server.connect() as probe:
                    probe.send(GET)
                    assert probe.answer().status == 200


def test_draining_serves_one_more_request_and_then_closes() -> None:
    with listening() as server, server.connect() as used, server.connect() as unused:
        used.send(GET)
        assert used.answer().headers["Connection"] is None
        server.drain(request=1, idle=0.5)
        time.sleep(0.1)
        used.send(GET)
        assert used.answer().headers["Connection"] == "close"
        assert used.rest() == b""
        assert unused.rest() == b""


def test_draining_answers_what_is_in_flight() -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        time.sleep(0.5)
        return echo(environ, start_response)

    with (
        listening(app, never_blocks=lambda environ: False) as server,
        server.connect() as client,
        server.connect() as sending,
    ):
        client.send(GET * 2)
        sending.send(POST + b"Content-Length: 3\r\n\r\nab")
        time.sleep(0.1)
        server.drain(request=0.4, idle=0.1)
        time.sleep(0.2)
        sending.send(b"c")
        assert sending.answer().body == b"POST /x abc"
        assert client.answer().body == b"GET /x "
        # Pipelined behind it, so it had come before the end was near.
        assert client.answer().headers["Connection"] == "close"


def test_an_answer_that_has_not_said_that_it_is_the_last_is_not_the_last() -> None:
    begun, draining = threading.Event(), threading.Event()

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        begun.set()
        draining.wait(5)
        return echo(environ, start_response)

    with (
        listening(app, never_blocks=lambda environ: False) as server,
        server.connect() as client,
    ):
        client.send(GET)
        assert begun.wait(5)
        server.drain(request=1, idle=0.5)
        server.loop.call_soon_threadsafe(draining.set)
        said = client.answer().headers["Connection"]
        if said != "close":
            time.sleep(0.1)
            client.send(GET)
            assert client.answer().headers["Connection"] == "close"
        assert client.rest() == b""


def test_draining_waits_for_no_client_that_takes_nothing() -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        for _ in range(100):
            yield bytes(1_000_000)

    with (
        listening(app, never_blocks=lambda environ: False, request_seconds=10) as server,
        server.connect() as client,
    ):
        client.send(GET * 5)
        time.sleep(0.3)
        server.drain(request=0.3, idle=0.3)
        deadline = time.monotonic() + 3
        while len(server.connections):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_fault_of_the_server_ends_one_connection_and_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def never_blocks(environ: dict[str, Any]) -> bool:
        assert environ["PATH_INFO"] != "/fault"
        return True

    fault = GET.replace(b"/x", b"/fault")
    with listening(never_blocks=never_blocks) as server, server.connect() as other:
        with server.connect() as client:
            client.send(GET + fault)
            assert client.answer().status == 200
            assert client.rest() == b""
        other.send(GET * 3)
        assert [other.answer().status for _ in range(3)] == [200] * 3
    assert "A connection failed." in caplog.text


@pytest.mark.parametrize("rest", [b"\r", b"\r\n", b"\r\n\r\n\r"])
def test_empty_lines_and_the_end_after_an_answer_are_no_request(rest: bytes) -> None:
    with listening(request_seconds=5) as server, server.connect() as client:
        client.send(GET + rest)
        assert client.answer().status == 200
        client.end()
        assert client.rest() == b""
