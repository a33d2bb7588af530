"""The service as users run it: the line of the Procfile, on a free port, in its own processes.

Whatever is waited for is waited for until it holds. The limits only end what would hang: they are
far longer than anything takes, also on a machine ten times slower.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

T = TypeVar("T")
ROOT = Path(__file__).parent.parent
PATIENCE_SECONDS = 120.0
PROXIES = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}
_reserved: list[socket.socket] = []


def web_line() -> str:
    """Return the command of the Procfile's `web` process."""
    for line in Path(ROOT, "Procfile").read_text().splitlines():
        kind, _, command = line.partition(":")
        if kind == "web":
            return command.strip()
    raise AssertionError("the Procfile names no web process")


@functools.cache
def gunicorn_settings() -> dict[str, str]:
    """Return gunicorn's settings, as it shows them itself for the line of the Procfile."""
    shown = subprocess.run(
        ["sh", "-c", web_line().replace("gunicorn", "gunicorn --print-config", 1)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    lines = (line.partition("=") for line in shown.stdout.splitlines())
    return {name.strip(): value.strip() for name, _, value in lines}


def free_port() -> int:
    """Return a port of the loopback that nothing listens on, and that nobody else is given.

    A socket that is bound to it, and never listens, stays open until this process ends. The
    kernel gives its port to no other socket, and refuses connections to it; a server that sets
    SO_REUSEADDR, as all of them do, may bind to it again and again.
    """
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind(("127.0.0.1", 0))
    _reserved.append(reserved)
    port: int = reserved.getsockname()[1]
    return port


def environment(**variables: str) -> dict[str, str]:
    """Return this process's environment with `variables`, without PetSage settings and proxies.

    The interpreter that runs the tests comes first on the PATH: its gunicorn is the one to run.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PETSAGE_", "HEROKU_", "RENDER_", "KAMAL_", "GUNICORN_"))
        and name not in {"PORT", "WEB_CONCURRENCY", "DYNO", "SOURCE_VERSION"}
        and name.lower() not in PROXIES
    }
    kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
    return kept | variables


def eventually(holds: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> bool:
    """Wait until `holds` returns something true; return whether it did in time."""
    ends = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > ends:
            return False
        time.sleep(0.05)
    return True


class Service:
    """A running service: its URL, its process, and what it has logged."""

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
        # The last line may be on its way.
        lines = self.log_text().split("\n")[:-1]
        return [json.loads(line) for line in lines]

    def records_of(self, request_id: str) -> list[dict[str, Any]]:
        """Return the records of a request, once its request line is among them."""
        found: list[dict[str, Any]] = []

        def logged() -> bool:
            found[:] = [line for line in self.log_records() if line["request_id"] == request_id]
            return "petsage.request" in {line["logger"] for line in found}

        assert eventually(logged), f"no request line of {request_id}:\n{self.log_text()[-2_000:]}"
        return found

    def connect(self, timeout: float = PATIENCE_SECONDS) -> socket.socket:
        """Open a raw connection to the service."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    def workers(self) -> list[int]:
        """Return the process ids of the workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def stop(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Ask the service to stop, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


def responding_worker(url: str) -> str | None:
    """Return which worker responds at a URL: "" where it has no name, None where none does."""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS) as response:
            return str(response.headers["PetSage-Worker"] or "")
    except urllib.error.HTTPError as error:
        with error:
            return str(error.headers["PetSage-Worker"] or "")
    except OSError:
        return None


def _has_event_loop(pid: int) -> bool:
    with suppress(FileNotFoundError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                if str(descriptor.readlink()) == "anon_inode:[eventpoll]":
                    return True
    return False


def _await_workers(service: Service, count: int) -> None:
    """Wait until the service responds, and until so many of its workers run.

    gunicorn loses a SIGTERM that reaches a worker between its fork and the moment when it has set
    up its own signal handlers. It has once it has an event loop. (The kernel may hand connections
    to one and the same worker for long, so that it can't be waited for a response of each.)
    """

    def running() -> bool:
        if service.process.poll() is not None:
            raise AssertionError(f"the service ended:\n{service.log_text()}")
        worker = responding_worker(f"{service.url}/system/live")
        if count == 1 or not worker:
            # That it responds is enough of one worker, and all that another server can show.
            return worker is not None
        workers = service.workers()
        return len(workers) >= count and all(map(_has_event_loop, workers))

    assert eventually(running), f"the service did not come up:\n{service.log_text()}"


@contextmanager
def running_service(
    command: str | None = None, *, cwd: Path = ROOT, **variables: str
) -> Iterator[Service]:
    """Run the Procfile's web line (or `command`) with these environment variables.

    It begins once the service responds and every worker runs. Whatever happens inside, no process
    of it is left when the block ends.
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
            _await_workers(service, int(variables.get("WEB_CONCURRENCY", "1")))
            yield service
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def petsage(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end. It must never write a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "petsage", *map(str, arguments)],
        cwd=ROOT,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=5 * PATIENCE_SECONDS,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def gone(pid: int) -> bool:
    """Return whether no process bears this number, or a dead one that nobody has reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        # The latter where it went between the opening and the reading.
        return True


def until_gone(pid: int) -> bool:
    return eventually(lambda: gone(pid))


def run_coroutine(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, in a thread: Playwright's loop may be running in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()
