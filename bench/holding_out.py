"""How the service holds out: a crowd, unfinished requests, uploads, blocked views, dead logs."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from bench.figures import (
    CONFIG,
    QUIET,
    Figure,
    megabytes,
    memory_of,
    milliseconds,
)
from bench.hostile import HEAD, held
from bench.traffic import Tally, exchange, for_seconds, get, post, read_answer, steady
from tests.running import running_service

UPLOAD_BYTES = 50_000_000


async def crowd(scale: float) -> list[Figure]:
    """Open more connections than the worker admits, and probe."""
    arguments = f"--worker-connections {int(1_000 * scale)}"
    with running_service(**QUIET, GUNICORN_CMD_ARGS=arguments) as service:
        async with held(service.port, "idle", int(2_000 * scale)):
            probes = await steady(service.port, 20, for_seconds(12 * scale), get("/system/live"))
    sent = sum(probes.outcomes.values())
    worst = max(probes.seconds)
    return [
        Figure(
            "twice the connections that the worker admits",
            probes.outcomes["200"] == sent,
            f"{100 * probes.outcomes['200'] / sent:.0f} %, slowest {milliseconds(worst)}",
            "no probe shut out for over 10 s",
            {"outcomes": dict(probes.outcomes), "max": worst},
        )
    ]


async def deadlines(_scale: float) -> list[Figure]:
    """Never finish a request, and see when it ends."""

    async def unfinished(port: int, sent: bytes) -> tuple[int, float]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        began = time.perf_counter()
        writer.write(sent)
        status, _ = await read_answer(reader)
        writer.close()
        return status, time.perf_counter() - began

    beginnings = [
        b"GET",
        b"GET / HTTP/1.1\r\nHost: a\r\n",
        HEAD + b"Content-Length: 9\r\n\r\na",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n9\r\na",
    ]
    with running_service(**QUIET) as service:
        ends = await asyncio.gather(*(unfinished(service.port, sent) for sent in beginnings))
    longest = max(seconds for _, seconds in ends)
    return [
        Figure(
            "a request that does not arrive completely",
            {status for status, _ in ends} == {408} and longest < 10.5,
            f"408 after {longest:.2f} s",
            "408 after 10 s",
            {"ends": ends},
        )
    ]


async def uploads(_scale: float) -> list[Figure]:
    """Upload eight bodies of 50 MB at once."""

    async def upload(port: int, chunked: bool) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        coding = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % UPLOAD_BYTES
        writer.write(HEAD + coding + b"\r\n\r\n")
        block = bytes(100_000)
        with suppress(OSError):
            for _ in range(UPLOAD_BYTES // len(block)):
                writer.write(b"%x\r\n%b\r\n" % (len(block), block) if chunked else block)
                await writer.drain()
        status, _ = await read_answer(reader)
        writer.close()
        return status

    with running_service(**QUIET) as service:
        await exchange(service.port, post())
        before = sum(memory_of(service))
        peak = before
        sending = asyncio.gather(*(upload(service.port, number % 2 == 1) for number in range(8)))
        while not sending.done():
            peak = max(peak, sum(memory_of(service)))
            await asyncio.sleep(0.01)
        statuses = await sending
    return [
        Figure(
            "eight uploads of 50 MB at once",
            set(statuses) == {413} and peak - before < 20e6,
            f"{statuses.count(413)} of 8 got 413, memory up by {megabytes(peak - before)}",
            "413 for each, at most 20 MB more",
            {"statuses": statuses, "before": before, "peak": peak},
        )
    ]


async def blocked(scale: float) -> list[Figure]:
    """Block a view and a readiness check, and ask for everything else meanwhile."""
    with running_service(f"{CONFIG} bench.blocking:app", **QUIET) as service:
        await exchange(service.port, post())
        blocking = [
            asyncio.create_task(Tally().note(exchange(service.port, get(path))))
            for path in ["/block"] * 20 + ["/system/ready"] * 5
        ]
        tallies = await asyncio.gather(
            *(
                steady(service.port, 20, for_seconds(max(2, 6 * scale)), request)
                for request in (post(), get("/system/live"), get("/api/v1/health"))
            )
        )
        for task in blocking:
            task.cancel()
    worst = max(max(tally.seconds) for tally in tallies)
    outcomes = {name for tally in tallies for name in tally.outcomes}
    return [
        Figure(
            "20 views that block for 5 s and a check that hangs",
            outcomes == {"200"} and worst < 0.1,
            f"slowest other response {milliseconds(worst)}",
            "none later than 100 ms",
            {"outcomes": sorted(outcomes), "max": worst},
        )
    ]


async def dead_logs(_scale: float) -> list[Figure]:
    """Run with a log that nobody reads, that is gone, and that is full."""
    figures = []
    for name, redirection in {
        "a log stream that blocks": "| sleep 60",
        "a log stream that is gone": "| true",
        "a full disk": "> /dev/full",
    }.items():
        command = f"sh -c '{CONFIG} wsgi:app {redirection}'"
        with running_service(command) as service:
            for _ in range(400):
                await exchange(service.port, post())
            answered = await steady(service.port, 100, for_seconds(2))
            status, body = await exchange(service.port, get("/smoke-test"))
        healthy = set(answered.outcomes) == {"200"}
        figures.append(
            Figure(
                name,
                healthy and status == 503 and b"logging-broken" in body,
                f"pings {dict(answered.outcomes)}, GET /smoke-test {status}",
                "pings get 200, GET /smoke-test 503 logging-broken",
                {"outcomes": dict(answered.outcomes), "smoke_test": status},
            )
        )
    return figures
