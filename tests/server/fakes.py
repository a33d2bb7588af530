"""A loop whose clock stands still, and connections without sockets: no test waits for anything."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from io import BytesIO
from typing import Any, cast

from petsage.server.protocol import TICK_SECONDS, Connection, Server, Timeouts
from petsage.server.reader import Limits
from petsage.server.wsgi import Application, Environ, base_environ
from petsage.service.envelope import Envelope
from petsage.service.settings import Settings
from tests.server.wire import Response

BODY_BYTES = 1_000
HIGH_WATER = 65_536
TIMEOUTS = Timeouts(request=10.0, idle=95.0, stall=10.0, linger=5.0)
DRAINING = Timeouts(request=10.0, idle=2.0, stall=2.0, linger=0.5)
BASE = base_environ(("192.0.2.9", 80))

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: a\r\n"

problem = Envelope(Settings()).problem


def echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Respond with what came: the method, the target and the body."""
    if int(environ.get("CONTENT_LENGTH") or 0) > BODY_BYTES:
        return list(problem("body-too-large", "Too large.")(environ, start_response))
    body = "{} {} ".format(environ["REQUEST_METHOD"], environ["REQUEST_URI"]).encode()
    body += environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


class Loop:
    """As much of an event loop as a server knows."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self._calls: deque[Callable[[], object]] = deque()

    def time(self) -> float:
        return self.now

    def call_soon(self, call: Callable[..., object], *args: object) -> None:
        self._calls.append(lambda: call(*args))

    call_soon_threadsafe = call_soon

    def run_once(self) -> None:
        """Make the calls that are due now, and none that they ask for."""
        for _ in range(len(self._calls)):
            self._calls.popleft()()

    def run(self) -> None:
        """Make calls until none is due."""
        while self._calls:
            self.run_once()


class Threads:
    """Threads that work when they are told to."""

    def __init__(self) -> None:
        self._calls: deque[Callable[[], None]] = deque()

    def run(self, call: Callable[[], None]) -> None:
        self._calls.append(call)

    def work(self) -> None:
        """Do all that is to be done."""
        while self._calls:
            self._calls.popleft()()


class Client:
    """The other end of a connection, and the transport between both.

    Attributes:
        takes: whether the client takes what is written. What it does not take fills the buffer.
        received: what it has taken.
        closed: whether the server has closed the connection, or its half of it.
        lost: whether the connection is gone.

    """

    def __init__(self, world: World) -> None:
        self.takes = True
        self.received = b""
        self.closed = False
        self.lost = False
        self._world = world
        self._buffer = b""
        self._closing = False
        self._paused = False
        self._on_its_way: deque[bytes | None] = deque()
        self._over_high_water = False
        self._protocol = Connection(world.server, BASE)
        self._protocol.connection_made(cast(Any, self))

    # What a test does.

    def send(self, data: bytes, *, run: bool = True) -> None:
        """Send bytes; they arrive when the server reads."""
        self._on_its_way.append(data)
        self._deliver()
        if run:
            self._world.loop.run()

    def end(self) -> None:
        """Send nothing more."""
        self._on_its_way.append(None)
        self._deliver()
        self._world.loop.run()

    def take(self, count: int) -> None:
        """Take so many bytes of what is written."""
        self.received += self._buffer[:count]
        self._buffer = self._buffer[count:]
        if self._over_high_water and len(self._buffer) <= HIGH_WATER // 4:
            self._over_high_water = False
            self._protocol.resume_writing()
        self._lose_when_done()
        self._world.loop.run()

    def response(self, method: str = "GET") -> Response:
        """Return the next response."""
        file = BytesIO(self.received)
        response = Response(file, method)
        self.received = file.read()
        return response

    def statuses(self) -> list[int]:
        """Return the statuses of all responses that have come."""
        found = []
        while self.received:
            found.append(self.response().status)
        return found

    def ask(self, data: bytes = GET) -> Response:
        """Send a request, and return the response."""
        self.send(data)
        return self.response(data.split(b" ")[0].decode())

    def _deliver(self) -> None:
        while self._on_its_way and not self._paused and not self.lost:
            data = self._on_its_way.popleft()
            if data is not None:
                self._protocol.data_received(data)
            elif not self._protocol.eof_received():
                self.close()

    # What the server sees: an asyncio.Transport.

    def get_extra_info(self, name: str) -> Any:
        return ("192.0.2.1", 4711) if name == "peername" else None

    def get_write_buffer_size(self) -> int:
        return len(self._buffer)

    def is_closing(self) -> bool:
        return self._closing

    def write(self, data: bytes) -> None:
        assert not self.closed, "written after the end"
        self._buffer += data
        if self.takes:
            self.received, self._buffer = self.received + self._buffer, b""
        elif len(self._buffer) > HIGH_WATER and not self._over_high_water:
            self._over_high_water = True
            self._protocol.pause_writing()

    def write_eof(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        assert not self._paused
        self._paused = True

    def resume_reading(self) -> None:
        assert self._paused
        self._paused = False
        self._world.loop.call_soon(self._deliver)

    def close(self) -> None:
        self.closed = self._closing = True
        self._lose_when_done()

    def abort(self) -> None:
        self._buffer = b""
        self.close()

    def _lose_when_done(self) -> None:
        if self._closing and not self._buffer and not self.lost:
            self.lost = True
            self._world.loop.call_soon(self._protocol.connection_lost, None)


class World:
    """A server, its loop and its threads."""

    def __init__(
        self,
        app: Any = echo,
        *,
        inline: bool | Callable[[Environ], bool] = True,
        max_connections: int = 100,
        timeouts: Timeouts = TIMEOUTS,
    ) -> None:
        self.loop, self.threads = Loop(), Threads()
        is_inline = inline if callable(inline) else lambda _environ: bool(inline)
        self.server = Server(
            cast(Any, self.loop),
            Application(app, problem, is_inline),
            cast(Any, self.threads),
            Limits(line=8190, field=8190, fields=100, body=BODY_BYTES),
            timeouts,
            max_connections,
        )

    def connect(self) -> Client:
        client = Client(self)
        self.loop.run()
        return client

    def work(self) -> None:
        """Let the threads finish, and the loop hear of it."""
        self.threads.work()
        self.loop.run()

    def wait(self, seconds: float) -> None:
        """Let time pass, tick by tick."""
        end = self.loop.now + seconds
        while self.loop.now < end:
            self.loop.now = min(end, self.loop.now + TICK_SECONDS)
            self.server.tick()
            self.loop.run()

    def drain(self) -> None:
        self.server.drain(DRAINING)
