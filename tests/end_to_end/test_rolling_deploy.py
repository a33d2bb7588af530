"""A real rolling deploy behind HAProxy: no ping is lost, and in the wrong order it is caught."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.client.runs import Done, petsage
from tests.running import ROOT, environment, until_gone
from tests.tools import require

SCRIPT = str(Path(ROOT, "deploy", "rolling.py"))


def rolling(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Fleet:
    """HAProxy and three instances, which go from release to release."""

    def __init__(self, run: Path) -> None:
        self.run = str(run)
        self.url = rolling("up", self.run, "--release", "v1")
        self._number = 1

    def deploy(self, *options: str) -> Done:
        """Deploy the next release while petsage watches."""
        self._number += 1
        release = f"v{self._number}"
        return petsage(
            *("rollout", self.url, "--expect-release", release, "--rate", 50),
            *("--deadline", 120, "--format", "json"),
            *("--", sys.executable, SCRIPT, "deploy", self.run, "--release", release, *options),
            within=150,
        )


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    require("haproxy")
    run = tmp_path_factory.mktemp("rolling")
    try:
        yield Fleet(run)
        rolling("down", str(run))
    finally:
        # Whatever has happened, nothing of it is left.
        for path in run.glob("*.pid"):
            with suppress(ProcessLookupError, ValueError):
                os.killpg(int(path.read_text()), signal.SIGKILL)


def test_one_by_one_and_drained_first_nobody_notices(fleet: Fleet) -> None:
    done = fleet.deploy()
    report = done.report
    assert (done.code, report["problems"], report["pings"]["failed"]) == (0, [], {}), done.err
    assert set(report["instances"]) == {"web.1", "web.2", "web.3"}
    # Each instance was another process before.
    assert len(report["workers"]) == 6
    assert report["switch"]["overlap_s"] > 0.5
    assert report["command"]["exit_code"] == 0


def test_stopped_while_in_rotation_it_is_caught(fleet: Fleet) -> None:
    done = fleet.deploy("--naive")
    report = done.report
    assert (done.code, report["verdict"]) == (7, "over-budget"), done.err
    # HAProxy found the connection refused, and told the client so with a 503.
    assert set(report["pings"]["failed"]) == {"5xx"}
    assert all("503" in one["detail"] for one in report["failures"])
    assert report["command"]["exit_code"] == 0
    assert len(report["workers"]) == 6


def test_the_demo_leaves_its_timeline(tmp_path: Path) -> None:
    require("haproxy")
    report = Path(tmp_path, "rollout.html")
    rolling("demo", "--report", str(report))
    page = report.read_text()
    assert "v43 has taken over, and not one ping failed." in page
    assert "both answer, " in page


@pytest.fixture
def shallow() -> Iterator[Path]:
    """Return a folder with a short name: a socket's path is at most some hundred bytes long."""
    with TemporaryDirectory() as folder:
        yield Path(folder)


def test_a_demo_that_is_told_to_end_leaves_nothing_running(shallow: Path) -> None:
    require("haproxy")
    process = subprocess.Popen(
        [sys.executable, "deploy/rolling.py", "demo", "--report", str(shallow / "rollout.html")],
        cwd=ROOT,
        env=environment(TMPDIR=str(shallow)),
        stderr=subprocess.PIPE,
        text=True,
    )
    pids: list[int] = []
    with process:
        for line in process.stderr or ():
            if "out of rotation" in line:
                pids += (int(one.read_text()) for one in shallow.glob("*/*.pid"))
                process.terminate()
    left = [pid for pid in pids if not until_gone(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert (process.returncode, len(pids), left) == (130, 4, [])
    assert "interrupted" in (shallow / "rollout.html").read_text()


def test_without_haproxy_the_demo_says_what_to_install_and_starts_nothing() -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "demo"],
        cwd=ROOT,
        env=environment() | {"PATH": str(Path(sys.executable).parent)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "rolling.py: there is no haproxy on the PATH"
        " (Debian: apt install haproxy; it is in /usr/sbin)."
    )
