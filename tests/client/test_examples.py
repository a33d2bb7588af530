"""The examples of `--help` and of the README, each run as it stands there."""

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

from tests.client.runs import COMMAND, ROOT, environment, petsage
from tests.client.servers import Instance, Received, serving

COMMIT = "0f9a3b7c0f9a3b7c0f9a3b7c0f9a3b7c0f9a3b7c"
COMMANDS = ("smoke-test", "rollout")


def of_the_help(command: str) -> list[str]:
    lines = petsage(command, "--help").out.partition("Examples:")[2].splitlines()
    return [line.strip() for line in lines if "petsage " in line]


def section(command: str) -> str:
    """Return what the README says under the command's name."""
    text = Path(ROOT, "README.md").read_text()
    return text.partition(f"\n## petsage {command}\n")[2].partition("\n## ")[0]


def of_the_readme(command: str) -> list[str]:
    """Return each example as a shell script: what stands in the README, or in its YAML."""
    found = []
    for kind, block in re.findall(r"```(sh|yaml)\n(.*?)```", section(command), re.S):
        if kind == "sh":
            found.append(block)
            continue
        value = yaml.safe_load(block)
        if isinstance(value, list):
            found += [step["run"] for step in value]
        elif value.get("kind") == "Job":
            containers = value["spec"]["template"]["spec"]["containers"]
            found += [shlex.join(one["command"]) for one in containers]
        else:
            found += ["\n".join(job["script"]) for job in value.values()]
    return [script for script in found if f"petsage {command}" in script]


HELP = {command: of_the_help(command) for command in COMMANDS}
README = {command: of_the_readme(command) for command in COMMANDS}
SCRIPTS = [script for command in COMMANDS for script in HELP[command] + README[command]]


@pytest.mark.parametrize(("command", "least"), [("smoke-test", 6), ("rollout", 3)])
def test_there_are_examples(command: str, least: int) -> None:
    assert len(HELP[command]) >= 5
    assert len(README[command]) >= least or not section(command)


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_example_runs(script: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()
    tools = tmp_path / "bin"
    tools.mkdir()
    stand_ins = {
        "petsage": f'exec {shlex.join(COMMAND)} "$@"',
        "heroku": f"exec timeout 20 tail -n +1 -F {log}",
        "git": f"echo {COMMIT}",
        "pip": "exit 0",
        "kubectl": "exit 0",
    }
    Path(tmp_path, "deploy.sh").write_text("#!/bin/sh\n")
    Path(tmp_path, "deploy.sh").chmod(0o755)
    for name, line in stand_ins.items():
        Path(tools, name).write_text(f"#!/bin/sh\n{line}\n")
        Path(tools, name).chmod(0o755)
    seen = itertools.count()

    def respond(request: Received, _: socket.socket) -> bytes:
        with log.open("a") as lines:
            lines.write(f'app[web.1]: {{"request_id": "{request.request_id}"}}\n')
        return Instance(commit=COMMIT, instance=f"web.{next(seen) % 2}")(request)

    with serving(respond) as server:
        done = subprocess.run(
            ["sh", "-ec", re.sub(r"https://app\.example|http://petsage\b", server.url, script)],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=tmp_path,
            env=environment(
                PATH=f"{tools}{os.pathsep}{os.environ['PATH']}",
                GITHUB_SHA=COMMIT,
                CI_COMMIT_SHA=COMMIT,
                GITHUB_STEP_SUMMARY=str(tmp_path / "summary.md"),
            ),
        )
        assert server.pings, done.stderr
    assert done.returncode == 0, done.stdout + done.stderr
