"""The connections of one worker: read, wait, respond in turn, keep alive, close.

Time and sockets come in as arguments: a loop (`time`, `call_soon`) and a transport.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import math
from collections import OrderedDict, deque
from collections.abc import Callable
from email.utils import formatdate
from functools import partial
from typing import NamedTuple, cast

from petsage.server.reader import Limits, RejectedError, Request, RequestReader
from petsage.server.wsgi import Application, Environ, Response, Threads

log = logging.getLogger(__name__)

# How often the worker calls `tick`: a deadline is met that much too late at most.
TICK_SECONDS = 0.1
# Requests that are served before the loop looks again who has sent what. So they are served nearly
# in the order of their arrival: serving each as it is read made the slowest of a hundred wait half
# as long again.
TURNS_AT_A_TIME = 8
# Likewise, where a thousand requests that never arrived completely get their 408 at once.
TIMEOUTS_AT_A_TIME = 16
# Larger bodies are written as they are: an app may give the same one to many clients.
MAX_JOINED_BYTES = 65_536

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_CLOSE = b"Connection: close\r\n\r\n"
_KEEP_ALIVE = b"Connection: keep-alive\r\n\r\n"


class State(enum.Enum):
    """What a connection waits for, which is what its deadline is about."""

    NEW = "the first byte"
    READING = "the rest of a request"
    QUEUED = "its turn"
    RESPONDING = "the app, in a thread"
    IDLE = "the next request"
    LINGERING = "the client to close"


class Timeouts(NamedTuple):
    """How long a connection may take for what, in seconds.

    Attributes:
        request: from the first byte of a request to its last; for a new connection, to send
            anything at all.
        idle: between two requests.
        stall: to take none of the bytes that are ready for it.
        linger: to go on sending what nobody reads, after the last response.

    """

    request: float
    idle: float
    stall: float
    linger: float


class Server:
    """The connections of one worker: how many there may be, whose turn it is, whose time is up.

    Args:
        loop: tells the time, and calls the server back.
        application: responds.
        threads: where the application is called when it may block.
        limits: how large a request may be.
        timeouts: how long a connection may take for what.
        max_connections: how many there may be.

    Attributes:
        now: the loop's time, at most a tick old.
        date: the same moment as a `Date` header.
        draining: whether the worker is about to end: each response then ends its connection.
        requests: how many have arrived completely.

    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        application: Application,
        threads: Threads,
        limits: Limits,
        timeouts: Timeouts,
        max_connections: int,
    ) -> None:
        self.loop = loop
        self.application = application
        self.threads = threads
        self.limits = limits
        self.timeouts = timeouts
        self.draining = False
        self.requests = 0
        self._max_connections = max_connections
        # In the order of their last activity: to connect, or to send a complete request.
        self._connections: OrderedDict[Connection, None] = OrderedDict()
        # Pipelined requests wait in a queue of their own, so that clients that send thousands in
        # one go hold up no probe.
        self._queue: deque[Connection] = deque()
        self._pipelined: deque[Connection] = deque()
        self._turns_are_due = False
        self.tick()

    def __len__(self) -> int:
        return len(self._connections)

    def add(self, connection: Connection) -> None:
        """Take in a new connection; where there is no room, the one that idles longest goes.

        Where none idles it is the new one, of which nothing is known yet.
        """
        if len(self._connections) >= self._max_connections:
            leaving = next((one for one in self._connections if not one.is_busy), connection)
            leaving.abort()
            # Not when the loop reports it: more may come in before, and each needs its own.
            self.remove(leaving)
            if leaving is connection:
                return
        self._connections[connection] = None

    def remove(self, connection: Connection) -> None:
        """Forget a connection that is gone."""
        self._connections.pop(connection, None)

    def enqueue(self, connection: Connection, *, pipelined: bool) -> None:
        """Let a connection respond to its complete request, after those that came before."""
        self._connections.move_to_end(connection)
        self.requests += 1
        (self._pipelined if pipelined else self._queue).append(connection)
        if not self._turns_are_due:
            self._turns_are_due = True
            self.loop.call_soon(self._take_turns)

    def _take_turns(self) -> None:
        for queue in (self._queue, self._pipelined):
            for _ in range(min(TURNS_AT_A_TIME, len(queue))):
                connection = queue.popleft()
                self.guard(connection, connection.respond)
        self._turns_are_due = bool(self._queue or self._pipelined)
        if self._turns_are_due:
            self.loop.call_soon(self._take_turns)

    def guard(self, connection: Connection, call: Callable[[], None]) -> None:
        """Make a call for a connection. A bug ends this connection, and no other notices."""
        try:
            call()
        except Exception:
            log.exception("A connection failed.")
            connection.abort()

    def tick(self) -> None:
        """Look at the clock, and end what has run out of time."""
        self.now = self.loop.time()
        self.date = formatdate(usegmt=True)
        due = [one for one in self._connections if one.deadline <= self.now]
        for connection in due[:TIMEOUTS_AT_A_TIME]:
            self.guard(connection, connection.on_timeout)
        if len(due) > TIMEOUTS_AT_A_TIME:
            self.loop.call_soon(self.tick)

    def drain(self, timeouts: Timeouts) -> None:
        """Let every connection end, with a response or when the (shorter) times are up."""
        self.draining = True
        self.timeouts = timeouts
        for connection in self._connections:
            connection.shorten_deadline()


