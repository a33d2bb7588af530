"""The worker of gunicorn that runs the service: its event loop, its listeners, its end.

gunicorn's names stand here, in `gunicorn_conf` and in `gunicorn_logger`: the rest of this folder
knows sockets and WSGI, and of gunicorn no more than a variable and an option.
"""

import asyncio
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
from gunicorn.workers.base import Worker

from petsage.service.middleware import Middleware
from petsage.service.server.backlog import (
    accept_new_connections,
    has_successor,
    is_held_by,
    refuse_new_connections,
)
from petsage.service.server.connection import Connection
from petsage.service.server.connections import TICK_SECONDS, Connections, Limits, Service
from petsage.service.server.errors_stream import ErrorsStream
from petsage.service.server.head import HeadReader
from petsage.service.server.threads import Threads
from petsage.service.settings import Settings

log = logging.getLogger(__name__)

# docs/server.md promises it: a request arrives whole within ten seconds of its first byte. The
# idle time comes from gunicorn's settings.
SERVING = partial(Limits, request=10.0, stall=10.0, linger=5.0)
# On SIGTERM: idle connections may bring one more request, and all is over soon after the last
# answer, whatever clients do.
DRAINING = Limits(request=2.0, idle=2.0, stall=2.0, linger=0.5)
# The master closes its listener just before it sends SIGTERM; a platform that signals every
# process at once (Heroku) may have this worker hear of it first.
MASTER_CLOSES_SECONDS = 0.2
# libuv takes one new connection from a listener each time that it looks; so it is given the same
# listener so many times, or a probe would queue behind hundreds of others while the loop is busy.
ACCEPTORS = 8
# How long the last connections may take to come in from the kernel's queue.
LAST_ARRIVALS_SECONDS = (0.05, 2.0)
# Descriptors that are not connections: listeners, the log, the loop's own.
SPARE_DESCRIPTORS = 64


