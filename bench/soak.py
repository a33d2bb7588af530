"""Measure what the service holds out against: `python -m bench.soak [--scale 0.1] [NAME ...]`.

Writes one page with all that has been measured here, from the raw figures that it keeps beside,
and exits with 1 where a goal was missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import besieged, floods, holding_out, restarts
from bench.figures import Figure, Measurement, in_words, machine
from bench.soak_page import page

MEASUREMENTS: dict[str, Measurement] = {
    "hostile": besieged.hostile,
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
    "fuzz": floods.fuzz,
    "mixed": floods.mixed,
}
# No measurement takes longer at full scale.
MOST_SECONDS = 3_600
PACKAGES = ("gunicorn", "httptools", "uvloop", "flask", "flask-smorest", "marshmallow")


async def _measure(measurement: Measurement, scale: float) -> list[Figure]:
    async with asyncio.timeout(MOST_SECONDS):
        return await measurement(scale)


def _circumstances(scale: float) -> dict[str, Any]:
    found = machine(PACKAGES)
    if node := shutil.which("node"):
        told = subprocess.run([node, "--version"], capture_output=True, text=True, check=True)
        found["versions"]["node"] = told.stdout.strip().lstrip("v")
    return found | {"scale": scale}


def _kept(raw: Path, circumstances: dict[str, Any]) -> dict[str, Any]:
    """Return what was measured before under the same circumstances; anything else is dropped."""
    if raw.exists():
        told = json.loads(raw.read_text())
        if told.get("circumstances") == circumstances:
            kept: dict[str, Any] = told["measurements"]
            return kept
    return {}


def main() -> int:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(MEASUREMENTS))
    parser.add_argument("--scale", type=float, default=1.0, help="a tenth of all: 0.1")
    parser.add_argument("--output", type=Path, default=Path("soak.md"), help="the page")
    parser.add_argument("--raw", type=Path, default=Path("soak.json"), help="the raw figures")
    options = parser.parse_args()
    if unknown := set(options.names) - set(MEASUREMENTS):
        parser.error(f"no such measurement: {', '.join(sorted(unknown))}")
    # The clients need descriptors too.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    circumstances = _circumstances(options.scale)
    measured = _kept(options.raw, circumstances)
    reached = True
    for name in options.names or MEASUREMENTS:
        began = time.monotonic()
        figures = asyncio.run(_measure(MEASUREMENTS[name], options.scale))
        measured[name] = {
            "at": datetime.now(UTC).isoformat(timespec="minutes"),
            "seconds": round(time.monotonic() - began),
            "figures": [asdict(figure) for figure in figures],
        }
        for figure in figures:
            others = [f"{who} {in_words(fared)}" for who, fared in figure.beside.items()][1:]
            print(
                "ok  " if figure.reached else "MISS",
                f"{figure.name}: {'; '.join([figure.measured, *others])} ({figure.goal})",
                flush=True,
            )
            reached = reached and figure.reached
        measured = {one: measured[one] for one in MEASUREMENTS if one in measured}
        told = {"circumstances": circumstances, "measurements": measured}
        options.raw.write_text(json.dumps(told, indent=1))
        options.output.write_text(page(circumstances, measured))
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
