"""Load from wrk, on a core of its own: what a server bears, and how long its answers take."""

from __future__ import annotations

import json
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
    """What one run of wrk saw; `not_2xx` answers were refusals, `broken` ones never came."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    not_2xx: int
    broken: int

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds


def load(
    service: Service,
    *,
    seconds: float,
    connections: int = 16,
    body: bytes = PING,
    cores: str = str(LOAD_CORE),
) -> Load:
    """Post `body` over and over, each connection as soon as its last answer is there."""
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
    seen = Load(**json.loads(done.stderr))
    if seen.broken or not seen.requests:
        raise AssertionError(f"the server broke under load: {seen}")
    return seen
