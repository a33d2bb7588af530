"""Requests over raw sockets, each on a connection of its own, and what became of each."""

from __future__ import annotations

import asyncio
import errno
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

GET = b"GET %b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
PING = b'{"ping":"Hello, PetSage!"}'
POST = (
    b"POST /system/smoke-test HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
)


def get(path: str) -> bytes:
    """Return a GET request."""
    return GET % path.encode()


def post(body: bytes = PING) -> bytes:
    """Return a POST request to the smoke test."""
    return POST % (len(body), body)


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Read one answer with a Content-Length; return its status and its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        if line[:15].lower() == b"content-length:":
            length = int(line[15:])
    return int(head[9:12]), await reader.readexactly(length)


async def exchange(port: int, request: bytes) -> tuple[int, bytes]:
    """Send a request on a new connection; return the status and the body of its answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        return await read_answer(reader)
    finally:
        writer.close()


@dataclass
class Tally:
    """What became of the requests: `outcomes` counts them, `seconds` holds their latencies.

    `refused` is a connection that nobody accepted; any other name but a status is a loss.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """Return how many requests were neither answered nor refused a connection."""
        return sum(count for name, count in self.outcomes.items() if name in LOSSES)

    def percentile(self, share: float) -> float:
        """Return a percentile of the latencies, in seconds (nearest rank)."""
        ranked = sorted(self.seconds) or [math.nan]
        return ranked[max(0, math.ceil(share * len(ranked)) - 1)]

    async def note(self, exchange: Awaitable[tuple[int, bytes]]) -> None:
        """Await one exchange and count what became of it."""
        began = time.perf_counter()
        try:
            status, _ = await asyncio.wait_for(exchange, PATIENCE_SECONDS)
        except TimeoutError:
            self.outcomes["timeout"] += 1
        except asyncio.IncompleteReadError:
            self.outcomes["cut"] += 1
        except OSError as error:
            name = "refused" if error.errno == errno.ECONNREFUSED else "reset"
            self.outcomes[name] += 1
        else:
            self.outcomes[str(status)] += 1
            self.seconds.append(time.perf_counter() - began)


# How long a client waits for its answer.
PATIENCE_SECONDS = 10.0
LOSSES = frozenset({"timeout", "cut", "reset"})


async def steady(
    port: int,
    rate: float,
    stopped: Callable[[], bool],
    request: bytes | None = None,
    tally: Tally | None = None,
) -> Tally:
    """Send requests at a fixed rate, whatever becomes of them, each on its own connection."""
    tally = tally or Tally()
    tasks: set[asyncio.Task[None]] = set()
    due = time.perf_counter()
    while not stopped():
        task = asyncio.create_task(tally.note(exchange(port, request or post())))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        due += 1 / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
    await asyncio.gather(*tasks)
    return tally


def for_seconds(seconds: float) -> Callable[[], bool]:
    """Return a test of whether so many seconds have passed from now on."""
    end = time.perf_counter() + seconds
    return lambda: time.perf_counter() >= end
