"""What a figure is: a name, what was reached, and what was to be reached."""

from __future__ import annotations

import os
import platform
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypedDict

from tests.running import Service

CONFIG = "gunicorn --config python:petsage.server.gunicorn_conf"


class _Variables(TypedDict):
    PETSAGE_LOG_LEVEL: str


# A request a millisecond would drown the figures in log lines.
QUIET: _Variables = {"PETSAGE_LOG_LEVEL": "ERROR"}


Fared = Mapping[str, float | None]


@dataclass
class Figure:
    """One line of the table.

    Attributes:
        name: what was measured.
        reached: whether it came out as it should.
        measured: the outcome in words.
        goal: what it should be.
        raw: the numbers behind it.
        beside: how it fared and how others did under the same, each by its name: the `share` of
            its probes that were answered, and the `p99` of those in seconds.

    """

    name: str
    reached: bool
    measured: str
    goal: str
    raw: dict[str, Any] = field(default_factory=dict)
    beside: dict[str, Fared] = field(default_factory=dict)


Measurement = Callable[[float], Awaitable[list[Figure]]]


def machine(packages: Iterable[str]) -> dict[str, Any]:
    """Return what the figures depend on: the machine, Python, and what is installed."""
    cpus = [
        line.partition(": ")[2]
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "python": platform.python_version(),
        "machine": f"{', '.join(dict.fromkeys([*cpus, platform.machine()]))},"
        f" {os.cpu_count()} cores, {platform.system()}",
        "versions": {name: version(name) for name in packages},
    }


def memory_of(service: Service) -> list[int]:
    """Return the resident memory of each worker, in bytes."""
    return [resident(pid) for pid in service.workers()]


def resident(pid: int) -> int:
    """Return the resident memory of a process, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"process {pid} has no memory")


def descriptors_of(service: Service) -> list[int]:
    """Return how many descriptors each worker has open."""
    return [len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in service.workers()]


def megabytes(size: float) -> str:
    """Return a size for people."""
    return f"{size / 1e6:.1f} MB"


def milliseconds(seconds: float) -> str:
    """Return a duration for people."""
    return f"{seconds * 1000:.1f} ms"


def in_words(fared: Fared) -> str:
    """Return how something fared, for people."""
    share = f"{fared['share']:.0%}".replace("%", " %")
    return share if fared["p99"] is None else f"{share}, p99 {milliseconds(fared['p99'])}"
