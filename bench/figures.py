"""What a figure is: a name, what was reached, and what was to be reached."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.running import Service

CONFIG = "gunicorn --config python:petsage.service.server.gunicorn_conf"
# A request a millisecond would drown the figures in log lines.
QUIET = {"PETSAGE_LOG_LEVEL": "ERROR"}


@dataclass
class Figure:
    """One line of the table.

    Attributes:
        name: what was measured.
        reached: whether it came out as it should.
        measured: the outcome in words.
        goal: what it should be.
        raw: the numbers behind it.

    """

    name: str
    reached: bool
    measured: str
    goal: str
    raw: dict[str, Any] = field(default_factory=dict)


Measurement = Callable[[float], Awaitable[list[Figure]]]


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
