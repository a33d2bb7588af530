"""`petsage` as scripts run it: a process of its own, bounded in time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
COMMAND = [sys.executable, "-c", "from petsage.client.cli import main; main()"]


@dataclass(frozen=True)
class Done:
    """What a run has left: its exit code and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.out)
        return value


def environment(**variables: str) -> dict[str, str]:
    """Return the environment of a run: no colour settings but the test's own."""
    kept = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "TERM"}}
    return kept | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"} | variables


def petsage(*arguments: object, within: float = 60.0, stdin: bytes = b"", **variables: str) -> Done:
    """Run petsage to its end. It must never write a traceback."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        timeout=within,
        env=environment(**variables),
    )
    out, err = done.stdout.decode(), done.stderr.decode()
    assert "Traceback" not in err, err
    assert "internal fault" not in err, err
    return Done(done.returncode, out, err)


def smoke_test(url: str, *arguments: object, within: float = 60.0, **variables: str) -> Done:
    """Run `petsage smoke-test` with a JSON report."""
    return petsage("smoke-test", url, "--format", "json", *arguments, within=within, **variables)


def rollout(url: str, *arguments: object, within: float = 60.0, **variables: str) -> Done:
    """Run `petsage rollout` for release v43, fast, with a JSON report."""
    fast = ("--expect-release", "v43", "--rate", 50, "--consecutive", 5, "--format", "json")
    return petsage("rollout", url, *fast, *arguments, within=within, **variables)
