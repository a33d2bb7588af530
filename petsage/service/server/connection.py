"""One connection: requests are read, answered in order, and waited for as long as is allowed.

It decides when; what a head or a body says, and what an app answers, is read and made elsewhere.
"""

from __future__ import annotations

import asyncio
import enum
import math
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, cast

from petsage.contract import PROBLEMS
from petsage.service.server.answering import ThreadedAnswer, answer_at_once, answer_refusal
from petsage.service.server.head import RefusedError
from petsage.service.server.request_reader import RequestReader

if TYPE_CHECKING:
    from petsage.service.server.connections import Connections, Service
    from petsage.service.server.head import Request

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# What a client may still send after an answer that ends the connection: it is read and thrown
# away, because closing a socket with unread bytes resets it, and the answer would be lost.
MAX_LINGER_BYTES = 256 * 1024 * 1024


class Phase(enum.Enum):
    """What a connection waits for, which is what its deadline is about."""

    SILENT = "the first byte of a new connection"
    REQUEST = "the rest of a request"
    TURN = "the requests that came before"
    ANSWER = "the app"
    IDLE = "the next request"
    LINGER = "the client to notice that this is over"


class Connection(asyncio.Protocol):
    """One connection from a client, from accept to close."""

    def __init__(self, service: Service, connections: Connections) -> None:
        self._service = service
        self._connections = connections
        self._phase = Phase.SILENT
        self.deadline = connections.now + connections.limits.request
        self._whole: tuple[Request, BinaryIO] | None = None  # a request that awaits its turn
        self._threaded: ThreadedAnswer | None = None  # the one that is being made
        self._ended = False  # the client has sent its last byte
        self._reading = True
        self._writable = True
        self._unsent = 0  # bytes that the client had not taken at the last deadline
        self._lingered = 0

    @property
    def answering(self) -> bool:
        """Whether a request is whole, and its answer is not."""
        return self._phase is Phase.TURN or self._phase is Phase.ANSWER

    # What the event loop reports.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take in the new connection."""
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        # A listener of `::` sees IPv4 as a part of IPv6 (RFC 4291, section 2.5.5.2).
        remote = {}
        if peer:
            host = peer[0].removeprefix("::ffff:") if "." in peer[0] else peer[0]
            remote = {"REMOTE_ADDR": host, "REMOTE_PORT": str(peer[1])}
        self._base = self._service.base_environ | remote
        self._reader = RequestReader(self._service.heads, self._base, self._service.body_bytes)
        self._connections.add(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        """Forget the connection."""
        self._connections.remove(self)
        if self._threaded is not None:
            self._threaded.resume()

    def data_received(self, data: bytes) -> None:
        """Take in bytes of the client."""
        if self._phase is Phase.LINGER:
            self._lingered += len(data)
            if self._lingered > MAX_LINGER_BYTES:
                self._transport.abort()
            return
        self._reader.feed(data)
        if self.answering or not self._writable:
            self._reading = False
            self._transport.pause_reading()
        else:
            self._read_on(further=False)

    def eof_received(self) -> bool:
        """Answer what the client has sent before it said that nothing more will come."""
        self._ended = True
        if self._phase is Phase.REQUEST:
            self._refuse(self._reader.incomplete())
        return self.answering or (self._phase is not Phase.LINGER and self._reader.has_begun)

    def pause_writing(self) -> None:
        """Stop answering: the client takes its answers slower than they are made."""
        self._writable, self._unsent = False, 0
        self.deadline = min(self.deadline, self._connections.now + self._connections.limits.stall)
        if self._threaded is not None:
            self._threaded.pause()

    def resume_writing(self) -> None:
        """Go on answering."""
        self._writable = True
        if self._threaded is not None:
            self.deadline = math.inf
            self._threaded.resume()
        elif not self._transport.is_closing():
            if self._phase is Phase.IDLE:
                self._await_next()
            elif self._phase is Phase.REQUEST:  # a 100 was too much
                self._read_on(further=True)

    # Reading.

    def _read_on(self, *, further: bool) -> None:
        """Read as much of the input as makes one request, and have that answered in its turn."""
        try:
            self._whole = self._reader.next()
        except RefusedError as refusal:
            self._refuse(refusal)
        else:
            if self._whole is None:
                self._await_rest()
            else:
                self._phase = Phase.TURN
                self.deadline = math.inf
                self._connections.take_turn(self, further=further)

    def _await_rest(self) -> None:
        if not self._reader.has_begun:
            # Empty lines alone: no request to refuse, and no good deed to be given time for.
            if self._ended:
                self._transport.close()
            self._resume_reading()
            return
        if self._phase is not Phase.REQUEST:
            self._phase = Phase.REQUEST
            self.deadline = self._connections.loop.time() + self._connections.limits.request
        if self._ended:
            self._refuse(self._reader.incomplete())
            return
        if self._reader.wants_continue():
            self._transport.write(CONTINUE)
        self._resume_reading()

    def _await_next(self) -> None:
        self.deadline = self._connections.now + self._connections.limits.idle
        if self._reader.input:
            self._read_on(further=True)
        else:
            self._resume_reading()

    def _resume_reading(self) -> None:
        if not self._reading:
            self._reading = True
            self._transport.resume_reading()

    # Answering.

    def answer(self) -> None:
        """Answer the request whose turn has come."""
        if self._whole is None or self._transport.is_closing():
            return
        (request, body), self._whole = self._whole, None
        environ = request.environ
        environ["wsgi.input"] = body
        connections, service = self._connections, self._service
        over = (connections.draining or self._ended) and not self._reader.has_begun
        keep_alive = request.keep_alive and not over
        if service.never_blocks(environ):
            keep_alive = answer_at_once(
                *(service, service.app, environ, self._transport),
                date=connections.date,
                keep_alive=keep_alive,
            )
            self._answered(keep_alive)
            return
        self._phase = Phase.ANSWER
        self._threaded = ThreadedAnswer(service, connections.loop, self._transport, self._answered)
        service.threads.run(partial(self._threaded.run, environ, connections.date, keep_alive))

    def _answered(self, keep_alive: bool) -> None:
        self._threaded = None
        if self._transport.is_closing():
            return
        # Not where the end has come meanwhile: a client that was not told may send one more.
        if not keep_alive or (self._ended and not self._reader.has_begun):
            self._end()
            return
        self._phase = Phase.IDLE
        if self._writable:
            self._await_next()

    def _refuse(self, refusal: RefusedError) -> None:
        date, base = self._connections.date, self._base | {"REQUEST_METHOD": self._reader.method}
        answer_refusal(self._service, refusal, base, self._transport, date=date)
        self._end()

    def _end(self) -> None:
        """End the connection so that the client gets its last answer."""
        self._phase = Phase.LINGER
        self._reader.input = b""
        self.deadline = self._connections.now + self._connections.limits.linger
        if self._ended:
            self._transport.close()
        else:
            self._transport.write_eof()
            self._resume_reading()

    # Time.

    def expire(self) -> None:
        """Do what is to be done when the time is up."""
        unsent = self._transport.get_write_buffer_size()
        if unsent and not 0 < self._unsent <= unsent:
            # The client takes its answer slowly, but it takes it.
            self._unsent = unsent
            self.deadline = self._connections.now + self._connections.limits.stall
        elif unsent or self._phase is Phase.LINGER or self._transport.is_closing():
            self._transport.abort()
        elif self._phase is Phase.REQUEST:
            self._refuse(
                self._reader.refusal("request-timeout", PROBLEMS["request-timeout"].detail)
            )
        else:
            self._transport.close()

    def hurry(self) -> None:
        """Have no more time than the limits allow from now on: they have become shorter."""
        limits = self._connections.limits
        allowed = {
            Phase.SILENT: limits.idle,
            Phase.REQUEST: limits.request,
            Phase.TURN: math.inf,
            Phase.ANSWER: math.inf if self._writable else limits.stall,
            Phase.IDLE: limits.idle,
            Phase.LINGER: limits.linger,
        }
        self.deadline = min(self.deadline, self._connections.now + allowed[self._phase])

    def drop(self) -> None:
        """End the connection at once, whatever it is about."""
        self._transport.abort()
