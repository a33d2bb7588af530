"""Measure what the service holds out against: `python -m bench.soak [--scale 0.1] [NAME ...]`.

Prints one table, keeps the raw figures as JSON, and exits with 1 where a goal was missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import resource
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from bench import floods, holding_out, restarts
from bench.figures import Figure, Measurement

MEASUREMENTS: dict[str, Measurement] = {
    "hostile": holding_out.hostile,
    "crowd": holding_out.crowd,
    "deadlines": holding_out.deadlines,
    "uploads": holding_out.uploads,
    "blocked": holding_out.blocked,
    "dead-logs": holding_out.dead_logs,
    "sigterm": restarts.sigterm,
    "sigterm-idle": restarts.sigterm_idle,
    "sighup": restarts.sighup,
    "kills": restarts.kills,
    "reuse": restarts.reuse,
    "mixed": floods.mixed,
    "fuzz": floods.fuzz,
}
# No measurement takes longer at full scale.
MOST_SECONDS = 3_600


async def measure(names: list[str], scale: float) -> list[Figure]:
    """Take the measurements one after the other; print each line as it is known."""
    figures: list[Figure] = []
    for name in names:
        async with asyncio.timeout(MOST_SECONDS):
            for figure in await MEASUREMENTS[name](scale):
                mark = "ok  " if figure.reached else "MISS"
                print(f"{mark} {figure.name}: {figure.measured} ({figure.goal})", flush=True)
                figures.append(figure)
    return figures


def main() -> int:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(MEASUREMENTS))
    parser.add_argument("--scale", type=float, default=1.0, help="a tenth of all: 0.1")
    parser.add_argument("--output", type=Path, default=Path("soak.json"))
    options = parser.parse_args()
    if unknown := set(options.names) - set(MEASUREMENTS):
        parser.error(f"no such measurement: {', '.join(sorted(unknown))}")
    # The clients need descriptors too.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    figures = asyncio.run(measure(options.names or list(MEASUREMENTS), options.scale))
    options.output.write_text(
        json.dumps(
            {
                "at": datetime.now(UTC).isoformat(),
                "python": platform.python_version(),
                "cpus": os.cpu_count(),
                "scale": options.scale,
                "figures": [asdict(figure) for figure in figures],
            },
            indent=1,
        )
    )
    return 0 if all(figure.reached for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
