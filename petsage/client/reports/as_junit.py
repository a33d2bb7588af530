"""The report as JUnit XML, in the parts of it that Jenkins, GitLab and GitHub actions all read."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator

from petsage.client.explain import Explanation
from petsage.client.reports import as_text, figures
from petsage.client.result import BadRequestOutcome
from petsage.client.run import Run
from petsage.client.verdict import ExitCode


def render(run: Run, explanation: Explanation) -> str:
    """Return the report as one test suite; each thing that was asked for is a test case."""
    kind = f"petsage.{run.kind}"
    suite = ET.Element("testsuite", name=f"petsage {run.kind}")
    for code, name, reached in _cases(run, explanation):
        case = ET.SubElement(suite, "testcase", classname=kind, name=name, time="0")
        sentences = [one.sentence for one in explanation.problems if one.code is code]
        if sentences:
            element = "error" if code is ExitCode.INTERRUPTED else "failure"
            message = figures.printable(sentences[0])
            failure = ET.SubElement(case, element, message=message, type=code.word)
            lines = [*sentences, explanation.what_next if code is explanation.exit_code else ""]
            failure.text = "\n".join(figures.printable(line) for line in lines if line)
        elif not reached:
            ET.SubElement(case, "skipped", message="not reached")
    for name, expected, got, result in figures.bad_request_rows(run):
        classname = f"{kind}.bad-requests"
        case = ET.SubElement(suite, "testcase", classname=classname, name=name, time="0")
        if result == figures.BAD_REQUEST_WORDS[BadRequestOutcome.NOT_DELIVERED]:
            ET.SubElement(case, "skipped", message=f"{result}: {got}")
        elif result != figures.BAD_REQUEST_WORDS[BadRequestOutcome.REJECTED]:
            message = f"{result}: expected {expected}, got {got}"
            ET.SubElement(case, "failure", message=message, type="bad-request")
    seconds = f"{run.elapsed_s:.3f}"
    cases = suite.findall("testcase")
    cases[0].set("time", seconds)
    suite.set("tests", str(len(cases)))
    for counter, element in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(counter, str(len(suite.findall(f"testcase/{element}"))))
    suite.set("time", seconds)
    suite.set("timestamp", figures.instant(run.started_at)[:19])
    ET.SubElement(suite, "system-out").text = as_text.render(run, explanation)
    root = ET.Element("testsuites", name=f"petsage {run.kind}")
    for counter in ("tests", "failures", "errors", "time"):
        root.set(counter, suite.get(counter, "0"))
    root.append(suite)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _cases(run: Run, explanation: Explanation) -> Iterator[tuple[ExitCode, str, bool]]:
    """Yield what was asked for, and whether the run came so far."""
    history, streak, deploy = run.history, run.streak, run.deploy
    yield ExitCode.NOT_REACHED, "the run reaches the service", history.responded
    yield ExitCode.DOWN, "the service responds", history.responded
    yield ExitCode.WRONG, "its responses are correct", not streak.waiting
    if deploy is not None:
        succeeded = deploy.exit_code == 0 and not deploy.stopped
        yield ExitCode.COMMAND_FAILED, "the command succeeds", succeeded
    if run.expected:
        name = f"release {figures.printable(run.expected)} responds"
        yield ExitCode.OLD, name, not streak.waiting
    yield ExitCode.UNPROVEN, f"{run.consecutive} responses in a row are correct", run.proved
    if run.log is not None:
        yield ExitCode.LOG_MISSING, "the log line arrives", run.log.found
    if run.kind == "rollout":
        yield ExitCode.OVER_BUDGET, "the budget is kept", run.proved
    if explanation.exit_code is ExitCode.INTERRUPTED:
        yield ExitCode.INTERRUPTED, "the run comes to its end", False
