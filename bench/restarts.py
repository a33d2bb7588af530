"""What restarts and crashes cost: requests lost, and seconds until all is well again."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable
from functools import partial

from bench.figures import CONFIG, QUIET, Figure
from bench.traffic import Tally, exchange, get, post, read_answer, steady
from tests.running import Service, running_service

SLOW = f"{CONFIG} tests.server.apps:slow"


async def sigterm(scale: float) -> list[Figure]:
    """Stop it under 400 new connections a second, with a request of two seconds in flight."""
    lost, exits, in_flight = 0, [], Tally()
    runs = max(1, round(10 * scale))
    for run in range(runs):
        with running_service(SLOW, **QUIET, WEB_CONCURRENCY=str(1 + run % 2)) as service:
            waiting = asyncio.create_task(in_flight.note(exchange(service.port, get("/2"))))
            gone = asyncio.Event()
            load = asyncio.create_task(steady(service.port, 400, gone.is_set, get("/")))
            await asyncio.sleep(0.7)
            service.process.send_signal(signal.SIGTERM)
            await waiting
            answered = time.monotonic()
            await asyncio.to_thread(service.process.wait, 40)
            exits.append(time.monotonic() - answered)
            gone.set()
            lost += (await load).lost
    return [
        Figure(
            f"SIGTERM under 400 new connections a second, {runs} runs",
            lost == 0 and in_flight.outcomes == {"200": runs} and max(exits) < 3,
            f"{lost} lost, in flight {dict(in_flight.outcomes)}, exit within {max(exits):.1f} s",
            "0 lost, exit within 3 s of the one in flight",
            {"lost": lost, "exits": exits},
        )
    ]


async def sigterm_idle(_scale: float) -> list[Figure]:
    """Stop it while 100 kept-alive connections idle, and use each of them once more."""
    tally = Tally()
    with running_service(**QUIET) as service:
        pairs = [await asyncio.open_connection("127.0.0.1", service.port) for _ in range(100)]
        for reader, writer in pairs:
            writer.write(get("/system/live"))
            await read_answer(reader)
        began = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        for number, (reader, writer) in enumerate(pairs):
            await asyncio.sleep(max(0.0, began + number * 0.019 - time.monotonic()))
            writer.write(get("/system/live"))
            await tally.note(read_answer(reader))
        used = time.monotonic() - began
        await asyncio.to_thread(service.process.wait, 40)
        exited = time.monotonic() - began
        for _, writer in pairs:
            writer.close()
    return [
        Figure(
            "SIGTERM with 100 idle connections, each used again",
            tally.outcomes == {"200": 100} and exited < 5,
            f"{tally.lost} lost in {used:.1f} s, exit after {exited:.1f} s",
            "0 lost within 2 s, then closed",
            {"outcomes": dict(tally.outcomes), "exited": exited},
        )
    ]


async def reuse(scale: float) -> list[Figure]:
    """Use kept-alive connections again after up to 90 s of idling."""
    tally = Tally()

    async def one(port: int, idle: float) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(post())
        await read_answer(reader)
        await asyncio.sleep(idle)
        writer.write(post())
        await tally.note(read_answer(reader))
        writer.close()

    longest = 90 * scale
    with running_service(**QUIET) as service:
        await asyncio.gather(*(one(service.port, longest * n / 200) for n in range(1, 201)))
    return [
        Figure(
            f"reuse of 200 connections after up to {longest:.0f} s",
            tally.outcomes == {"200": 200},
            f"{200 - tally.outcomes['200']} lost",
            "0 lost",
            {"outcomes": dict(tally.outcomes)},
        )
    ]


async def sighup(scale: float) -> list[Figure]:
    """Reload it five times under load."""
    reloads = max(1, round(5 * scale))
    with running_service(**QUIET, WEB_CONCURRENCY="2") as service:
        gone = asyncio.Event()
        load = asyncio.create_task(steady(service.port, 200, gone.is_set))
        for _ in range(reloads):
            before = set(service.workers())
            service.process.send_signal(signal.SIGHUP)
            await _until(partial(_are_all_new, service, before))
            await asyncio.sleep(1)
        gone.set()
        tally = await load
    return [
        Figure(
            f"SIGHUP {reloads} times under load",
            set(tally.outcomes) == {"200"},
            f"{dict(tally.outcomes)}",
            "0 lost",
            {"outcomes": dict(tally.outcomes)},
        )
    ]


async def kills(_scale: float) -> list[Figure]:
    """Kill a worker, then the master."""
    with running_service(**QUIET, WEB_CONCURRENCY="2") as service:
        before: set[str] = set()
        while len(before) < 2:
            before.add(await _worker_id(service))
        began = time.monotonic()
        os.kill(service.workers()[0], signal.SIGKILL)
        while await _worker_id(service) in before:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.005)
        capacity = time.monotonic() - began
        began = time.monotonic()
        service.process.kill()
        service.process.wait()
        await _until(lambda: _is_free(service.port))
        freed = time.monotonic() - began
    return [
        Figure(
            "kill -9 of one of two workers",
            capacity < 1,
            f"a new one responds after {capacity:.2f} s",
            "full capacity within 1 s",
            {"seconds": capacity},
        ),
        Figure(
            "kill -9 of the master",
            freed < 3,
            f"port free after {freed:.2f} s",
            "within 3 s",
            {"seconds": freed},
        ),
    ]


async def _worker_id(service: Service) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(get("/system/live"))
    head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    (line,) = [line for line in head.split(b"\r\n") if line.lower().startswith(b"petsage-worker")]
    return line.decode()


def _are_all_new(service: Service, before: set[int]) -> bool:
    return not before & set(service.workers())


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - it is another process that changes
            await asyncio.sleep(0.01)


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("0.0.0.0", port))
            listener.listen()
        except OSError:
            return False
        return True