class PetSageWorker(Worker):  # type: ignore[misc]
    """Serves any WSGI app over HTTP/1.1 on an event loop.

    Each request is received whole first; an app that marks it as one that never blocks is
    called right then, any other in a thread. Settings come with the class: see `with_settings`.
    """

    settings: ClassVar[Settings]
    # Set before the fork: systemd has these sockets too, or the gunicorn before this one.
    sockets_are_lent = False
    _quitting = False

    @classmethod
    def with_settings(cls, settings: Settings) -> "type[PetSageWorker]":
        """Return this class for a service of these settings: gunicorn makes the instances."""
        return type(cls.__name__, (cls,), {"settings": settings})

    @classmethod
    def check_config(cls, cfg: Any, _log: Any) -> None:
        """Refuse what would silently not be done. gunicorn prints the reason, and exits."""
        if cfg.is_ssl:
            raise RuntimeError("PetSage speaks no TLS: leave that to the proxy in front of it.")

    def load_wsgi(self) -> None:
        """Load the app; where that fails, say so in the log and end the service."""
        try:
            super().load_wsgi()
        except Exception:
            log.critical("The app can't be loaded.", exc_info=True)
            sys.exit(Arbiter.APP_LOAD_ERROR)

    def run(self) -> None:
        """Serve until the end."""
        self.loop = uvloop.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self._stopping = asyncio.Event()
        self._hear_signals()
        try:
            self.loop.run_until_complete(self._serve())
        except Exception:
            # The master would print it.
            log.critical("The worker failed.", exc_info=True)
            sys.exit(1)

    def _hear_signals(self) -> None:
        # Until now the base class has taken note of them, also while the app was loaded. Left to
        # it is SIGABRT: the master sends that to a worker whose loop is stuck and hears nothing.
        self.loop.add_signal_handler(signal.SIGTERM, self._stop)
        self.loop.add_signal_handler(signal.SIGQUIT, self._quit)
        self.loop.add_signal_handler(signal.SIGINT, self._quit)
        self.loop.add_signal_handler(signal.SIGUSR1, self.log.reopen_files)

    def _stop(self) -> None:
        self.alive = False
        self._stopping.set()

    def _quit(self) -> None:
        self.cfg.worker_int(self)
        log.info("Quitting at once.")
        self._quitting = True
        self._stop()

    async def _serve(self) -> None:
        limits = SERVING(idle=self.cfg.keepalive)
        connections = Connections(self.loop, limits, self._most_connections())
        threads = Threads(self.cfg.threads)
        servers: list[asyncio.AbstractServer] = []
        for one in self.sockets:
            accept_new_connections(one.sock)
            service = self._service(one.sock, threads)
            servers += await self._listen(one.sock, service, connections)
        while self.alive:
            self._look_around(connections)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), TICK_SECONDS)
        if not self._quitting and self.ppid == os.getppid():
            await self._take_last_connections(connections)
        for listener in (*servers, *self.sockets):
            listener.close()
        connections.drain(DRAINING)
        log.info("Stopping. Connections: %d.", len(connections))
        # Just before the master kills what is left, so that the log says what was cut.
        last = self.loop.time() + self.cfg.graceful_timeout - 0.5
        while connections and not self._quitting and self.loop.time() < last:
            self.notify()
            connections.tick()
            await asyncio.sleep(TICK_SECONDS / 2)
        if connections:
            log.warning("Connections cut: %d.", len(connections))
            connections.drop_all()
            await asyncio.sleep(0)

    def _look_around(self, connections: Connections) -> None:
        self.notify()
        connections.tick()
        if self.ppid != os.getppid():
            log.warning("The master is gone.")
            self._stop()
        elif connections.answered >= self.max_requests:
            log.info("Stopping after %d requests, as max_requests asks.", connections.answered)
            self._stop()

    def _most_connections(self) -> int:
        """Return how many connections there may be, and see to the descriptors for them."""
        wanted: int = max(1, self.cfg.worker_connections) + SPARE_DESCRIPTORS
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            return max(1, soft - SPARE_DESCRIPTORS)
        return wanted - SPARE_DESCRIPTORS

    async def _listen(
        self, listener: socket.socket, service: Service, connections: Connections
    ) -> list[asyncio.AbstractServer]:
        create = (
            # Not the end of a worker but that of the service removes the socket's file.
            partial(self.loop.create_unix_server, cleanup_socket=False)  # type: ignore[call-arg]
            if listener.family == socket.AF_UNIX
            else self.loop.create_server
        )
        # uvloop listens anew, with a backlog of 100 where it is not told.
        return [
            await create(
                lambda: Connection(service, connections),
                sock=listener.dup(),
                backlog=self.cfg.backlog,
            )
            for _ in range(ACCEPTORS)
        ]

    def _service(self, listener: socket.socket, threads: Threads) -> Service:
        return Service(
            app=self.wsgi,
            never_blocks=getattr(self.wsgi, "runs_inline", _always_false),
            problem=Middleware(self.settings).problem,
            base_environ=base_environ(listener),
            heads=HeadReader(
                request_line=self.cfg.limit_request_line,
                fields=self.cfg.limit_request_fields,
                field_size=self.cfg.limit_request_field_size,
            ),
            threads=threads,
            body_bytes=self.settings.max_body_bytes,
        )

    async def _take_last_connections(self, connections: Connections) -> None:
        """Take in what the kernel has accepted already, so that closing loses nothing.

        Only where this service ends: while the master listens on, so do other workers, and a
        socket that was handed over, to this service or by it, serves somebody else on.
        """
        if self.sockets_are_lent or has_successor(self.ppid):
            return
        ends = self.loop.time() + MASTER_CLOSES_SECONDS
        while is_held_by(self.ppid, [one.sock for one in self.sockets]):
            if self.loop.time() > ends:
                return
            await asyncio.sleep(0.005)
        for one in self.sockets:
            refuse_new_connections(one.sock)
        at_least, at_most = LAST_ARRIVALS_SECONDS
        await asyncio.sleep(at_least)
        ends = self.loop.time() + at_most
        while any(one.get_backlog() > 0 for one in self.sockets) and self.loop.time() < ends:
            connections.tick()
            await asyncio.sleep(0.005)


def base_environ(listener: socket.socket) -> dict[str, Any]:
    """Return what the environ of every request to a listener begins with."""
    name = listener.getsockname()
    host, port = (name[0], str(name[1])) if isinstance(name, tuple) else ("localhost", "")
    return {
        "SERVER_NAME": host,
        "SERVER_PORT": port,
        "SCRIPT_NAME": "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": ErrorsStream(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }


def _always_false(_environ: dict[str, Any]) -> bool:
    return False
