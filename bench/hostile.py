"""Connections that mean no good: how each kind is opened, and what it goes on to do."""

from __future__ import annotations

import asyncio
import random
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import cast

from bench.traffic import get, post

HEAD = b"POST /system/smoke-test HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
DRIP_SECONDS = 1.0


Kind = Callable[[asyncio.AbstractEventLoop, socket.socket], Awaitable[None]]


async def hold(port: int, kind: Kind) -> None:
    """Open a connection, misbehave on it until the server closes it, and begin again."""
    loop = asyncio.get_running_loop()
    while True:
        with socket.socket() as raw:
            raw.setblocking(False)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            with suppress(OSError):
                await loop.sock_connect(raw, ("127.0.0.1", port))
                await kind(loop, raw)
        await asyncio.sleep(random.random())


async def _until_closed(loop: asyncio.AbstractEventLoop, raw: socket.socket) -> None:
    while await loop.sock_recv(raw, 65_536):
        pass


async def _drip(
    loop: asyncio.AbstractEventLoop, raw: socket.socket, first: bytes, then: bytes
) -> None:
    await loop.sock_sendall(raw, first)
    closed = asyncio.ensure_future(_until_closed(loop, raw))
    try:
        while not closed.done():
            await asyncio.wait([closed], timeout=DRIP_SECONDS)
            await loop.sock_sendall(raw, then)
    finally:
        closed.cancel()


async def idle(loop: asyncio.AbstractEventLoop, raw: socket.socket) -> None:
    """Say nothing at all."""
    await _until_closed(loop, raw)


async def slow_headers(loop: asyncio.AbstractEventLoop, raw: socket.socket) -> None:
    """Send a header a second."""
    await _drip(loop, raw, b"GET /system/live HTTP/1.1\r\nHost: a\r\n", b"X: y\r\n")


async def slow_body(loop: asyncio.AbstractEventLoop, raw: socket.socket) -> None:
    """Send a byte of the body a second."""
    await _drip(loop, raw, HEAD + b"Content-Length: 60000\r\n\r\n", b" ")


async def slow_chunks(loop: asyncio.AbstractEventLoop, raw: socket.socket) -> None:
    """Send a chunk of one byte a second."""
    await _drip(loop, raw, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n")


async def never_closing(loop: asyncio.AbstractEventLoop, raw: socket.socket) -> None:
    """Ask for the connection to be closed, and never close it oneself."""
    await loop.sock_sendall(raw, get("/system/live")[:-2] + b"Connection: close\r\n\r\n")
    await _until_closed(loop, raw)
    await asyncio.sleep(3600)


async def slow_reading(loop: asyncio.AbstractEventLoop, raw: socket.socket) -> None:
    """Ask for the largest answer again and again, and read a few bytes a second."""
    with suppress(TimeoutError):
        await asyncio.wait_for(loop.sock_sendall(raw, get("/openapi.json") * 50), 1.0)
    while await loop.sock_recv(raw, 64):  # noqa: ASYNC110 - slowness is the point
        await asyncio.sleep(DRIP_SECONDS)


async def pipelining(loop: asyncio.AbstractEventLoop, raw: socket.socket) -> None:
    """Send a burst of requests in one go, take no answer, and wait."""
    with suppress(TimeoutError):
        await asyncio.wait_for(loop.sock_sendall(raw, post() * 20), 1.0)
    await asyncio.sleep(3600)


KINDS: dict[str, Kind] = {
    "idle": idle,
    "slow headers": slow_headers,
    "slow body": slow_body,
    "slow chunks": slow_chunks,
    "never closing": never_closing,
    "slow reading": slow_reading,
    "pipelining": pipelining,
}


@asynccontextmanager
async def held(port: int, kind: str, count: int) -> AsyncIterator[None]:
    """Hold so many hostile connections of one kind.

    They live in a process of their own, so that the work they make delays no probe.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.hostile", str(port), kind, str(count)),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        # It says so when they are all there.
        await cast(asyncio.StreamReader, process.stdout).readline()
        yield
    finally:
        process.kill()
        await process.wait()


async def _hold(port: int, kind: str, count: int) -> None:
    tasks = []
    for number in range(count):
        tasks.append(asyncio.create_task(hold(port, KINDS[kind])))
        if number % 50 == 49:
            await asyncio.sleep(0.02)
    print("held", flush=True)
    await asyncio.gather(*tasks)


if __name__ == "__main__":
    asyncio.run(_hold(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
