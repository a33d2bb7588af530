"""The worker's connections without gunicorn: in a thread, with deadlines short enough for tests."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from typing import Any

import uvloop

from petsage.service.envelope import Envelope
from petsage.server.connection import Connection
from petsage.server.connections import Connections, Limits, Service
from petsage.server.head import HeadReader
from petsage.server.threads import Threads
from petsage.server.worker import ACCEPTORS, base_environ
from petsage.service.settings import Settings

BODY_BYTES = 1_000


def echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answer with what came: the method, the target and the body."""
    if int(environ.get("CONTENT_LENGTH") or 0) > BODY_BYTES:
        return Envelope(Settings()).problem("body-too-large", "Too large.")(environ, start_response)
    body = "{} {} ".format(environ["REQUEST_METHOD"], environ["REQUEST_URI"]).encode()
    body += environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


class Listening:
    """A listening port, and the connections behind it."""

    def __init__(self, address: tuple[str, int], loop: Any, connections: Connections) -> None:
        self.address = address
        self.loop = loop
        self.connections = connections

    def connect(self) -> Client:
        return Client(self.address)

    def drain(self, *, request: float, idle: float) -> None:
        limits = Limits(request=request, idle=idle, stall=0.5, linger=0.5)
        self.loop.call_soon_threadsafe(self.connections.drain, limits)


@contextmanager
def listening(
    app: Any = echo,
    *,
    never_blocks: Callable[[dict[str, Any]], bool] = lambda environ: True,
    request_seconds: float = 0.5,
    keep_alive_seconds: float = 2.0,
    linger_seconds: float = 1.0,
    most: int = 100,
    threads: int = 4,
) -> Iterator[Listening]:
    """Serve `app` on a port of the loopback, as a worker would."""
    loop = uvloop.new_event_loop()
    listener = socket.create_server(("127.0.0.1", 0))
    limits = Limits(
        request=request_seconds,
        idle=keep_alive_seconds,
        stall=request_seconds,
        linger=linger_seconds,
    )
    connections = Connections(loop, limits, most)
    service = Service(
        app=app,
        never_blocks=never_blocks,
        problem=Envelope(Settings()).problem,
        base_environ=base_environ(listener),
        heads=HeadReader(request_line=8190, fields=100, field_size=8190),
        threads=Threads(threads),
        body_bytes=BODY_BYTES,
    )
    stopping = asyncio.Event()

    async def serve() -> None:
        servers = [
            await loop.create_server(
                lambda: Connection(service, connections), sock=listener.dup(), backlog=500
            )
            for _ in range(ACCEPTORS)
        ]
        while not stopping.is_set():
            connections.tick()
            await asyncio.sleep(0.02)
        for one in (*servers, listener):
            one.close()
        connections.drop_all()
        await asyncio.sleep(0.02)

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    address = listener.getsockname()
    thread.start()
    try:
        yield Listening(address, loop, connections)
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join()
        loop.close()


class Answer:
    """One answer off a raw connection."""

    def __init__(self, file: BufferedReader, method: str) -> None:
        line = file.readline()
        assert line.startswith(b"HTTP/1.1 "), line
        self.status = int(line.split()[1])
        self.headers = http.client.parse_headers(file)
        self.body = b""
        if method == "HEAD" or self.status in (100, 204, 304):
            return
        if self.headers["Transfer-Encoding"] == "chunked":
            while size := int(file.readline(), 16):
                self.body += file.read(size)
                assert file.read(2) == b"\r\n"
            assert file.read(2) == b"\r\n"
        elif "Content-Length" in self.headers:
            self.body = file.read(int(self.headers["Content-Length"]))
        else:
            self.body = file.read()


class Client:
    """A raw connection: sends any bytes, reads answers one by one."""

    def __init__(self, address: tuple[str, int], timeout: float = 5.0) -> None:
        self.socket = socket.create_connection(address, timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self.socket.makefile("rb")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._file.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def end(self) -> None:
        """Say that nothing more will come."""
        self.socket.shutdown(socket.SHUT_WR)

    def answer(self, method: str = "GET") -> Answer:
        return Answer(self._file, method)

    def rest(self) -> bytes:
        """Read until the server closes."""
        return self._file.read()
