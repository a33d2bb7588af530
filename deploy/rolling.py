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
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from fleet import ROOT, SERVERS, Fleet


def say(text: str) -> None:
    """Tell what is done now."""
    print(text, file=sys.stderr, flush=True)


def replace(fleet: Fleet, server: str, release: str) -> None:
    """Replace an instance so that nobody notices."""
    say(f"{server}: out of rotation")
    fleet.drain(server)
    restart(fleet, server, release)
    fleet.put_back(server)
    say(f"{server}: back in rotation")


def restart(fleet: Fleet, server: str, release: str) -> None:
    """Stop an instance and start the new release in its place."""
    say(f"{server}: SIGTERM")
    fleet.stop(server)
    say(f"{server}: start {release}")
    fleet.start(server, release)


def deploy(fleet: Fleet, release: str, *, naive: bool) -> None:
    """Replace the instances one by one; `naive` stops each while it is still in rotation."""
    for server in SERVERS:
        if naive:
            restart(fleet, server, release)
        else:
            replace(fleet, server, release)


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
            watch = [sys.executable, "-m", "petsage", "rollout", fleet.url]
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
