"""A fleet that deploy/rolling.py runs and deploys to, watched by `petsage rollout`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.running import PATIENCE_SECONDS, ROOT, environment, petsage
from tests.tools import require


@dataclass(frozen=True)
class RollingFleet:
    """HAProxy and three instances; `root` is the folder of the app and of its deploy/."""

    root: Path
    run: Path
    url: str

    def deploy(
        self, release: str, how: list[str], watch: list[object], url: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Deploy a release while petsage watches the URL, with these options of either."""
        script = str(self.root / "deploy" / "rolling.py")
        deploy = [sys.executable, script, "deploy", str(self.run), "--release", release, *how]
        expected = ["--expect-release", release, "--deadline", 300, "--require-switch"]
        return petsage("rollout", url or self.url, *expected, *watch, "--", *deploy)


def _rolling(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(root / "deploy" / "rolling.py"), *arguments],
        cwd=root,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=5 * PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@contextmanager
def rolling_fleet(run: Path, release: str, root: Path = ROOT) -> Iterator[RollingFleet]:
    """Run a fleet of this release; `run` is the folder for its ports, process ids and logs."""
    require("haproxy")
    try:
        yield RollingFleet(root, run, _rolling(root, "up", str(run), "--release", release))
        _rolling(root, "down", str(run))
    finally:
        # Whatever has happened, nothing of it is left.
        for path in run.glob("*.pid"):
            with suppress(ProcessLookupError, ValueError):
                os.killpg(int(path.read_text()), signal.SIGKILL)
