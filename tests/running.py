"""The service as users run it: the line of the Procfile, on a free port, in its own processes."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parent.parent
BOOT_SECONDS = 30.0


def web_line() -> str:
    """Return the command of the Procfile's `web` process."""
    for line in Path(ROOT, "Procfile").read_text().splitlines():
        kind, _, command = line.partition(":")
        if kind == "web":
            return command.strip()
    raise AssertionError("the Procfile names no web process")


def free_port() -> int:
    """Return a port of the loopback that nothing listens on.

    It is below those that the kernel gives out: of these, one may go to a test that runs beside
    this one before it is used.
    """
    while True:
        # hypothesis seeds what `random` has in common.
        port = random.SystemRandom().randrange(10_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def environment(**variables: str) -> dict[str, str]:
    """Return this process's environment without its PetSage settings, and with `variables`.

    The interpreter that runs the tests comes first on the PATH: its gunicorn is the one to run.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PETSAGE_", "HEROKU_", "RENDER_", "KAMAL_", "GUNICORN_"))
        and name not in {"PORT", "WEB_CONCURRENCY", "DYNO", "SOURCE_VERSION"}
    }
    kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
    return kept | variables


class Service:
    """A running service: where it answers, its process, and what it has logged."""

    def __init__(self, host: str, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
        self.port = port
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self.process = process
        self.log = log

    def log_text(self) -> str:
        """Return everything that the service has written to stdout and stderr."""
        return self.log.read_text(errors="replace")

    def log_records(self) -> list[dict[str, Any]]:
        """Return the log, record by record; a line that is no JSON object fails the test."""
        return [json.loads(line) for line in self.log_text().splitlines()]

    def connect(self, timeout: float = 15.0) -> socket.socket:
        """Open a raw connection to the service."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    def workers(self) -> list[int]:
        """Return the process ids of the workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def stop(self, seconds: float = 30.0) -> int:
        """Ask the service to stop, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1.0):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


@contextmanager
def running_service(
    command: str | None = None, *, cwd: Path = ROOT, **variables: str
) -> Iterator[Service]:
    """Run the Procfile's web line (or `command`) with these environment variables.

    Whatever happens inside, no process of it is left when the block ends.
    """
    port = int(variables.get("PORT") or free_port())
    with TemporaryDirectory() as folder:
        log = Path(folder, "service.log")
        with log.open("wb") as sink:
            process = subprocess.Popen(
                ["sh", "-c", f"exec {command or web_line()}"],
                cwd=cwd,
                env=environment(**{"PORT": str(port), **variables}),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        host = variables.get("PETSAGE_HOST", "127.0.0.1")
        service = Service(host, port, process, log)
        try:
            deadline = time.monotonic() + BOOT_SECONDS
            while not _answers(f"{service.url}/system/live"):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"the service did not come up:\n{service.log_text()}")
                time.sleep(0.05)
            yield service
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def gone(pid: int) -> bool:
    """Return whether no process bears this number, or a dead one that nobody has reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def until_gone(pid: int) -> bool:
    for _ in range(200):
        if gone(pid):
            return True
        time.sleep(0.05)
    return False
