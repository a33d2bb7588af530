"""Load from wrk, on a core of its own: what a server bears, and how long its answers take."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.contenders import LOAD_CORE
from bench.traffic import PING
from tests.running import Service

SCRIPT = Path(__file__).parent / "load.lua"


@dataclass(frozen=True)
class Load:
    """What one run of wrk saw.

    `not_2xx` answers were refusals, `broken` ones never came; `cpu_us` is the CPU time that the
    server spent on a request, `wrk_us` what wrk itself did.
    """

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    not_2xx: int
    broken: int
    cpu_us: float
    wrk_us: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds


def cpu_seconds(service: Service) -> float:
    """Return the CPU time that the processes of a service have spent so far."""
    ticks = 0
    for pid in (service.process.pid, *service.workers()):
        # proc(5): utime and stime are the 14th and 15th field, the name is in parentheses.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _children_seconds() -> float:
    """Return the CPU time of the processes that have been started from here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def load(
    service: Service,
    *,
    seconds: float,
    connections: int = 16,
    body: bytes = PING,
    cores: str = str(LOAD_CORE),
) -> Load:
    """Post `body` over and over, each connection as soon as its last answer is there."""
    spent, own = cpu_seconds(service), _children_seconds()
    with tempfile.NamedTemporaryFile() as file:
        file.write(body)
        file.flush()
        done = subprocess.run(
            [
                *("taskset", "--cpu-list", cores, "wrk", "--threads", "1"),
                *("--connections", str(connections), "--duration", f"{seconds:.0f}s"),
                *("--timeout", "10s", "--script", str(SCRIPT)),
                f"{service.url}/system/smoke-test",
            ],
            env={"BENCH_BODY": file.name, "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=seconds + 30,
            check=True,
        )
    told = json.loads(done.stderr)
    spent, own = cpu_seconds(service) - spent, _children_seconds() - own
    each = 1e6 / max(told["requests"], 1)
    seen = Load(**told, cpu_us=spent * each, wrk_us=own * each)
    if seen.broken or not seen.requests:
        raise AssertionError(f"the server broke under load: {seen}")
    return seen
