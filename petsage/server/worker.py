"""The gunicorn worker: its event loop, its listeners, its heartbeat and its drain."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import resource
import signal
import socket
import sys
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar

import uvloop
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from gunicorn.workers.base import Worker

from petsage.server.protocol import TICK_SECONDS, Connection, Server, Timeouts
from petsage.server.reader import MAX_HEAD_BYTES, Limits
from petsage.server.wsgi import Application, Threads, base_environ
from petsage.service.envelope import Envelope
from petsage.service.settings import Settings

log = logging.getLogger(__name__)

# docs/server.md promises these. The idle time comes from gunicorn's settings.
SERVING = partial(Timeouts, request=10.0, stall=10.0, linger=5.0)
# On SIGTERM a request still has its 10 s to arrive. An idle connection may bring one more, and all
# is over soon after the last response, whatever clients do.
DRAINING = Timeouts(request=10.0, idle=2.0, stall=2.0, linger=0.5)
# The master closes its listeners before it sends SIGTERM, but a platform that signals every process
# at once (Heroku) may have this worker hear of it first. What the master's socket still queues
# when the master closes it is lost, so until then it is served here.
MASTER_CLOSES_SECONDS = 0.5
# libuv takes one new connection from a listener each time that it looks. So it is given the same
# listener so many times, or a probe would wait behind hundreds of others while the loop is busy.
ACCEPTORS = 8
# glibc keeps what is freed in the middle of its heap: after 2,000 uploads that timed out, a worker
# stayed half as large again as before. So it gives memory back when half of so many have left.
CROWD = 256
# Descriptors that are not connections: listeners, the log, the loop's own.
SPARE = 64


class PetSageWorker(Worker):  # type: ignore[misc]
    """Serves any WSGI app over HTTP/1.1 on an event loop. Its settings come with the class."""

    settings: ClassVar[Settings]
    _quitting = False
    _peak = 0  # of the connections

    @classmethod
    def with_settings(cls, settings: Settings) -> type[PetSageWorker]:
        """Return this class for a service of these settings: gunicorn makes the instances."""
        return type(cls.__name__, (cls,), {"settings": settings})

    @classmethod
    def check_config(cls, cfg: Any, _log: Any) -> None:
        """Reject a setting that would silently have no effect. gunicorn prints the reason."""
        if cfg.is_ssl:
            raise RuntimeError("PetSage speaks no TLS: leave that to the proxy in front of it.")

    def load_wsgi(self) -> None:
        """Load the app; where that fails, log the reason and end the service."""
        try:
            super().load_wsgi()
        except Exception:
            log.critical("The app can't be loaded.", exc_info=True)
            sys.exit(Arbiter.APP_LOAD_ERROR)

    def run(self) -> None:
        """Serve until the end."""
        self.loop = uvloop.new_event_loop()
        # The base class has noted signals until now. SIGABRT is left to it: the master sends that
        # to a worker whose loop is stuck.
        self.loop.add_signal_handler(signal.SIGTERM, self._stop)
        self.loop.add_signal_handler(signal.SIGQUIT, self._quit)
        self.loop.add_signal_handler(signal.SIGINT, self._quit)
        try:
            self.loop.run_until_complete(self._serve())
        except Exception:
            # The master would print it.
            log.critical("The worker failed.", exc_info=True)
            sys.exit(1)

    def _stop(self) -> None:
        self.alive = False

    def _quit(self) -> None:
        self.cfg.worker_int(self)
        log.info("Quitting at once.")
        self._quitting = True
        self._stop()

    async def _serve(self) -> None:
        server = self._server()
        acceptors: list[asyncio.AbstractServer] = []
        for listener in self.sockets:
            acceptors += await self._listen(listener.sock, server)
        while self.alive:
            self._check(server)
            await asyncio.sleep(TICK_SECONDS)
        if not self._quitting:
            await self._close_listeners(acceptors, server)
        server.drain(DRAINING)
        log.info("Stopping. Connections: %d.", len(server))
        # Just before the master kills what is left, so that the log says what was cut.
        end = self.loop.time() + self.cfg.graceful_timeout - 0.5
        while server and not self._quitting and self.loop.time() < end:
            self.notify()
            server.tick()
            await asyncio.sleep(TICK_SECONDS / 2)
        if server:
            log.warning("Connections cut: %d.", len(server))

    def _server(self) -> Server:
        application = Application(
            self.wsgi,
            problem=Envelope(self.settings).problem,
            is_inline=getattr(self.wsgi, "never_blocks", lambda _environ: False),
        )
        # For gunicorn, 0 sets no limit.
        limits = Limits(
            line=self.cfg.limit_request_line or MAX_HEAD_BYTES,
            field=self.cfg.limit_request_field_size or MAX_HEAD_BYTES,
            fields=self.cfg.limit_request_fields or MAX_HEAD_BYTES,
            body=self.settings.max_body_bytes,
        )
        threads, timeouts = Threads(self.cfg.threads), SERVING(idle=self.cfg.keepalive)
        return Server(self.loop, application, threads, limits, timeouts, self._max_connections())

    def _max_connections(self) -> int:
        """Return how many connections there may be, and see to the descriptors for them."""
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        wanted: int = max(1, self.cfg.worker_connections)
        return wanted if hard == resource.RLIM_INFINITY else max(1, min(wanted, hard - SPARE))

    async def _listen(
        self, listener: socket.socket, server: Server
    ) -> list[asyncio.AbstractServer]:
        create = (
            # The socket's file ends with the service, not with a worker.
            partial(self.loop.create_unix_server, cleanup_socket=False)  # type: ignore[call-arg]
            if listener.family == socket.AF_UNIX
            else self.loop.create_server
        )
        connect = partial(Connection, server, base_environ(listener.getsockname()))
        # uvloop listens anew, with a backlog of 100 where it is not told.
        return [
            await create(connect, sock=listener.dup(), backlog=self.cfg.backlog)
            for _ in range(ACCEPTORS)
        ]

    def _check(self, server: Server) -> None:
        self.notify()
        server.tick()
        self._peak = max(self._peak, len(server))
        if self._peak >= CROWD and len(server) <= self._peak // 2:
            self._peak = len(server)
            with suppress(AttributeError):  # musl has no such function
                ctypes.CDLL(None).malloc_trim(0)
        if self.ppid != os.getppid():
            log.warning("The master is gone.")
            self._stop()
        elif server.requests >= self.max_requests:
            log.info("Stopping after %d requests, as max_requests asks.", server.requests)
            self._stop()

    async def _close_listeners(
        self, acceptors: list[asyncio.AbstractServer], server: Server
    ) -> None:
        """Close the listeners, and lose none of the connections that they have queued."""
        end = self.loop.time() + MASTER_CLOSES_SECONDS
        while self.loop.time() < end and self.ppid == os.getppid():
            self.notify()
            server.tick()
            await asyncio.sleep(TICK_SECONDS / 2)
        for acceptor in acceptors:
            acceptor.close()
        for listener in self.sockets:
            connect = partial(Connection, server, base_environ(listener.sock.getsockname()))
            # The kernel resets what comes in between the last accept and the close: microseconds.
            for accepted in accept_all_and_close(listener.sock):
                with suppress(OSError):
                    await self.loop.connect_accepted_socket(connect, accepted)


def accept_all_and_close(listener: socket.socket) -> list[socket.socket]:
    """Empty the queue of a listener, close it, and return the connections."""
    accepted = []
    # BlockingIOError tells that the queue is empty; another error, that there is no more room.
    with suppress(OSError):
        while True:
            accepted.append(listener.accept()[0])
    listener.close()
    return accepted


class GunicornLogger(Logger):  # type: ignore[misc]
    """Passes gunicorn's lines on to the root logger; opens no file and no handler of its own."""

    def setup(self, cfg: Any) -> None:
        """Take the level from gunicorn's settings; the rest is set up for the root logger."""
        self.cfg = cfg
        self.error_log.setLevel(self.LOG_LEVELS.get(cfg.loglevel.lower(), logging.INFO))
        self.error_log.propagate = True
