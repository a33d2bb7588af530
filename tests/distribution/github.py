"""The steps of a GitHub job, run as a runner would: expressions, GITHUB_* and shells."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.running import ROOT

ACTION = yaml.safe_load(Path(ROOT, "action.yml").read_text())
USES = "your-org/petsage@main"
SHA = "0f9a3b7c0f9a3b7c0f9a3b7c0f9a3b7c0f9a3b7c"
# https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstepsshell
SHELLS = {"bash": ["bash", "--noprofile", "--norc", "-eo", "pipefail"], None: ["bash", "-e"]}
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


@dataclass
class Step:
    """What a step of the job has left."""

    code: int
    log: str
    outputs: dict[str, str]
    summary: str

    @property
    def commands(self) -> list[str]:
        """The workflow commands in the log that GitHub obeys, without what stops and starts them.

        It also sees one behind blanks.
        """
        found: list[str] = []
        token = ""
        for line in map(str.strip, self.log.splitlines()):
            if token:
                token = "" if line == f"::{token}::" else token
            elif line.startswith("::stop-commands::"):
                token = line.removeprefix("::stop-commands::")
            elif line.startswith("::") or "##[" in line:
                found.append(line)
        return found


@dataclass
class Job:
    """A job in a folder; `variables` are those of the workflow's `env`.

    `process` is that of the step that runs.
    """

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    steps: dict[str, Step] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None
    _runs: int = 0

    def run(self, steps: list[dict[str, Any]]) -> list[Step]:
        """Run steps until one fails without `continue-on-error`."""
        done: list[Step] = []
        for step in steps:
            if "uses" in step:
                assert step["uses"] == USES
                ran = self.action(self._values(step.get("with", {})))
            else:
                ran = self._script(step, self._contexts({}))
            done.append(ran)
            if "id" in step:
                self.steps[step["id"]] = ran
            if ran.code and not step.get("continue-on-error"):
                break
        return done

    def action(self, given: dict[str, str]) -> Step:
        """Run the steps of action.yml with these inputs."""
        inputs = {name: str(one.get("default", "")) for name, one in ACTION["inputs"].items()}
        inputs |= given
        inside: dict[str, Step] = {}
        log, summary, code = "", "", 0
        contexts = self._contexts({"inputs": inputs})
        assert ACTION["runs"]["using"] == "composite"
        for step in ACTION["runs"]["steps"]:
            ran = self._script(step, contexts)
            inside[step.get("id", "")] = ran
            log, summary, code = log + ran.log, summary + ran.summary, ran.code
            if code:
                break
        contexts["steps"] = {name: {"outputs": one.outputs} for name, one in inside.items() if name}
        outputs = {
            name: evaluated(one["value"], contexts) for name, one in ACTION["outputs"].items()
        }
        return Step(code, log, outputs, summary)

    def _values(self, texts: dict[str, Any]) -> dict[str, str]:
        contexts = self._contexts({})
        return {name: evaluated(written(text), contexts) for name, text in texts.items()}

    def _contexts(self, further: dict[str, Any]) -> dict[str, Any]:
        steps = {
            name: {"outputs": one.outputs, "outcome": "failure" if one.code else "success"}
            for name, one in self.steps.items()
        }
        return {"github": {"sha": SHA}, "steps": steps, **further}

    def _script(self, step: dict[str, Any], contexts: dict[str, Any]) -> Step:
        self._runs += 1
        temp = self.folder / "runner-temp"
        temp.mkdir(exist_ok=True)
        files = {
            name: self.folder / f"{name.lower()}-{self._runs}"
            for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_ENV")
        }
        for path in files.values():
            path.touch()
        script = temp / f"{self._runs}.sh"
        script.write_text(evaluated(step["run"], contexts))
        shell = SHELLS[step.get("shell")]
        self.process = subprocess.Popen(
            [*shell, script],
            cwd=self.folder,
            env={
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "HOME": os.environ.get("HOME", str(self.folder)),
                **{name: value for name, value in os.environ.items() if name.startswith("PIP_")},
                "CI": "true",
                "GITHUB_ACTIONS": "true",
                "GITHUB_ACTION_PATH": str(ROOT),
                "GITHUB_SHA": SHA,
                "RUNNER_TEMP": str(temp),
                **{name: str(path) for name, path in files.items()},
                **self.variables,
                **{
                    name: evaluated(written(value), contexts)
                    for name, value in step.get("env", {}).items()
                },
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        log, _ = self.process.communicate(timeout=120)
        return Step(
            self.process.returncode,
            log,
            parsed(files["GITHUB_OUTPUT"].read_text()),
            files["GITHUB_STEP_SUMMARY"].read_text(),
        )


def written(value: Any) -> str:
    """Return a scalar of YAML as GitHub passes it on."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def evaluated(text: str, contexts: dict[str, Any]) -> str:
    """Return the text with its expressions replaced, of which the few that are used are known."""

    def value(match: re.Match[str]) -> str:
        inner = match[1]
        as_json = re.fullmatch(r"toJSON\((\w+)\)", inner)
        if as_json:
            return json.dumps(contexts[as_json[1]], indent=2)
        found: Any = contexts
        for name in inner.split("."):
            # An output that was not set is empty.
            found = found.get(name, "") if isinstance(found, dict) else ""
        assert isinstance(found, str), f"no expression of this runner's: {inner}"
        return found

    return EXPRESSION.sub(value, text)


def parsed(text: str) -> dict[str, str]:
    """Return the values in a GITHUB_OUTPUT file: `name=value`, or a block with a delimiter."""
    values: dict[str, str] = {}
    lines = iter(text.splitlines())
    for line in lines:
        name, _, rest = line.partition("<<")
        if rest and "=" not in name:
            block: list[str] = []
            for inner in lines:
                if inner == rest:
                    break
                block.append(inner)
            else:
                raise AssertionError(f"no end of {name}")
            values[name] = "\n".join(block)
        else:
            name, _, value = line.partition("=")
            values[name] = value
    return values
