"""The report as JUnit XML, in the parts of it that Jenkins, GitLab and GitHub actions all read."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from petsage.client.outcome import DeployRun, Outcome, RolloutOutcome
from petsage.client.reports import as_text, summary
from petsage.client.reports.advice import next_step
from petsage.client.verdict import ExitCode


def render(outcome: Outcome) -> str:
    """Return the report as one testsuite; each check is a case of it."""
    kind = f"petsage.{outcome.kind}"
    suite = ET.Element("testsuite", name=f"petsage {outcome.kind}")
    for code, name in _checks(outcome):
        case = ET.SubElement(suite, "testcase", classname=kind, name=name)
        sentences = [told for found, told in outcome.problems if found is code]
        if sentences:
            _fail(outcome, case, code, sentences)
        elif not _reached(outcome, code):
            ET.SubElement(case, "skipped", message="not reached: something failed before")
    for refusal in outcome.refusals:
        case = ET.SubElement(
            suite, "testcase", classname=f"{kind}.refusals", name=refusal.name, time="0"
        )
        if refusal.passed is False:
            told = ET.SubElement(case, "failure", message=refusal.shortfall, type="refusal")
            told.text = refusal.shortfall
        elif refusal.passed is None:
            ET.SubElement(case, "skipped", message=f"not put to PetSage: {refusal.got}")
    if now := summary.now_phrase(outcome):
        # Where a suite has properties, they stand before its cases.
        properties = ET.Element("properties")
        ET.SubElement(properties, "property", name="now", value=now)
        suite.insert(0, properties)
    cases = suite.findall("testcase")
    for case in cases:
        case.set("time", "0")
    cases[0].set("time", f"{outcome.elapsed_s:.3f}")
    counts = {
        "tests": len(cases),
        "failures": len(suite.findall("testcase/failure")),
        "errors": len(suite.findall("testcase/error")),
        "skipped": len(suite.findall("testcase/skipped")),
    }
    for name, count in counts.items():
        suite.set(name, str(count))
    suite.set("time", f"{outcome.elapsed_s:.3f}")
    suite.set("timestamp", summary.instant(outcome.started_at)[:19])
    ET.SubElement(suite, "system-out").text = as_text.render(outcome)
    root = ET.Element("testsuites", name=f"petsage {outcome.kind}")
    for name in ("tests", "failures", "errors", "time"):
        root.set(name, suite.get(name, "0"))
    root.append(suite)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _checks(outcome: Outcome) -> list[tuple[ExitCode, str]]:
    row, release = outcome.row, outcome.expected
    rollout = isinstance(outcome, RolloutOutcome)
    checks = [(ExitCode.UNREACHABLE, "PetSage answers")]
    if not rollout:
        checks.append((ExitCode.WRONG, "its answers are right"))
    if _command(outcome):
        checks.append((ExitCode.COMMAND_FAILED, "the command succeeds"))
    if release:
        checks.append((ExitCode.OTHER_RELEASE, f"release {release} answers"))
    checks.append((ExitCode.MIXED, f"{row.consecutive} answers in a row are right"))
    if outcome.log or any(code is ExitCode.LOG_MISSING for code, _ in outcome.problems):
        checks.append((ExitCode.LOG_MISSING, "the log line arrives"))
    if rollout:
        checks.append((ExitCode.OVER_BUDGET, "the budget is kept"))
    if outcome.exit_code is ExitCode.INTERRUPTED:
        checks.append((ExitCode.INTERRUPTED, "the run comes to its end"))
    return checks


def _reached(outcome: Outcome, code: ExitCode) -> bool:
    """Return whether the run came so far that the check without a problem has passed."""
    if code is ExitCode.UNREACHABLE:
        return outcome.tally.answered
    if code in (ExitCode.WRONG, ExitCode.OTHER_RELEASE):
        return not outcome.row.waiting
    if code is ExitCode.COMMAND_FAILED:
        command = _command(outcome)
        return command is not None and command.exit_code == 0 and not command.cut_short
    return outcome.row.whole


def _command(outcome: Outcome) -> DeployRun | None:
    return outcome.deploy if isinstance(outcome, RolloutOutcome) else None


def _fail(outcome: Outcome, case: ET.Element, code: ExitCode, sentences: list[str]) -> None:
    kind = "error" if code in (ExitCode.UNREACHABLE, ExitCode.INTERRUPTED) else "failure"
    told = ET.SubElement(case, kind, message=sentences[0], type=code.word)
    told.text = "\n".join([*sentences, next_step(outcome, code)])
