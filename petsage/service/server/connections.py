"""All connections of one worker: how many there may be, whose turn it is, and whose time is up.

It reads no byte: what a single connection says is that connection's affair.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed.wsgi import WSGIApplication

    from petsage.service.server.connection import Connection
    from petsage.service.server.head import Environ, HeadReader
    from petsage.service.server.threads import Threads

log = logging.getLogger(__name__)

# How often the clock is looked at: a deadline is met that much too late at most.
TICK_SECONDS = 0.1
# Requests that are answered before the loop looks again at who has sent what: so they are answered
# nearly in the order of their arrival. To answer each as it is read made the slowest of a hundred
# wait half as long again.
TURNS_AT_A_TIME = 8
# Likewise, where a thousand requests that never arrived whole get their 408 at the same moment.
EXPIRED_AT_A_TIME = 16


@dataclass(frozen=True)
class Limits:
    """How long a connection may take for what, in seconds.

    Attributes:
        request: from the first byte of a request to its last; for a new connection, to say
            anything at all.
        idle: between two requests.
        stall: to take none of the bytes that are ready for it.
        linger: to go on sending what nobody reads any more, after the last answer.

    """

    request: float
    idle: float
    stall: float
    linger: float


@dataclass(frozen=True)
class Service:
    """What answers: the app, what refuses in its stead, and what both need.

    Attributes:
        app: the WSGI app.
        never_blocks: tells of an environ whether the app answers it without ever waiting.
        problem: makes a WSGI app that answers the problem of a code and a detail.
        base_environ: what each environ starts from.
        heads: reads the heads of requests.
        threads: where the app is called when it may block.
        body_bytes: the largest body that is received.

    """

    app: WSGIApplication
    never_blocks: Callable[[Environ], bool]
    problem: Callable[[str, str], WSGIApplication]
    base_environ: Environ
    heads: HeadReader
    threads: Threads
    body_bytes: int


class Connections:
    """The connections of one worker.

    Attributes:
        now: the loop's clock, at most a tick old.
        date: the same moment as a `Date` header.
        limits: how long a connection may take for what.
        draining: whether the worker is about to go: each answer then ends its connection.
        answered: how many requests have come in whole.

    """

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Limits, most: int) -> None:
        self.loop = loop
        self.limits = limits
        self.draining = False
        self.answered = 0
        self._most = most
        # In the order of their last good deed: to open, and to bring a whole request.
        self._all: OrderedDict[Connection, None] = OrderedDict()
        # Who has pipelined requests waits for the next of them in a line of its own: clients that
        # send thousands in one go hold up no probe.
        self._first: deque[Connection] = deque()
        self._further: deque[Connection] = deque()
        self._turns_due = False
        self.tick()

    def __len__(self) -> int:
        return len(self._all)

    def add(self, connection: Connection) -> None:
        """Take in a new connection; where there is no room, the one that idles longest goes.

        Where none idles it is the new one, of which nothing is known yet.
        """
        if len(self._all) >= self._most:
            idle = (one for one in self._all if not one.answering)
            leaving = next(idle, connection)
            leaving.drop()
            # Not when the loop reports it: more may come in before, and each has to have its own.
            self.remove(leaving)
            if leaving is connection:
                return
        self._all[connection] = None

    def remove(self, connection: Connection) -> None:
        """Forget a connection that is gone."""
        self._all.pop(connection, None)

    def take_turn(self, connection: Connection, *, further: bool) -> None:
        """Have a connection answer the whole request that it has brought, after those before it.

        `further` tells that the request came pipelined behind another one.
        """
        self._all.move_to_end(connection)
        self.answered += 1
        (self._further if further else self._first).append(connection)
        if not self._turns_due:
            self._turns_due = True
            self.loop.call_soon(self._next_turns)

    def _next_turns(self) -> None:
        for line in (self._first, self._further):
            for _ in range(min(TURNS_AT_A_TIME, len(line))):
                connection = line.popleft()
                self._guarded(connection, connection.answer)
        self._turns_due = bool(self._first or self._further)
        if self._turns_due:
            self.loop.call_soon(self._next_turns)

    def _guarded(self, connection: Connection, act: Callable[[], None]) -> None:
        # As the event loop does where it calls a connection itself: a fault of ours ends this
        # one, and the others don't notice.
        try:
            act()
        except Exception:
            log.exception("A connection failed.")
            connection.drop()

    def tick(self) -> None:
        """Look at the clock, and at every connection whose time is up."""
        self.now = self.loop.time()
        self.date = formatdate(usegmt=True)
        due = [one for one in self._all if one.deadline <= self.now]
        for connection in due[:EXPIRED_AT_A_TIME]:
            self._guarded(connection, connection.expire)
        if len(due) > EXPIRED_AT_A_TIME:
            self.loop.call_soon(self.tick)

    def drain(self, limits: Limits) -> None:
        """Let every connection end: with its answer, or when its time is up.

        The rules stay what they were, under shorter limits.
        """
        self.draining = True
        self.limits = limits
        for connection in self._all:
            connection.hurry()

    def drop_all(self) -> None:
        """End every connection at once."""
        for connection in list(self._all):
            connection.drop()
