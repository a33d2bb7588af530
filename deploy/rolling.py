"""A rolling deploy on one machine: HAProxy before three instances, replaced one by one.

It needs only the standard library, haproxy, and the interpreter that PetSage is installed for:

    python deploy/rolling.py up RUN --release v42       HAProxy and three instances; prints the URL
    python deploy/rolling.py deploy RUN --release v43   replace them one by one
    python deploy/rolling.py down RUN                   stop all of it
    python deploy/rolling.py demo                       all of that, watched by `petsage rollout`

RUN is a folder for the ports, the process ids and the logs.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SERVERS = ("web.1", "web.2", "web.3")
BACKEND = "petsage"
# Longer than the service's graceful stop (25 s), and than its start on a busy machine.
PATIENCE_SECONDS = 40.0
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
    """Return ports of the loopback that nothing listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
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

    def replace(self, server: str, release: str) -> None:
        """Replace an instance so that nobody notices."""
        say(f"{server}: out of rotation")
        self.balancer.set_state(server, "drain")
        time.sleep(DRAIN_SECONDS)
        until(f"{server} has no request left", lambda: self._idle(server))
        self.restart(server, release)
        self.balancer.set_state(server, "ready")
        self._await_up(server)
        say(f"{server}: back in rotation")

    def restart(self, server: str, release: str) -> None:
        """Stop an instance, start the new release in its place and wait until it is ready."""
        say(f"{server}: SIGTERM")
        self._stop(server)
        say(f"{server}: start {release}")
        self._launch(server, release)
        self._await_ready(server, release)

    def down(self) -> None:
        """Stop everything."""
        pid = self._pid("haproxy")
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
            until("HAProxy stops", lambda: not self.balancer.answers())
        for server in SERVERS:
            try:
                self._stop(server)
            except SystemExit:
                # Its workers end when they find it gone.
                os.kill(self._pid(server) or 0, signal.SIGKILL)
                raise

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

    def _stop(self, server: str) -> None:
        pid = self._pid(server)
        if pid is None:
            return
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
            until(f"{server} stops", lambda: self._pid(server) is None)

    def _pid(self, name: str) -> int | None:
        try:
            return int((self._run / f"{name}.pid").read_text())
        except (FileNotFoundError, ValueError):
            return None


def say(text: str) -> None:
    """Tell what is done now."""
    print(text, file=sys.stderr, flush=True)


def deploy(fleet: Fleet, release: str, *, naive: bool) -> None:
    """Replace the instances one by one; `naive` stops each while it is still in rotation."""
    for server in SERVERS:
        if naive:
            fleet.restart(server, release)
        else:
            fleet.replace(server, release)


def demo(report: str) -> int:
    """Deploy v43 over v42 while petsage watches, and return its exit code."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        # Python would end at once, and leave the fleet running.
        signal.signal(number, lambda caught, _: sys.exit(128 + caught))
    with tempfile.TemporaryDirectory(prefix="petsage-") as folder:
        fleet = Fleet.laid_out(Path(folder))
        try:
            say("Starting HAProxy and three instances of v42 ...")
            fleet.up("v42")
            petsage = str(Path(sys.executable).parent / "petsage")
            watch = [petsage, "rollout", fleet.url]
            watch += ["--expect-release", "v43", "--rate", "50", "--output", report]
            command = [sys.executable, __file__, "deploy", folder, "--release", "v43"]
            code = attend(subprocess.Popen([*watch, "--", *command], cwd=ROOT))
        finally:
            fleet.down()
    say(f"The timeline is in {report}.")
    return code


def attend(watch: subprocess.Popen[bytes]) -> int:
    """Return petsage's exit code; a signal ends it with its report, and the fleet is still ended.

    What a terminal sends has reached it already, and a second signal would cost the report.
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: watch.terminate())
    return watch.wait()


def main() -> int:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("up", "deploy", "down"):
        command = commands.add_parser(name)
        command.add_argument("run", type=lambda text: Path(text).resolve())
        if name != "down":
            command.add_argument("--release", required=True)
        if name == "deploy":
            command.add_argument("--naive", action="store_true")
    commands.add_parser("demo").add_argument("--report", default="rollout.html")
    options = parser.parse_args()
    if options.command == "demo":
        return demo(str(Path(options.report).resolve()))
    if options.command == "up":
        fleet = Fleet.laid_out(options.run)
        fleet.up(options.release)
        print(fleet.url)
    elif options.command == "deploy":
        deploy(Fleet(options.run), options.release, naive=options.naive)
    else:
        Fleet(options.run).down()
    return 0


if __name__ == "__main__":
    sys.exit(main())