class Connection(asyncio.Protocol):
    """One connection, from accept to close. The methods are in the order of a request's life."""

    def __init__(self, server: Server, base: Environ) -> None:
        self._server = server
        self._base = base
        self._state = State.NEW
        self.deadline = server.now + server.timeouts.request
        self._request: Request | None = None  # the one that waits for its turn
        self._half_closed = False  # the client has sent its last byte
        self._reading = True
        self._writable = True
        self._unsent = 0  # bytes that the client had not taken at the last deadline

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take in the new connection."""
        self._transport = cast(asyncio.Transport, transport)
        base = self._base
        if peer := transport.get_extra_info("peername"):
            # A listener of `::` sees IPv4 as a part of IPv6 (RFC 4291, section 2.5.5.2).
            host = peer[0].removeprefix("::ffff:") if "." in peer[0] else peer[0]
            base = base | {"REMOTE_ADDR": host, "REMOTE_PORT": str(peer[1])}
        self._reader = RequestReader(self._server.limits, base)
        self._server.add(self)

    def data_received(self, data: bytes) -> None:
        """Take in what the client has sent."""
        if self._state is State.LINGERING:
            # Read and dropped: to close a socket with unread bytes resets it, and the client
            # would lose the response.
            return
        self._reader.feed(data)
        if self.is_busy or (self._state is State.IDLE and not self._writable):
            self._reading = False
            self._transport.pause_reading()
        else:
            self._read(pipelined=False)

    def eof_received(self) -> bool:
        """Respond to what the client has sent before it ended its half of the connection."""
        self._half_closed = True
        if self._state is State.READING:
            self._reject(self._reader.incomplete())
        return self.is_busy or (self._state is not State.LINGERING and self._reader.has_begun)

    @property
    def is_busy(self) -> bool:
        """Whether a request is complete, and its response is not."""
        return self._state is State.QUEUED or self._state is State.RESPONDING

    def _read(self, *, pipelined: bool) -> None:
        """Read a request from what was received, and queue it when it is complete."""
        try:
            self._request = self._reader.next_request()
        except RejectedError as rejection:
            self._reject(rejection)
            return
        if self._request is not None:
            self._state = State.QUEUED
            self.deadline = math.inf
            self._server.enqueue(self, pipelined=pipelined)
        elif self._reader.has_begun:
            self._await_rest()
        elif self._half_closed:
            self._transport.close()
        else:
            # Empty lines alone are no request, and win no time.
            self._resume_reading()

    def _await_rest(self) -> None:
        if self._state is not State.READING:
            self._state = State.READING
            self.deadline = self._server.loop.time() + self._server.timeouts.request
        if self._half_closed:
            self._reject(self._reader.incomplete())
            return
        if self._reader.expects_continue:
            self._reader.expects_continue = False
            self._transport.write(_CONTINUE)
        self._resume_reading()

    def _resume_reading(self) -> None:
        if not self._reading:
            self._reading = True
            self._transport.resume_reading()

    def respond(self) -> None:
        """Respond to the request whose turn has come."""
        request, self._request = self._request, None
        if request is None or self._transport.is_closing():
            return
        application = self._server.application
        if application.is_inline(request.environ):
            self._send(request, application.respond(request.environ, self._server.date))
        else:
            self._state = State.RESPONDING
            self._server.threads.run(partial(self._respond_in_thread, request, self._server.date))

    def _respond_in_thread(self, request: Request, date: str) -> None:
        if self._transport.is_closing():
            return
        response = self._server.application.respond(request.environ, date)
        send = partial(self._send, request, response)
        self._server.loop.call_soon_threadsafe(self._server.guard, self, send)

    def _reject(self, rejection: RejectedError) -> None:
        code, detail, environ = rejection.code, rejection.detail, rejection.environ
        response = self._server.application.reject(code, detail, environ, self._server.date)
        self._send(Request(environ, keep_alive=False), response)

    def _send(self, request: Request, response: Response) -> None:
        if self._transport.is_closing():
            return
        is_last = (self._server.draining or self._half_closed) and not self._reader.has_begun
        keep_alive = request.keep_alive and response.keep_alive and not is_last
        if not keep_alive:
            head = response.head + _CLOSE
        elif request.environ["SERVER_PROTOCOL"] == "HTTP/1.0":
            head = response.head + _KEEP_ALIVE
        else:
            head = response.head + b"\r\n"
        if len(response.body) > MAX_JOINED_BYTES:
            self._transport.write(head)
            self._transport.write(response.body)
        else:
            self._transport.write(head + response.body)
        if not keep_alive:
            self._end()
            return
        self._state = State.IDLE
        if self._writable:
            self._await_next()

    def _await_next(self) -> None:
        self.deadline = self._server.now + self._server.timeouts.idle
        if self._reader.data:
            self._read(pipelined=True)
        else:
            self._resume_reading()

    def pause_writing(self) -> None:
        """Read no further request: the client takes its responses slower than they are made."""
        self._writable, self._unsent = False, 0
        self.deadline = min(self.deadline, self._server.now + self._server.timeouts.stall)

    def resume_writing(self) -> None:
        """Go on reading."""
        self._writable = True
        if self._state is State.IDLE and not self._transport.is_closing():
            self._await_next()

    def _end(self) -> None:
        """End the connection so that the client gets its last response."""
        self._state = State.LINGERING
        self._reader.data = b""
        self.deadline = self._server.now + self._server.timeouts.linger
        if self._half_closed:
            self._transport.close()
        else:
            self._transport.write_eof()
            self._resume_reading()

    def connection_lost(self, _exc: Exception | None) -> None:
        """Forget the connection."""
        self._server.remove(self)

    def on_timeout(self) -> None:
        """Act on a deadline that has passed."""
        unsent = self._transport.get_write_buffer_size()
        if unsent and not 0 < self._unsent <= unsent:
            # The client takes its response slowly, but it takes it.
            self._unsent = unsent
            self.deadline = self._server.now + self._server.timeouts.stall
        elif unsent or self._state is State.LINGERING or self._transport.is_closing():
            self._transport.abort()
        elif self._state is State.READING:
            self._reject(self._reader.rejection("request-timeout"))
        else:
            self._transport.close()

    def shorten_deadline(self) -> None:
        """Allow what is no request no more time than an idle connection has from now on."""
        if self._state in (State.NEW, State.IDLE, State.LINGERING):
            self.deadline = min(self.deadline, self._server.now + self._server.timeouts.idle)

    def abort(self) -> None:
        """End the connection at once."""
        self._transport.abort()
