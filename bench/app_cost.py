"""What a request costs inside the app, without a server: `python -m bench.app_cost [--savings]`.

The least of many short rounds, taken in turns: whatever else the machine does only adds to it.
With `--savings`, what each shortcut of the service saves: the cost without it less the cost.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from bench.figures import Figure
from bench.in_process import log_to_nowhere, microseconds_of
from bench.shortcuts import SHORTCUTS


def costs(rounds: int) -> dict[str, float]:
    """Return the cost of a request to each app, in microseconds."""
    os.environ["PETSAGE_LOG_LEVEL"] = "WARNING"  # the peers' own request log is off
    from bench.peers import flask_view, naive_smorest, wsgi_callable
    from wsgi import app

    quiet, loud = log_to_nowhere("WARNING"), log_to_nowhere("INFO")
    contenders: list[tuple[str, Any, Callable[[], object]]] = [
        ("a bare WSGI callable", wsgi_callable.app, quiet),
        ("a bare Flask view", flask_view.app, quiet),
        ("naive flask-smorest", naive_smorest.app, quiet),
        ("PetSage, log off", app, quiet),
        ("PetSage, log on", app, loud),
    ]
    least = {name: float("inf") for name, _, _ in contenders}
    for _ in range(rounds):
        for name, contender, prepare in contenders:
            prepare()
            least[name] = min(least[name], microseconds_of(contender))
    return least


def figures(rounds: int) -> list[Figure]:
    """Return the costs as lines of the table."""
    least = costs(rounds * 60)
    naive = least["naive flask-smorest"]
    # The goal of 65 microseconds stands against 111 of the naive app on the machine of the issue.
    goal = 65 / 111
    off = least["PetSage, log off"]
    told = ", ".join(f"{name} {cost:.0f}" for name, cost in least.items())
    return [
        Figure(
            "cost in the app",
            off / naive < goal,
            f"{off:.0f} µs a request, {off / naive:.2f} of naive flask-smorest; all: {told}",
            f"under {goal:.2f} (65 µs where the naive app takes 111)",
            raw={"microseconds": least},
        )
    ]


def savings(rounds: int) -> dict[str, tuple[float, float]]:
    """Return what a request costs without each shortcut, and what that one saves.

    Each is measured in processes of its own: code that is changed while it runs is slower.
    """
    least: dict[str, float] = {}
    for _ in range(rounds):
        for name in ("", *SHORTCUTS):
            done = subprocess.run(
                [sys.executable, "-m", "bench.shortcuts", name],
                capture_output=True,
                text=True,
                check=True,
            )
            least[name] = min(least.get(name, float("inf")), float(done.stdout))
    return {name: (least[name], least[name] - least[""]) for name in SHORTCUTS}


def main() -> None:
    """Print what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--savings", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if not options.savings:
        for name, cost in costs(options.rounds * 60).items():
            print(f"{cost:7.1f} µs  {name}")
        return
    for name, (whole, saved) in savings(options.rounds).items():
        print(f"{saved:7.1f} µs  {saved / whole:5.1%}  {name}")


if __name__ == "__main__":
    main()
