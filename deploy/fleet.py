"""HAProxy before three instances of the service, and what can be done to each of them.

It decides on no order: rolling.py does.
"""

from __future__ import annotations

import csv
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SERVERS = ("web.1", "web.2", "web.3")
BACKEND = "petsage"
# Longer than the service's graceful stop (25 s), and than its start on a busy machine.
PATIENCE_SECONDS = 120.0
# HAProxy's threads have all seen by then that a server takes nothing new.
DRAIN_SECONDS = 0.3


def until(what: str, holds: Callable[[], bool]) -> None:
    """Wait until `holds`; end the program with a sentence where it never does."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > give_up:
            raise SystemExit(f"rolling.py: {what}: not within {PATIENCE_SECONDS:.0f} s")
        time.sleep(0.05)


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback that nothing listens on.

    They are below those that the kernel gives to connections: an instance that is replaced finds
    its port free again.
    """
    ports: list[int] = []
    while len(ports) < count:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            ports += {port} - set(ports)
    return ports


class Balancer:
    """HAProxy, as its admin socket shows it."""

    def __init__(self, run: Path) -> None:
        self._socket = str(run / "haproxy.sock")

    def ask(self, command: str) -> str:
        """Return the answer to a command of HAProxy's management guide, section 9.3."""
        with socket.socket(socket.AF_UNIX) as admin:
            admin.settimeout(5)
            admin.connect(self._socket)
            admin.sendall(f"{command}\n".encode())
            pieces = iter(lambda: admin.recv(65_536), b"")
            return b"".join(pieces).decode()

    def answers(self) -> bool:
        """Return whether HAProxy runs."""
        try:
            return bool(self.ask("show info"))
        except OSError:
            return False

    def set_state(self, server: str, state: str) -> None:
        """Put a server into rotation (`ready`), or let it finish what it has (`drain`)."""
        if told := self.ask(f"set server {BACKEND}/{server} state {state}").strip():
            raise SystemExit(f"rolling.py: HAProxy: {told}")

    def column(self, server: str, name: str) -> str:
        """Return a column of the server's statistics."""
        rows = csv.DictReader(self.ask("show stat").lstrip("# ").splitlines())
        return next(
            row[name] for row in rows if row["pxname"] == BACKEND and row["svname"] == server
        )


class Fleet:
    """Three instances of the service and HAProxy before them; all they need stands in `run`."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._ports: dict[str, int] = json.loads((run / "ports.json").read_text())
        self.balancer = Balancer(run)
        self.url = f"http://127.0.0.1:{self._ports['front']}"

    @classmethod
    def laid_out(cls, run: Path) -> Fleet:
        """Return a fleet with ports of its own, of which nothing runs yet."""
        run.mkdir(parents=True, exist_ok=True)
        names = ("front", *SERVERS)
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        (run / "ports.json").write_text(json.dumps(ports))
        return cls(run)

    def up(self, release: str) -> None:
        """Start the instances, then HAProxy, and wait until all of them are in rotation."""
        if shutil.which("haproxy") is None:
            raise SystemExit(
                "rolling.py: there is no haproxy on the PATH"
                " (Debian: apt install haproxy; it is in /usr/sbin)."
            )
        for server in SERVERS:
            self._launch(server, release)
        for server in SERVERS:
            self._await_ready(server, release)
        ports = {f"PETSAGE_WEB_{one[-1]}": str(self._ports[one]) for one in SERVERS}
        ports |= {"PETSAGE_FRONT": str(self._ports["front"]), "PETSAGE_RUN": str(self._run)}
        command = ["haproxy", "-db", "-f", str(ROOT / "deploy" / "haproxy.cfg")]
        pid = self._spawn("haproxy", command, os.environ | ports)
        (self._run / "haproxy.pid").write_text(str(pid))
        until("HAProxy starts", self.balancer.answers)
        for server in SERVERS:
            self._await_up(server)

    def drain(self, server: str) -> None:
        """Take an instance out of rotation, and wait until it has no request left."""
        self.balancer.set_state(server, "drain")
        time.sleep(DRAIN_SECONDS)
        until(f"{server} has no request left", lambda: self._idle(server))

    def stop(self, server: str) -> None:
        """Send an instance SIGTERM and wait until it has gone."""
        pid = self._pid(server)
        if pid is None:
            return
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
            until(f"{server} stops", lambda: self._pid(server) is None)

    def start(self, server: str, release: str) -> None:
        """Start an instance and wait until it is ready."""
        self._launch(server, release)
        self._await_ready(server, release)

    def put_back(self, server: str) -> None:
        """Put an instance back into rotation, and wait until HAProxy sends it requests."""
        self.balancer.set_state(server, "ready")
        self._await_up(server)

    def down(self) -> None:
        """Stop everything; what does not stop when it is asked to is killed."""
        pid = self._pid("haproxy")
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        stuck = None
        for server in SERVERS:
            try:
                self.stop(server)
            except SystemExit as told:
                stuck = told
                if (pid := self._pid(server)) is not None:
                    with suppress(ProcessLookupError):
                        # Its workers end when they find it gone.
                        os.kill(pid, signal.SIGKILL)
        until("HAProxy stops", lambda: not self.balancer.answers())
        if stuck:
            raise stuck

    def _idle(self, server: str) -> bool:
        return {self.balancer.column(server, name) for name in ("scur", "qcur")} <= {"0", ""}

    def _await_up(self, server: str) -> None:
        until(f"{server} is up", lambda: self.balancer.column(server, "status") == "UP")

    def _await_ready(self, server: str, release: str) -> None:
        ready = urllib.request.Request(
            f"http://127.0.0.1:{self._ports[server]}/system/ready",
            headers={"Expect-Release": release},
        )

        def holds() -> bool:
            try:
                with urllib.request.urlopen(ready, timeout=2) as answer:
                    return bool(answer.status == 200)
            except OSError:
                return False

        until(f"{server} is ready; see {self._run / server}.log", holds)

    def _launch(self, server: str, release: str) -> None:
        """Start an instance from the line of the Procfile, as a platform does."""
        line = re.search(r"^web: *(.+)$", (ROOT / "Procfile").read_text(), re.MULTILINE)
        if line is None:
            raise SystemExit("rolling.py: the Procfile names no web process")
        settings = {
            "PORT": str(self._ports[server]),
            "PETSAGE_RELEASE": release,
            "PETSAGE_INSTANCE": server,
            "PETSAGE_TRUSTED_PROXIES": "1",
            # gunicorn removes this file as the last thing that it does.
            "GUNICORN_CMD_ARGS": f"--pid={self._run / server}.pid",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        self._spawn(server, ["sh", "-c", f"exec {line[1]}"], os.environ | settings)

    def _spawn(self, name: str, command: list[str], environment: dict[str, str]) -> int:
        """Start a process that outlives this program, and return its number."""
        with (self._run / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A Ctrl-C is not meant for it.
                start_new_session=True,
            )
        # Else Python would warn at the end that nobody has waited for it.
        process.returncode = 0
        return process.pid

    def _pid(self, name: str) -> int | None:
        try:
            return int((self._run / f"{name}.pid").read_text())
        except (FileNotFoundError, ValueError):
            return None
