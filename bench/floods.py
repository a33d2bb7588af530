"""What the service makes of a flood: of requests of every sort, and of bytes that are none."""

from __future__ import annotations

import asyncio
import random
import re
import time

from bench.figures import QUIET, Figure, descriptors_of, memory_of
from bench.hostile import HEAD
from bench.traffic import Tally, exchange, get, post, read_answer
from tests.running import Service, running_service

MIXED = [
    *[post()] * 6,
    post(b'{"ping":1}'),
    post(b'{"ping":"a","ping":"b"}'),
    post(b"nonsense"),
    post(b"[" * 500),
    post(b'{"ping":"' + b"x" * 60_000 + b'"}'),
    get("/system/live"),
    get("/system/version"),
    get("/openapi.json"),
    get("/nowhere"),
    get("/" + "a" * 3_000),
    b"GET / HTTP/1.1\r\n\r\n",
    b"\x00\x01\x02\r\n\r\n",
    b"GET /\r\n",
    HEAD + b"Content-Length: 99999999\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
]


async def mixed(scale: float) -> list[Figure]:
    """Send a million requests of every sort, and watch memory and descriptors."""
    total = int(1_000_000 * scale)
    statuses: Tally = Tally()
    with running_service(**QUIET, WEB_CONCURRENCY="1") as service:
        await _send_mixed(service, total // 20, statuses)
        warm, files = memory_of(service)[0], descriptors_of(service)[0]
        for _ in range(19):
            await _send_mixed(service, total // 20, statuses)
        await asyncio.sleep(6)
        growth = memory_of(service)[0] / warm - 1
        leaked = descriptors_of(service)[0] - files
        records = service.log_records()
    faults = sum(count for name, count in statuses.outcomes.items() if name[0] == "5")
    lost = statuses.lost
    tracebacks = sum("traceback" in record for record in records)
    return [
        Figure(
            f"{total:,} mixed requests",
            not (faults or tracebacks or lost or leaked > 0) and growth < 0.1,
            f"{faults} 5xx, {lost} lost, {tracebacks} tracebacks, memory {growth:+.1%}, "
            f"descriptors {leaked:+d}",
            "no 5xx, no traceback, memory flat within 10 %, none leaked",
            {"outcomes": dict(statuses.outcomes), "warm": warm, "growth": growth},
        )
    ]


async def _send_mixed(service: Service, count: int, tally: Tally, clients: int = 20) -> None:
    chooser = random.Random(count)

    async def client() -> None:
        sent = 0
        while sent < count // clients:
            reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
            try:
                while sent < count // clients:
                    sent += 1
                    writer.write(chooser.choice(MIXED))
                    status, _ = await asyncio.wait_for(read_answer(reader), 10)
                    tally.outcomes[str(status)] += 1
            except (asyncio.IncompleteReadError, OSError):
                pass  # the connection of a request that was refused
            finally:
                writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))


# Where a mutation is likeliest to change what a request means.
TOKENS = [
    *(b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\x00", b" ", b"\t", b":", b";", b",", b"%00", b"\xff"),
    *(b"HTTP/1.1", b"HTTP/1.0", b"GET ", b"POST ", b"HEAD ", b"OPTIONS * ", b"http://a/", b"//"),
    *(
        b"Host: a\r\n",
        b"Content-Length: ",
        b"Transfer-Encoding: chunked\r\n",
        b"Expect: 100-continue\r\n",
    ),
    *(b"ffffffffffffffff\r\n", b"99999999999999999999"),
    *(b'{"ping":', b'"\\ud800"', b"[" * 70, b"1e999", b"\xef\xbb\xbf"),
]


def mutated(chooser: random.Random) -> bytes:
    """Return one to three requests with some bytes changed, put in, left out or repeated."""
    data = bytearray(b"".join(chooser.choice(MIXED) for _ in range(chooser.randint(1, 3))))
    for _ in range(chooser.randint(0, 6)):
        at = chooser.randrange(len(data) + 1)
        end = min(len(data), at + chooser.randint(0, 12))
        match chooser.randrange(4):
            case 0:
                data[at:end] = chooser.randbytes(end - at)
            case 1:
                data[at:at] = chooser.choice(TOKENS)
            case 2:
                del data[at:end]
            case _:
                data[at:at] = data[at:end] * chooser.randint(1, 3)
    return bytes(data)


async def fuzz(scale: float) -> list[Figure]:
    """Send mutated requests for two minutes; each connection must end, and none with a 5xx."""
    ends = time.monotonic() + 120 * scale
    answers, hung, sent = Tally(), [], 0

    async def client(seed: int, port: int) -> None:
        nonlocal sent
        chooser = random.Random(seed)
        while time.monotonic() < ends:
            data = mutated(chooser)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(data)
                writer.write_eof()
                received = await asyncio.wait_for(reader.read(), 15)
                for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", received):
                    answers.outcomes[status.decode()] += 1
            except TimeoutError:
                hung.append(data)
            except OSError:
                answers.outcomes["reset"] += 1
            finally:
                writer.close()
            sent += 1

    with running_service(**QUIET) as service:
        await asyncio.gather(*(client(seed, service.port) for seed in range(8)))
        status, _ = await exchange(service.port, post())
        tracebacks = [record for record in service.log_records() if "traceback" in record]
    # A mutation may well be a transfer coding that is not implemented.
    faults = sum(
        count for name, count in answers.outcomes.items() if name[0] == "5" and name != "501"
    )
    return [
        Figure(
            f"{sent:,} connections of mutated bytes",
            not (faults or hung or tracebacks) and status == 200,
            f"{faults} 5xx, {len(hung)} hung, {len(tracebacks)} tracebacks",
            "none of each",
            {
                "outcomes": dict(answers.outcomes),
                "hung": [data.hex() for data in hung],
                "tracebacks": tracebacks,
            },
        )
    ]
