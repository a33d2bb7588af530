"""The examples of `--help`, of the README and of docs/, each run as it stands there."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import socket
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.client.runs import COMMAND, environment, petsage
from tests.client.servers import Instance, Received, http, serving
from tests.documents import MANUAL, blocks

COMMIT = "0f9a3b7c0f9a3b7c0f9a3b7c0f9a3b7c0f9a3b7c"
COMMANDS = ("smoke-test", "rollout")


def of_the_help(command: str) -> list[str]:
    lines = petsage(command, "--help").out.partition("Examples:")[2].splitlines()
    return [line.strip() for line in lines if "petsage " in line]


def of_yaml(block: str) -> str:
    """Return what CI or Kubernetes would run, as one shell script."""
    value = yaml.safe_load(block)
    if isinstance(value, list):
        return "\n".join(step["run"] for step in value)
    if value.get("kind") == "Job":
        containers = value["spec"]["template"]["spec"]["containers"]
        return "\n".join(shlex.join(one["command"]) for one in containers)
    return "\n".join(line for job in value.values() for line in job["script"])


HELP = [line for command in COMMANDS for line in of_the_help(command)]
IN_SHELL = [block for text in MANUAL for block in blocks("sh", text)]
IN_YAML = [of_yaml(block) for text in MANUAL for block in blocks("yaml", text)]
WRITTEN = [script for script in IN_SHELL + IN_YAML if "petsage " in script]
DEPLOY_SCRIPTS = [script for script in IN_SHELL if "code=$?" in script]


def test_there_are_examples() -> None:
    for command in COMMANDS:
        assert len(of_the_help(command)) >= 5
        assert len([script for script in WRITTEN if f"petsage {command} " in script]) >= 4
    assert len(IN_YAML) == 3
    assert len(DEPLOY_SCRIPTS) == 2


def run_script(
    script: str, url: str, folder: Path, **stand_ins: str
) -> subprocess.CompletedProcess[str]:
    """Run a script as its reader would; the tools of the platform are these lines of shell."""
    tools = folder / "bin"
    tools.mkdir()
    lines = {
        "petsage": f'exec {shlex.join(COMMAND)} "$@"',
        "git": f"echo {COMMIT}",
        **dict.fromkeys(("pip", "kubectl", "heroku"), "exit 0"),
        **stand_ins,
    }
    for file, line in {
        **{f"bin/{name}": line for name, line in lines.items()},
        "deploy.sh": "",
    }.items():
        Path(folder, file).write_text(f"#!/bin/sh\n{line}\n")
        Path(folder, file).chmod(0o755)
    return subprocess.run(
        ["sh", "-ec", re.sub(r"https://app\.example|http://petsage\b", url, script)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder,
        env=environment(
            PATH=f"{tools}{os.pathsep}{os.environ['PATH']}",
            GITHUB_SHA=COMMIT,
            CI_COMMIT_SHA=COMMIT,
            GITHUB_STEP_SUMMARY=str(folder / "summary.md"),
        ),
    )


@pytest.mark.parametrize("script", [*HELP, *WRITTEN])
def test_every_example_runs(script: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()
    seen = itertools.count()

    def respond(request: Received, _: socket.socket) -> bytes:
        with log.open("a") as lines:
            lines.write(f'app[web.1]: {{"request_id": "{request.request_id}"}}\n')
        return Instance(commit=COMMIT, instance=f"web.{next(seen) % 3}")(request)

    follow = f"exec timeout 20 tail -n +1 -F {log}"
    with serving(respond) as server:
        done = run_script(script, server.url, tmp_path, heroku=follow)
        assert server.pings, done.stderr
    assert done.returncode == 0, done.stdout + done.stderr


def redirect(_: Received, __: socket.socket) -> bytes:
    return http(301, Location="https://app.example/")


@pytest.mark.parametrize("script", DEPLOY_SCRIPTS)
@pytest.mark.parametrize("right_until_deployed", [False, True], ids=["bad URL", "bad release"])
def test_a_rollback_only_ever_follows_a_good_preflight(
    script: str, right_until_deployed: bool, tmp_path: Path
) -> None:
    calls = tmp_path / "calls"
    calls.touch()

    def respond(request: Received, connection: socket.socket) -> bytes:
        if right_until_deployed and not calls.read_text():
            return Instance(commit=COMMIT)(request)
        return redirect(request, connection)

    note = f'echo "$(basename "$0") $1" >> {calls}; echo {COMMIT}'
    with serving(respond) as server:
        done = run_script(script, server.url, tmp_path, git=note, heroku=note, kubectl=note)
    assert done.returncode == 1, done.stdout + done.stderr
    told = [line for line in calls.read_text().splitlines() if line != "git rev-parse"]
    good = [["git push", "heroku rollback"], ["kubectl apply", "kubectl rollout"]]
    assert told in (good if right_until_deployed else [[]])
