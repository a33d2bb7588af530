"""Measure how fast the service is, side by side: `python -m bench.speed [--rounds 5] [NAME ...]`.

Prints one table and keeps the raw figures as JSON. The server has one core, the load another.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from bench import app_cost, footprint, rates
from bench.figures import Figure, machine

MEASUREMENTS: dict[str, Callable[[int], list[Figure]]] = {
    "throughput": rates.throughput,
    "latency": rates.latency,
    "app-cost": app_cost.figures,
    "growth": rates.growth,
    "workers": rates.workers,
    "cold-start": footprint.cold_start,
    "memory": footprint.memory,
    "refusals": rates.refusals,
    "client": footprint.client,
}
COMPARED = ("flask", "flask-smorest", "gunicorn", "fastapi", "pydantic", "uvicorn")


def _row(figure: Figure) -> str:
    mark = "yes" if figure.reached else "**no**"
    return f"| {figure.name} | {figure.measured} | {figure.goal} | {mark} |"


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(MEASUREMENTS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=Path("speed.json"))
    options = parser.parse_args()
    if unknown := set(options.names) - set(MEASUREMENTS):
        parser.error(f"no such measurement: {', '.join(sorted(unknown))}")
    if (os.cpu_count() or 1) < 2:
        parser.error("two cores are needed: one for the server, one for the load")
    measured = {"at": datetime.now(UTC).isoformat(timespec="minutes")} | machine(COMPARED)
    for tool in ("wrk", "taskset", "curl"):
        if shutil.which(tool) is None:
            parser.error(f"{tool} is needed (Debian: apt install wrk util-linux curl)")
    print(f"{measured}\n\n| figure | measured | goal | reached |\n|---|---|---|---|", flush=True)
    figures: list[Figure] = []
    for name in options.names or MEASUREMENTS:
        for figure in MEASUREMENTS[name](options.rounds):
            print(_row(figure), flush=True)
            figures.append(figure)
    told = measured | {"figures": [asdict(figure) for figure in figures]}
    options.output.write_text(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
