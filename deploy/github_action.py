"""What action.yml runs: `petsage.pyz` with the action's inputs, and its report for GitHub.

The inputs come as JSON in INPUTS, and go on as the command's environment variables: none is read by
a shell or stands in the arguments, except URL, the files of the report and the script to run.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Collection
from pathlib import Path
from typing import Any

# No options of petsage's, or options that it gets as arguments.
ARGUMENTS = {"command", "url", "run", "output"}
WITHOUT_REPORT = {2: "usage", 130: "interrupted"}


class InputError(Exception):
    """An input that petsage would not understand; the message says which."""


def main() -> None:
    """Run petsage and exit with its code."""
    pyz = sys.argv[1]
    inputs = {
        name: value.strip()
        for name, value in json.loads(os.environ["INPUTS"]).items()
        if value.strip()
    }
    folder = Path(tempfile.mkdtemp(dir=os.environ["RUNNER_TEMP"]))
    try:
        options = options_of(pyz, inputs.get("command", ""))
        arguments = arguments_of(inputs, folder)
        variables = variables_of(inputs, options)
    except InputError as error:
        finish(2, str(error))
    with (folder / "stdout").open("wb") as stdout:
        code = run([sys.executable, "-I", pyz, *arguments], variables, stdout.fileno())
    show((folder / "stdout").read_text(errors="replace"))
    finish(code, *reports(folder))


def arguments_of(inputs: dict[str, str], folder: Path) -> list[str]:
    """Return the arguments of petsage; the reports that this script reads go into `folder`."""
    if "url" not in inputs:
        raise InputError("The input url is missing.")
    outputs = [str(folder / "report.md"), str(folder / "report.json")]
    arguments = [inputs["command"]]
    for path in [*outputs, *inputs.get("output", "").splitlines()]:
        arguments += ["--output", path]
    # After this nothing is an option: a URL of "--help" would pass.
    arguments += ["--", inputs["url"]]
    if "run" in inputs:
        if inputs["command"] != "rollout":
            raise InputError("The input run is for rollout.")
        arguments += ["bash", "-eo", "pipefail", "-c", inputs["run"]]
    return arguments


def options_of(pyz: str, command: str) -> Collection[str]:
    """Return the inputs that are options of this command."""
    sys.path.insert(0, pyz)
    from petsage.client.cli import cli

    if command not in cli.commands:
        raise InputError(f"The input command is none of {', '.join(cli.commands)}.")
    return {
        parameter.name.replace("_", "-")
        for parameter in cli.commands[command].params
        if parameter.name
    }


def variables_of(inputs: dict[str, str], options: Collection[str]) -> dict[str, str]:
    """Return the environment in which petsage finds the inputs."""
    prefix = f"PETSAGE_{inputs['command']}_"
    environment = dict(os.environ)
    del environment["INPUTS"]
    for name, value in inputs.items():
        if name in ARGUMENTS:
            continue
        if name not in options:
            raise InputError(f"The input {name} is not for {inputs['command']}.")
        environment[f"{prefix}{name}".replace("-", "_").upper()] = value
    # The reports and stdout are read here.
    for name in ("format", "quiet"):
        environment.pop(f"{prefix}{name}".replace("-", "_").upper(), None)
    return environment


def run(command: list[str], environment: dict[str, str], stdout: int) -> int:
    """Run a command, pass signals on to it, and return its exit code."""
    process = subprocess.Popen(command, env=environment, stdout=stdout)
    # GitHub sends these to a job that is cancelled; petsage then still writes its report.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _frame: process.send_signal(number))
    code = process.wait()
    return code if code >= 0 else 128 - code


def show(text: str) -> None:
    """Print the report, in which GitHub must not look for commands: parts are the service's."""
    token = uuid.uuid4().hex
    print(f"::stop-commands::{token}\n{text}\n::{token}::", flush=True)


def reports(folder: Path) -> tuple[str, dict[str, Any]]:
    """Append the Markdown report to the step's summary; return the headline and the JSON report."""
    text = (folder / "report.json").read_text() if (folder / "report.json").exists() else ""
    if not text:
        return "There is no report; the lines above say why.", {}
    with Path(os.environ["GITHUB_STEP_SUMMARY"]).open("a") as summary:
        summary.write((folder / "report.md").read_text())
    report: dict[str, Any] = json.loads(text)
    return f"{report['headline']} {report['what_next']}".strip(), report


def finish(code: int, headline: str, report: dict[str, Any] | None = None) -> None:
    """Set the outputs, print the headline as an annotation, and exit."""
    report = report or {}
    verdict = report.get("verdict") or WITHOUT_REPORT.get(code, "internal")
    outputs = {
        "exit-code": str(code),
        "verdict": verdict,
        "release": ",".join(report["current"]["releases"]) if report else "",
    }
    with Path(os.environ["GITHUB_OUTPUT"]).open("a") as file:
        for name, value in outputs.items():
            # No value can end before this delimiter, which nobody can guess.
            delimiter = uuid.uuid4().hex
            file.write(f"{name}<<{delimiter}\n{value}\n{delimiter}\n")
    print(f"::{'error' if code else 'notice'} title=petsage%3A {verdict}::{escaped(headline)}")
    sys.exit(code)


def escaped(text: str) -> str:
    """Return the text as the message of a workflow command.

    https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts
    """
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


if __name__ == "__main__":
    main()
