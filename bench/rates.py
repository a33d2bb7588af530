"""What each contender bears on one core, and how long its answers take."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from statistics import median
from typing import Any

from bench.contenders import ALL, ASGI, FAST, OURS, STRICT, UVICORN, WSGI, Contender, running
from bench.figures import Figure, milliseconds
from bench.load import Load, load
from bench.rounds import in_turns, ratio
from bench.traffic import PING
from tests.running import Service

SECONDS = 2.0
# What is refused, and why.
REFUSED = {
    "422": b'{"pong":"Hello, PetSage!"}',
    "malformed": b'{"ping":"Hello, PetSage!"',
    "duplicate key": b'{"ping":"Hello","ping":"PetSage!"}',
}


def _up(stack: ExitStack, contenders: tuple[Contender, ...], *, logs: bool) -> dict[str, Service]:
    """Start contenders, and have each answer for a second first."""
    services = {one.name: stack.enter_context(running(one, logs=logs)) for one in contenders}
    for service in services.values():
        load(service, seconds=1)
    return services


def _rates(loads: list[Load]) -> list[float]:
    return [one.rate for one in loads]


def _raw(seen: Mapping[Any, list[Load]]) -> dict[str, list[dict[str, float]]]:
    return {str(name): [asdict(one) for one in loads] for name, loads in seen.items()}


def throughput(rounds: int) -> list[Figure]:
    """Return requests a second against every peer, with the request log off and on."""
    figures = []
    for logs, contenders, goals in (
        (False, (*ALL, FAST, STRICT), {UVICORN.name: 1.0, ASGI.name: 1.0, WSGI.name: 0.5}),
        (True, ALL, {UVICORN.name: 1.2, ASGI.name: 1.2}),
    ):
        with ExitStack() as stack:
            services = _up(stack, contenders, logs=logs)
            seen = in_turns(
                rounds,
                {
                    name: partial(load, service, seconds=SECONDS)
                    for name, service in services.items()
                },
            )
        pairs = [(OURS.name, peer.name) for peer in contenders if peer is not OURS]
        # What is left of the limit with Flask alone, and with all but Flask.
        pairs += [(part.name, WSGI.name) for part in (FAST, STRICT) if part in contenders]
        for name, peer in pairs:
            ours, theirs = seen[name], seen[peer]
            times = ratio(_rates(ours), _rates(theirs))
            by_cpu = ratio([one.cpu_us for one in theirs], [one.cpu_us for one in ours])
            goal = goals.get(peer) if name == OURS.name else None
            of = "" if name == OURS.name else f" of {name}"
            figures.append(
                Figure(
                    f"requests a second{of}, log {'on' if logs else 'off'}, against {peer}",
                    goal is None or times > goal,
                    f"{times:.2f} times ({median(_rates(ours)):,.0f} to"
                    f" {median(_rates(theirs)):,.0f}; by CPU time {by_cpu:.2f})",
                    "for comparison" if goal is None else f"over {goal:.1f}",
                    raw=_raw({name: ours, peer: theirs}),
                )
            )
    return figures


def latency(rounds: int) -> list[Figure]:
    """Return the 99th percentile of the time to an answer, by the number of connections."""
    figures = []
    with ExitStack() as stack:
        services = _up(stack, (OURS, UVICORN), logs=False)
        for connections in (16, 64, 256):
            seen = in_turns(
                rounds,
                {
                    name: partial(load, service, seconds=SECONDS, connections=connections)
                    for name, service in services.items()
                },
            )
            ours, theirs = ([one.p99_ms for one in loads] for loads in seen.values())
            figures.append(
                Figure(
                    f"p99 at {connections} connections, against {UVICORN.name}",
                    ratio(ours, theirs) <= 1.0,
                    f"{ratio(ours, theirs):.2f} times ({milliseconds(median(ours) / 1e3)} to"
                    f" {milliseconds(median(theirs) / 1e3)})",
                    "at most 1.0",
                    raw=_raw(seen),
                )
            )
    return figures


def growth(rounds: int) -> list[Figure]:
    """Return how the cost of a request grows with its bytes, and with the connections."""
    sizes = (10, 1_000, 10_000, 60_000)
    crowds = (1, 10, 100, 1_000)
    with ExitStack() as stack:
        service = _up(stack, (OURS,), logs=True)[OURS.name]
        by_size = in_turns(
            rounds,
            {
                size: partial(load, service, seconds=1, body=b'{"ping":"%b"}' % (b"x" * size))
                for size in sizes
            },
        )
        by_crowd = in_turns(
            rounds,
            {crowd: partial(load, service, seconds=SECONDS, connections=crowd) for crowd in crowds},
        )
    cost = {size: median(1e6 / one.rate for one in loads) for size, loads in by_size.items()}
    per_kilobyte = [
        (cost[more] - cost[less]) / (more - less) * 1_000
        for less, more in ((10, 10_000), (10_000, 60_000))
    ]
    rate = {crowd: median(_rates(loads)) for crowd, loads in by_crowd.items()}
    return [
        Figure(
            "growth with the ping's size",
            per_kilobyte[1] <= per_kilobyte[0] * 1.25,
            ", ".join(f"{size:,} B {cost[size]:,.0f} µs" for size in sizes)
            + f"; a further kB takes {per_kilobyte[0]:.1f} µs to 10 kB,"
            f" {per_kilobyte[1]:.1f} µs from there on",
            "linear: a late kB takes at most 1.25 times an early one",
            raw=_raw(by_size),
        ),
        Figure(
            "growth with the connections",
            rate[1_000] >= rate[10] * 0.9,
            ", ".join(f"{crowd:,}: {rate[crowd]:,.0f}/s" for crowd in crowds),
            "flat: at 1,000 at least 0.9 of the rate at 10",
            raw=_raw(by_crowd),
        ),
    ]


def workers(rounds: int) -> list[Figure]:
    """Return what a second worker adds, where both cores are theirs and the load generator's."""
    with ExitStack() as stack:
        services = {
            count: stack.enter_context(running(OURS, logs=True, workers=count, cores="0,1"))
            for count in (1, 2)
        }
        seen = in_turns(
            rounds,
            {
                count: partial(load, service, seconds=SECONDS, connections=64, cores="0,1")
                for count, service in services.items()
            },
        )
    times = ratio(_rates(seen[2]), _rates(seen[1]))
    by_cpu = ratio([one.cpu_us for one in seen[2]], [one.cpu_us for one in seen[1]])
    # What two cores bear if nothing of them is idle, and each request costs what it costs one
    # worker and wrk.
    room = ratio([2e6 / (one.cpu_us + one.wrk_us) for one in seen[1]], _rates(seen[1]))
    return [
        Figure(
            "two workers against one, on two cores that the load shares",
            times >= min(1.9, 0.95 * room),
            f"{times:.2f} times, where wrk leaves room for {room:.2f}; a request takes"
            f" {by_cpu:.2f} times the CPU time",
            "1.9 times, or 0.95 of what wrk leaves room for",
            raw=_raw(seen),
        )
    ]


def refusals(rounds: int) -> list[Figure]:
    """Return how many refusals a second there are for each success."""
    with ExitStack() as stack:
        service = _up(stack, (OURS,), logs=True)[OURS.name]
        bodies = {"success": PING, **REFUSED}
        seen = in_turns(
            rounds,
            {name: partial(load, service, seconds=1, body=body) for name, body in bodies.items()},
        )
    return [
        Figure(
            f"rejections a second: {name}",
            ratio(_rates(seen[name]), _rates(seen["success"])) >= 0.8,
            f"{ratio(_rates(seen[name]), _rates(seen['success'])):.2f} of a success"
            f" ({median(_rates(seen[name])):,.0f}/s)",
            "at least 0.8",
            raw=_raw({name: seen[name], "success": seen["success"]}),
        )
        for name in REFUSED
    ]
