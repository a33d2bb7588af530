"""The examples of `--help`, of the README and of docs/, each run as it stands there."""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.client.fleets import NEW
from tests.client.runs import COMMAND, environment, petsage
from tests.client.servers import Received, http, serving
from tests.documents import MANUAL, blocks

pytestmark = pytest.mark.contract

COMMIT = "0f9a3b7c0f9a3b7c0f9a3b7c0f9a3b7c0f9a3b7c"
COMMANDS = ("smoke-test", "rollout")


def of_the_help(command: str) -> list[str]:
    lines = petsage(command, "--help").out.partition("Examples:")[2].splitlines()
    return [line.strip() for line in lines if "petsage " in line]


def of_yaml(block: str) -> str:
    """Return what CI or Kubernetes would run, as one shell script."""
    value = yaml.safe_load(block)
    if isinstance(value, list):
        return "\n".join(step["run"] for step in value if "run" in step)
    if value.get("kind") == "Job":
        containers = value["spec"]["template"]["spec"]["containers"]
        return "\n".join(shlex.join(one["args"]) for one in containers)
    return "\n".join(line for job in value.values() for line in job["script"])


IN_SHELL = [block for text in MANUAL for block in blocks("sh", text)]
IN_YAML = [of_yaml(block) for text in MANUAL for block in blocks("yaml", text)]
# The deploy scripts are in test_deploy_script.py.
WRITTEN = [one for one in IN_SHELL + IN_YAML if "petsage " in one and "1|3)" not in one]


def test_there_are_examples() -> None:
    for command in COMMANDS:
        assert len(of_the_help(command)) >= 5
        assert len([script for script in WRITTEN if f"petsage {command} " in script]) >= 3


@pytest.mark.parametrize("command", COMMANDS)
def test_every_example_of_the_help_runs(command: str, tmp_path: Path) -> None:
    for number, line in enumerate(of_the_help(command)):
        folder = tmp_path / str(number)
        folder.mkdir()
        run(line, folder)


@pytest.mark.parametrize("script", WRITTEN)
def test_every_example_of_the_manual_runs(script: str, tmp_path: Path) -> None:
    run(script, tmp_path)


def run(script: str, tmp_path: Path) -> None:
    """Run a script as its reader would, against a service that has the release."""
    log, tools = tmp_path / "log", tmp_path / "bin"
    log.touch()
    tools.mkdir()
    (tmp_path / "app.log").symlink_to(log)
    seen = itertools.count()

    def respond(request: Received, _: socket.socket) -> bytes:
        line = json.dumps({"logger": "petsage.request", "request_id": request.request_id})
        with log.open("a") as lines:
            lines.write(f"app[web.1]: {line}\n")
        if request.method == "GET" and not request.path.startswith("/system/"):
            # Any service, at an URL of its own.
            health = {"version": "v43", "commitSha": "v43", "build": {"sha": "v43"}}
            return http(200, json.dumps(health).encode(), Content_Type="application/json")
        return NEW.named(commit=COMMIT, instance=f"web.{next(seen) % 3}")(request)

    stubs = {
        "petsage": f'exec {shlex.join(COMMAND)} "$@"',
        "python": f'exec {sys.executable} "$@"',
        "git": f"echo {COMMIT}",
        "heroku": f"exec timeout 20 tail -n +1 -F {log}",
        "kubectl": "exit 0",
    }
    for place, line in {f"bin/{tool}": line for tool, line in stubs.items()}.items():
        (tmp_path / place).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / place).chmod(0o755)
    (tmp_path / "deploy.sh").symlink_to(tools / "kubectl")
    with serving(respond) as server:
        script = re.sub(r"https://(?:app|shop)\.example|http://petsage\b", server.url, script)
        done = subprocess.run(
            ["bash", "-ec", script.replace("192.0.2.7", server.address)],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=tmp_path,
            env=environment(
                PATH=f"{tools}{os.pathsep}{os.environ['PATH']}",
                KAMAL_VERSION=COMMIT,
            ),
        )
        assert server.requests, done.stderr
    assert done.returncode == 0, done.stdout + done.stderr
