"""Probes while hostile connections are held: how PetSage fares, and how others do beside it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping

from bench.figures import QUIET, Figure, in_words
from bench.hostile import KINDS, held
from bench.traffic import Tally, for_seconds, get, steady
from tests.running import environment, running_service

OURS = "PetSage"
# One process each, on the same machine and one after the other. gunicorn's own workers run the
# very app that PetSage's runs.
_GUNICORN = "gunicorn --no-control-socket --bind 127.0.0.1:$PORT --worker-class"
PEERS = {
    "node": "node bench/peers/node_server.js",
    "gunicorn gthread, 8 threads": f"{_GUNICORN} gthread --threads 8 wsgi:app",
    "gunicorn sync": f"{_GUNICORN} sync wsgi:app",
}
MISSING_NODE = "node is not installed here, so nothing is told of it."
PROBES_A_SECOND = 20
GOAL = "100 %, p99 under 100 ms"


def peers() -> dict[str, str]:
    """Return those that can be run here."""
    path = environment()["PATH"]
    return {name: run for name, run in PEERS.items() if shutil.which(run.split()[0], path=path)}


async def hostile(scale: float) -> list[Figure]:
    """Hold 1,000 hostile connections of each kind, and probe; then 3,000 on two workers."""
    if "node" not in peers():
        print(MISSING_NODE, flush=True)
    figures = []
    for kind in KINDS:
        figures.append(await beside(kind, int(1_000 * scale), scale, peers()))
    for kind in KINDS:
        count = int(3_000 * scale)
        probes = await probed(None, kind, count, settle=3 * scale, seconds=10 * scale, workers=2)
        figures.append(_figure(f"{count:,} {kind}, two workers", probes))
    return figures


async def beside(kind: str, count: int, scale: float, others: Mapping[str, str]) -> Figure:
    """Hold connections of one kind at PetSage, and the same at what each command runs."""
    ours = await probed(None, kind, count, settle=3 * scale, seconds=10 * scale)
    figure = _figure(f"{count:,} {kind}, one worker", ours)
    figure.beside[OURS] = _fared(ours)
    for name, command in others.items():
        # Where nothing is answered, a second or two show it, and ten more pass in waiting.
        settle, seconds = (3, 10) if name == "node" else (1, 2)
        theirs = await probed(command, kind, count, settle=settle * scale, seconds=seconds * scale)
        figure.beside[name] = _fared(theirs)
    return figure


async def probed(
    command: str | None,
    kind: str,
    count: int,
    *,
    settle: float,
    seconds: float,
    workers: int = 1,
) -> Tally:
    """Hold connections at the Procfile's service, or at what `command` runs, and probe it."""
    with running_service(command, **QUIET, WEB_CONCURRENCY=str(workers)) as service:
        async with held(service.port, kind, count):
            await asyncio.sleep(settle)
            return await steady(
                service.port, PROBES_A_SECOND, for_seconds(max(1, seconds)), get("/system/live")
            )


def _fared(probes: Tally) -> dict[str, float | None]:
    share = probes.outcomes["200"] / sum(probes.outcomes.values())
    return {"share": share, "p99": probes.percentile(0.99) if probes.seconds else None}


def _figure(name: str, probes: Tally) -> Figure:
    fared = _fared(probes)
    return Figure(
        name,
        fared["share"] == 1 and (fared["p99"] or 0) < 0.1,
        in_words(fared),
        GOAL,
        {"outcomes": dict(probes.outcomes), "max": max(probes.seconds, default=None)} | fared,
    )
