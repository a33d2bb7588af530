"""Connections among many: turns, deadlines, slow readers, the cap, the drain. No real time."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from petsage.server.protocol import TIMEOUTS_AT_A_TIME, TURNS_AT_A_TIME
from tests.server.fakes import GET, HIGH_WATER, POST, World, echo

UNFINISHED = {
    "request line": b"GET /x",
    "headers": b"GET /x HTTP/1.1\r\nHost: a\r\n",
    "body": POST + b"Content-Length: 5\r\n\r\nab",
    "no body": POST + b"Content-Length: 5\r\n\r\n",
    "chunks": POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
}
LARGE = 3_000_000


def large(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [])
    return [bytes(LARGE)]


def numbered(number: int) -> bytes:
    return b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number


# Turns.


def test_pipelined_requests_get_their_responses_in_order() -> None:
    client = World().connect()
    client.send(b"".join(numbered(number) for number in range(50)))
    assert [client.response().body for _ in range(50)] == [b"GET /%d " % n for n in range(50)]


@pytest.mark.parametrize("inline", [True, False])
def test_a_client_that_pipelines_thousands_delays_nobody_else(inline: bool) -> None:
    served: list[str] = []

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        served.append(environ["REQUEST_URI"])
        return echo(environ, start_response)

    world = World(app, inline=inline)
    flooding, other = world.connect(), world.connect()
    flooding.send(GET * 1_000, run=False)
    for _ in range(10):
        world.threads.work()
        world.loop.run_once()
    other.send(numbered(1), run=False)
    before = len(served)
    while "/1" not in served:
        world.threads.work()
        world.loop.run_once()
    assert served.index("/1") - before <= TURNS_AT_A_TIME
    while len(served) < 1_001:
        world.work()
    assert len(flooding.statuses()) == 1_000


def test_first_requests_go_before_pipelined_ones() -> None:
    served: list[str] = []

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        served.append(environ["REQUEST_URI"])
        return echo(environ, start_response)

    world = World(app)
    pipelining, other = [world.connect() for _ in range(100)], world.connect()
    for client in pipelining:
        client.send(GET * 20, run=False)
    for _ in range(20):
        world.loop.run_once()
    before = len(served)
    other.send(numbered(1), run=False)
    world.loop.run()
    # In one queue with them it would be the hundredth.
    assert served.index("/1") - before <= 2 * TURNS_AT_A_TIME


def test_eight_are_served_and_then_the_loop_looks_again() -> None:
    served: list[str] = []

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        served.append(environ["REQUEST_URI"])
        return echo(environ, start_response)

    world = World(app)
    clients = [world.connect() for _ in range(20)]
    for number, client in enumerate(clients):
        client.send(numbered(number), run=False)
    seen = []
    for _ in range(4):
        seen.append(len(served))
        world.loop.run_once()
    assert seen == [0, 8, 16, 20]
    assert served == [f"/{number}" for number in range(20)]


# Deadlines.


@pytest.mark.parametrize("sent", UNFINISHED.values(), ids=UNFINISHED)
@pytest.mark.parametrize("first", [b"", GET], ids=["new", "kept alive"])
def test_a_request_that_does_not_arrive_completely_in_10_s_gets_408(
    sent: bytes, first: bytes
) -> None:
    world = World()
    client = world.connect()
    if first:
        assert client.ask(first).status == 200
        world.wait(30)
    world.wait(5)
    client.send(sent)
    world.wait(9.9)
    assert client.received == b""
    world.wait(0.2)
    response = client.response()
    assert (response.status, json.loads(response.body)["code"]) == (408, "request-timeout")
    assert response.headers["Connection"] == "close"
    assert client.closed


@pytest.mark.parametrize("sent", UNFINISHED.values(), ids=UNFINISHED)
def test_dripping_wins_no_time(sent: bytes) -> None:
    world = World()
    client = world.connect()
    client.send(sent)
    for _ in range(100):
        assert client.received == b""
        world.wait(0.1)
        client.send(b"a" if b"\r\n\r\n" not in sent else b"")
    world.wait(0.1)
    assert client.response().status == 408


def test_each_of_many_that_are_late_at_once_gets_408_and_the_loop_breathes_between_them() -> None:
    world = World()
    clients = [world.connect() for _ in range(100)]
    for client in clients:
        client.send(b"GET")
    world.loop.now += 11
    world.server.tick()
    assert sum(bool(client.received) for client in clients) == TIMEOUTS_AT_A_TIME
    world.loop.run()
    assert [client.response().status for client in clients] == [408] * 100


def test_a_silent_new_connection_is_closed_after_10_s_without_a_response() -> None:
    world = World()
    client = world.connect()
    world.wait(9.9)
    assert not client.lost
    world.wait(0.2)
    assert (client.lost, client.received) == (True, b"")


def test_an_idle_kept_alive_connection_has_95_s() -> None:
    world = World()
    client = world.connect()
    for _ in range(2):
        assert client.ask().status == 200
        world.wait(94)
    world.wait(0.8)
    assert not client.lost
    world.wait(0.4)
    assert (client.lost, client.received) == (True, b"")
    assert len(world.server) == 0


EMPTY_LINES = {"whole": [b"\r\n"], "in pieces": [b"\r", b"\n"], "begun": [b"\r\n\r"], "none": []}


@pytest.mark.parametrize("pieces", EMPTY_LINES.values(), ids=EMPTY_LINES)
@pytest.mark.parametrize("with_the_body", [True, False])
def test_an_empty_line_after_a_body_is_no_request(pieces: list[bytes], with_the_body: bool) -> None:
    client = World().connect()
    post = POST + b"Content-Length: 3\r\n\r\nabc"
    if with_the_body:
        post, pieces = post + b"".join(pieces[:1]), pieces[1:]
    assert client.ask(post).body == b"POST /x abc"
    for piece in pieces:
        client.send(piece)
    client.end()
    assert (client.lost, client.received) == (True, b"")


def test_an_empty_line_neither_begins_a_request_nor_wins_time() -> None:
    world = World()
    client = world.connect()
    assert client.ask(POST + b"Content-Length: 3\r\n\r\nabc\r\n").body == b"POST /x abc"
    for _ in range(94):
        world.wait(1)
        client.send(b"\r\n")
    assert not client.lost
    world.wait(1.2)
    assert (client.lost, client.received) == (True, b"")
    silent = world.connect()
    for _ in range(10):
        silent.send(b"\r\n" * 1_000)
        world.wait(1)
    world.wait(0.2)
    assert silent.lost


# Slow readers.


def test_a_client_that_takes_no_response_is_dropped_after_10_s_twice() -> None:
    world = World(large)
    client = world.connect()
    client.takes = False
    client.send(GET)
    world.wait(19.9)
    assert not client.lost
    world.wait(0.4)
    assert client.lost
    assert len(world.server) == 0


def test_a_client_that_takes_its_responses_slowly_gets_them() -> None:
    world = World(large)
    client = world.connect()
    client.takes = False
    for _ in range(2):
        client.send(GET)
        while client.get_write_buffer_size():
            client.take(100_000)
            world.wait(9)
        assert len(client.response().body) == LARGE


def test_a_slow_client_gets_its_last_response_too() -> None:
    world = World(large)
    client = world.connect()
    client.takes = False
    client.send(GET[:-2] + b"Connection: close\r\n\r\n")
    while client.get_write_buffer_size():
        client.take(100_000)
        world.wait(4)
    assert len(client.response().body) == LARGE


def test_pipelining_without_reading_takes_no_memory() -> None:
    responded = 0

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        nonlocal responded
        responded += 1
        start_response("200 OK", [])
        return [bytes(10_000)]

    client = World(app).connect()
    client.takes = False
    for _ in range(20):
        client.send(GET * 10)
    assert responded * 10_000 < 2 * HIGH_WATER
    client.takes = True
    client.take(2 * HIGH_WATER)
    assert responded == 200


def test_a_body_asked_for_behind_responses_that_fill_the_buffer_is_read() -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        body = environ["wsgi.input"].read() or bytes(size)
        start_response("200 OK", [("Server", "x"), ("Date", "x")])
        return [body]

    head = "HTTP/1.1 200 OK\r\nServer: x\r\nDate: x\r\nContent-Length: 65000\r\n\r\n"
    size = HIGH_WATER - len(head)  # not a byte more fits, and the 100 has some
    client = World(app).connect()
    client.takes = False
    client.send(GET)
    client.send(POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    client.send(b"hello")
    client.takes = True
    client.take(HIGH_WATER + 100)
    assert [client.response().status, client.response().status] == [200, 100]
    assert client.response().body == b"hello"


# The end of a connection.


def test_an_upload_too_large_is_read_on_so_that_the_client_sees_its_413() -> None:
    client = World().connect()
    client.send(POST + b"Content-Length: 50000000\r\n\r\n")
    assert client.response().status == 413
    assert (client.closed, client.lost) == (True, False)
    for _ in range(50):
        client.send(bytes(1_000_000))
    assert not client.lost
    client.end()
    assert client.lost


def test_a_client_that_never_stops_sending_is_dropped() -> None:
    world = World()
    client = world.connect()
    client.send(POST + b"Content-Length: 5000\r\n\r\n")
    for _ in range(51):
        client.send(b"a")
        world.wait(0.1)
    assert client.lost


HALF_CLOSED = {
    "in the head": (b"GET /x HTTP/1.1\r\nHo", "bad-request"),
    "in the body": (POST + b"Content-Length: 5\r\n\r\nabc", "incomplete-body"),
    "before the last chunk": (
        POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "incomplete-body",
    ),
}


@pytest.mark.parametrize(("raw", "code"), HALF_CLOSED.values(), ids=HALF_CLOSED)
@pytest.mark.parametrize("first", [b"", GET], ids=["new", "pipelined"])
def test_a_half_closed_client_is_told_what_is_missing(raw: bytes, code: str, first: bytes) -> None:
    client = World().connect()
    client.send(first + raw)
    client.end()
    if first:
        assert client.response().status == 200
    response = client.response()
    assert (response.status, json.loads(response.body)["code"]) == (400, code)
    assert client.lost


@pytest.mark.parametrize("inline", [True, False])
def test_a_half_closed_client_gets_all_its_responses(inline: bool) -> None:
    world = World(inline=inline)
    client = world.connect()
    client.send(GET * 20, run=False)
    client.end()
    for _ in range(20):
        world.work()
    assert client.statuses() == [200] * 20
    assert client.lost


def test_a_client_that_sends_nothing_and_goes_gets_nothing() -> None:
    client = World().connect()
    client.end()
    assert (client.lost, client.received) == (True, b"")


def test_nothing_is_sent_to_a_client_that_is_gone() -> None:
    world = World(inline=False)
    client = world.connect()
    client.send(GET)
    client.abort()
    world.work()
    assert client.received == b""


def test_a_rejection_ends_the_connection_and_what_follows_is_not_read() -> None:
    client = World().connect()
    client.send(b"GET / HTTP/1.1\r\n\r\n" + GET)
    response = client.response()
    assert (response.status, response.headers["Connection"]) == (400, "close")
    client.send(GET)
    assert client.received == b""


def test_a_head_that_is_rejected_gets_no_body() -> None:
    for target in (b"/" + b"a" * 9_000, b"a", b"/#a", b"/ X: y"):
        client = World().connect()
        client.send(b"\r\nHEAD %b HTTP/1.1\r\nHost: a\r\n\r\n" % target)
        response = client.response("HEAD")
        assert response.status in (400, 414)
        assert int(response.headers["Content-Length"]) > 100
        assert client.received == b""


def test_http_1_0_is_kept_alive_when_it_asks_for_it() -> None:
    client = World().connect()
    response = client.ask(b"GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert response.headers["Connection"] == "keep-alive"
    response = client.ask(b"GET /x HTTP/1.0\r\n\r\n")
    assert (response.headers["Connection"], client.closed) == ("close", True)


def test_100_continue_is_sent_where_the_body_is_wanted() -> None:
    client = World().connect()
    client.send(POST + b"Expect: 100-Continue\r\nContent-Length: 3\r\n\r\n")
    assert client.response().status == 100
    client.send(b"abc")
    assert client.response().body == b"POST /x abc"
    client.send(POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc")
    assert client.response().status == 200


# How many there may be.


def test_where_there_is_no_room_the_one_that_idles_longest_goes() -> None:
    world = World(max_connections=10)
    held = [world.connect() for _ in range(10)]
    assert held[0].ask().status == 200
    assert world.connect().ask().status == 200
    assert [client.lost for client in held] == [False, True] + [False] * 8
    assert len(world.server) == 10


def test_where_everybody_waits_for_a_response_the_newest_goes() -> None:
    world = World(inline=False, max_connections=3)
    waiting = [world.connect() for _ in range(3)]
    for client in waiting:
        client.send(GET)
    assert world.connect().lost
    world.work()
    assert [client.response().status for client in waiting] == [200] * 3
    assert not world.connect().lost


def test_a_bug_of_the_server_ends_one_connection_and_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def inline(environ: dict[str, Any]) -> bool:
        assert environ["PATH_INFO"] != "/bug"
        return True

    world = World(inline=inline)
    client, other = world.connect(), world.connect()
    client.send(GET + GET.replace(b"/x", b"/bug"))
    assert (client.statuses(), client.lost) == ([200], True)
    other.send(GET * 3)
    assert other.statuses() == [200] * 3
    assert "A connection failed." in caplog.text


# The drain.


def test_draining_serves_one_more_request_and_then_closes() -> None:
    world = World()
    used, unused, new = world.connect(), world.connect(), world.connect()
    for client in (used, unused):
        assert client.ask().headers["Connection"] is None
    world.drain()
    world.wait(1.9)
    assert used.ask().headers["Connection"] == "close"
    assert new.ask().headers["Connection"] == "close"
    assert not unused.lost
    world.wait(0.2)
    assert (unused.lost, unused.received) == (True, b"")
    used.end()
    new.end()
    assert len(world.server) == 0


def test_an_upload_under_way_keeps_its_10_s_when_the_drain_begins() -> None:
    world = World()
    uploading, late, begun_later = world.connect(), world.connect(), world.connect()
    assert begun_later.ask().status == 200
    for client in (uploading, late):
        client.send(POST + b"Content-Length: 3\r\n\r\na")
    world.wait(1)
    world.drain()
    begun_later.send(POST + b"Content-Length: 3\r\n\r\na")
    world.wait(8.8)
    uploading.send(b"bc")
    response = uploading.response()
    assert (response.body, response.headers["Connection"]) == (b"POST /x abc", "close")
    world.wait(0.4)
    assert late.response().status == 408
    world.wait(0.5)
    begun_later.send(b"bc")
    assert begun_later.response().body == b"POST /x abc"


def test_a_response_that_a_thread_makes_as_the_drain_begins_says_that_it_is_the_last() -> None:
    world = World(inline=False)
    client = world.connect()
    client.send(GET)
    world.drain()
    world.work()
    assert client.response().headers["Connection"] == "close"


def test_draining_serves_what_was_pipelined_before() -> None:
    world = World(inline=False)
    client = world.connect()
    client.send(GET * 2)
    world.drain()
    world.work()
    world.work()
    said = [client.response().headers["Connection"] for _ in range(2)]
    assert said == [None, "close"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_draining_waits_for_no_client_that_takes_nothing(when: str) -> None:
    world = World(large)
    client = world.connect()
    client.takes = False
    if when == "before":
        client.send(GET * 5)
        world.drain()
    else:
        world.drain()
        client.send(GET * 5)
    world.wait(4.4)
    assert len(world.server) == 0
