"""`petsage` as scripts run it: a process of its own, bounded in time.

Whatever a run reports as JSON is held against its schema here, so that each test's report is.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema

ROOT = Path(__file__).parent.parent.parent
COMMAND = [sys.executable, "-m", "petsage"]

WORDS = {
    0: "passed",
    1: "wrong",
    3: "down",
    4: "old",
    5: "unproven",
    6: "log-missing",
    7: "over-budget",
    8: "command-failed",
    9: "not-reached",
    130: "interrupted",
}


@functools.cache
def _validator() -> Any:
    schema = json.loads(Path(ROOT, "docs", "report.schema.json").read_text())
    validator = jsonschema.validators.validator_for(schema)
    validator.check_schema(schema)
    return validator(schema, format_checker=validator.FORMAT_CHECKER)


def checked(text: str) -> dict[str, Any]:
    """Return a JSON report that fits its schema and whose verdict fits its exit code."""
    report: dict[str, Any] = json.loads(text)
    _validator().validate(report)
    assert report["verdict"] == WORDS[report["exit_code"]]
    assert report["headline"]
    assert report["exit_code"] == 0 or report["what_next"]
    return report


@dataclass(frozen=True)
class Done:
    """What a run has left: its exit code and what it wrote."""

    code: int
    out: str
    err: str

    @functools.cached_property
    def report(self) -> dict[str, Any]:
        """The JSON report on stdout."""
        report = checked(self.out)
        assert report["exit_code"] == self.code
        return report

    @property
    def sentences(self) -> str:
        """Everything that the JSON report says in words."""
        report = self.report
        first = [report["headline"], report["what_next"]]
        return "\n".join([*first, *report["problems"], *report["warnings"]])

    def warnings_of(self, word: str) -> list[str]:
        """Return the warnings of the JSON report that contain this word."""
        return [one for one in self.report["warnings"] if word in one]


def environment(**variables: str) -> dict[str, str]:
    """Return the environment of a run: no proxy, colour or option but the test's own."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PETSAGE_")
        and not name.lower().endswith("_proxy")
        and name not in {"NO_COLOR", "TERM", "COLUMNS", "FORCE_COLOR"}
    }
    return kept | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"} | variables


def start(*arguments: object, **variables: str) -> subprocess.Popen[bytes]:
    """Start petsage and return its process, whose streams are pipes."""
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(**variables),
        cwd=ROOT,
    )


def done(process: subprocess.Popen[bytes], stdin: bytes = b"", within: float = 60.0) -> Done:
    """Wait for the end of a started petsage. It must never write a traceback."""
    try:
        out, err = process.communicate(stdin, timeout=within)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    told = err.decode()
    assert "Traceback" not in told, told
    assert process.returncode != 70, told
    return Done(process.returncode, out.decode(), told)


def petsage(*arguments: object, within: float = 60.0, stdin: bytes = b"", **variables: str) -> Done:
    """Run petsage to its end."""
    return done(start(*arguments, **variables), stdin, within)


def smoke_test(url: str, *arguments: object, within: float = 60.0, **variables: str) -> Done:
    """Run `petsage smoke-test` with a JSON report."""
    return petsage("smoke-test", url, "--format", "json", *arguments, within=within, **variables)


def rollout(url: str, *arguments: object, within: float = 60.0, **variables: str) -> Done:
    """Run `petsage rollout` for release v43, fast, with a JSON report."""
    fast = ("--expect-release", "v43", "--rate", 25, "--consecutive", 5, "--format", "json")
    return petsage("rollout", url, *fast, *arguments, within=within, **variables)
