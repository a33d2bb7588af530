"""The GitHub action: action.yml's steps with the environment that a runner gives them."""

from __future__ import annotations

import re
import signal
import zipapp
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.client.fleets import NEW, OLD, login
from tests.client.servers import Respond, Running, constant, serving
from tests.distribution.github import ACTION, SHA, Job, Step
from tests.documents import DOCUMENTS, README, blocks
from tests.running import petsage

pytestmark = pytest.mark.contract

FAST = {"timeout": "5", "wait": "5"}
STEPS = ACTION["runs"]["steps"]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


@pytest.fixture(scope="module")
def service() -> Iterator[Running]:
    with serving(NEW) as server:
        yield server


COPY = 'cp {} "$RUNNER_TEMP/petsage.pyz"'


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch, pyz: Path, job: Job) -> Job:
    """A job in which the first step has nothing to do, as the file is there already."""
    monkeypatch.setitem(STEPS[0], "run", COPY.format(pyz))
    return job


def test_it_builds_the_file_and_passes(job: Job, service: Running) -> None:
    step = job.action({"url": service.url, "expect-release": "v43", **FAST})
    assert step.code == 0, step.log
    assert step.outputs == {"exit-code": "0", "verdict": "passed", "release": "v43"}
    assert step.summary.startswith("## ")
    assert "passed" in step.summary
    (command,) = step.commands
    assert command.startswith("::notice title=")
    assert "PASSED" in step.log
    assert zipapp.get_interpreter(job.folder / "runner-temp/petsage.pyz")


FAILURES: dict[str, tuple[Respond, str, str, str]] = {
    "another release": (OLD, "4", "old", "v42"),
    "a login": (login, "9", "not-reached", ""),
    "an outage": (constant(503), "3", "down", ""),
    "its own 500": (NEW.broken, "1", "wrong", ""),
}


@pytest.mark.parametrize(
    ("respond", "code", "verdict", "release"), FAILURES.values(), ids=FAILURES.keys()
)
def test_a_failure_fails_the_step_and_still_sets_its_outputs(
    built: Job, respond: Respond, code: str, verdict: str, release: str
) -> None:
    with serving(respond) as server:
        step = built.action(
            {"url": server.url, "expect-release": "v43", "timeout": "1", "wait": "1"}
        )
    assert step.outputs == {"exit-code": code, "verdict": verdict, "release": release}
    assert step.code == int(code)
    (command,) = step.commands
    assert re.fullmatch(rf"::error title=petsage%3A {verdict}::[^\n]+", command)
    assert verdict in step.summary


def test_a_rollout_runs_its_script(built: Job, service: Running) -> None:
    script = "echo deployed >> deployed\necho ::add-mask::secret\n"
    given = {"command": "rollout", "url": service.url, "expect-release": "v43", "rate": "50"}
    step = built.action({**given, "consecutive": "5", "run": script, "output": "rollout.html"})
    assert step.code == 0, step.log
    assert (built.folder / "deployed").read_text() == "deployed\n"
    assert (built.folder / "rollout.html").read_text().startswith("<!")
    # What the script says to GitHub is heard; what the report quotes is not.
    assert "::add-mask::secret" in step.commands
    failed = built.action({**given, "run": "false | true"})
    assert failed.outputs["verdict"] == "command-failed"


COMMANDS = ("smoke-test", "rollout")
ESCAPES = """'"; touch pwned; $(touch pwned) `touch pwned` ${{ github.sha }} %0A"""


def options_of(command: str) -> set[str]:
    """Return the names of a command's options, and of its argument."""
    done = petsage(command, "--help")
    return {"url", *re.findall(r"^ +(?:-\w, )?--([a-z0-9-]+)", done.stdout, re.MULTILINE)}


def test_no_input_reaches_a_shell(built: Job) -> None:
    for name in COMMANDS:
        options = options_of(name)
        given = {one: ESCAPES for one in ACTION["inputs"] if one in options}
        step = built.action({**given, "command": name})
        assert (step.code, step.outputs["verdict"]) == (2, "usage")
    assert built.action({"command": ESCAPES}).code == 2
    assert not list(built.folder.rglob("pwned"))
    for one in STEPS:
        assert "${{" not in one["run"]


def test_inputs_are_values_and_never_options(built: Job) -> None:
    for url in ("--help", "--version", "-h"):
        assert built.action({"url": url}).outputs["verdict"] == "usage"


MISTAKES = {
    "no url": ({"url": " "}, "url"),
    "another command's option": ({"rate": "5"}, "rate"),
    "a script for a smoke test": ({"run": "true"}, "run"),
    "no such command": ({"command": "smoketest"}, "command"),
    "no command": ({"command": ""}, "command"),
    "no such input": ({"expected-release": "v43"}, "expected-release"),
}


@pytest.mark.parametrize(("given", "named"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_in_the_inputs_is_a_usage_error(
    built: Job, service: Running, given: dict[str, str], named: str
) -> None:
    before = len(service.requests)
    step = built.action({"url": service.url, **given})
    assert (step.code, step.outputs["verdict"]) == (2, "usage")
    (command,) = step.commands
    assert command.startswith("::error ")
    assert named in command
    assert len(service.requests) == before


def test_a_value_that_petsage_rejects_is_a_usage_error(built: Job, service: Running) -> None:
    step = built.action({"url": service.url, "wait": "soon"})
    assert step.outputs == {"exit-code": "2", "verdict": "usage", "release": ""}
    assert "'--wait'" in step.log
    assert step.summary == ""


def test_headers_come_one_per_line_and_flags_as_true(built: Job, service: Running) -> None:
    headers = "Authorization: Bearer a b\nX-One: 1\n"
    before = len(service.requests)
    given = {"url": service.url, "header": headers, "no-bad-requests": "true"}
    step = built.action({**given, **FAST})
    assert step.code == 0, step.log
    assert service.requests[before:] == service.pings[-len(service.requests[before:]) :]
    sent = service.pings[-1].headers
    assert (sent["authorization"], sent["x-one"]) == ("Bearer a b", "1")
    assert "Bearer" not in step.log


def test_a_second_use_in_a_job_has_a_report_of_its_own(built: Job, service: Running) -> None:
    assert built.action({"url": service.url, **FAST}).outputs["verdict"] == "passed"
    assert built.action({"url": service.url, "wait": "x"}).outputs["verdict"] == "usage"


HOSTILE = "v43%0A::error::pwned"


def test_what_the_service_says_is_no_command(built: Job) -> None:
    def respond(request: Any, connection: Any) -> bytes | None:
        return NEW.named(release=HOSTILE, instance="##[error]x ::set-output name=a::b")(
            request, connection
        )

    with serving(respond) as server:
        step = built.action({"url": server.url, "expect-release": "v44", "wait": "0.5"})
    (command,) = step.commands
    assert command.startswith("::error title=petsage%3A old::")
    assert "%250A" in command
    assert step.outputs["release"] == HOSTILE


def test_a_job_that_is_cancelled_still_has_its_report(built: Job) -> None:
    sent: list[int] = []

    def respond(request: Any, connection: Any) -> bytes | None:
        # As the runner does, and once: to the step's process, which `exec` has made petsage's.
        if built.process and not sent:
            sent.append(built.process.pid)
            built.process.send_signal(signal.SIGINT)
        return OLD(request, connection)

    with serving(respond) as server:
        step = built.action({"url": server.url, "expect-release": "v43", "wait": "60"})
    assert step.outputs["exit-code"] == "130", step.log
    assert step.outputs["verdict"] == "interrupted"
    assert step.summary


def test_every_option_is_an_input_and_every_input_an_option() -> None:
    options = set().union(*map(options_of, COMMANDS))
    # stdout and the annotation are the action's own.
    assert set(ACTION["inputs"]) - {"run"} == options - {"format", "quiet", "help"} | {"command"}
    for one in [*ACTION["inputs"].values(), *ACTION["outputs"].values()]:
        assert one["description"]
    assert set(ACTION["outputs"]) == {"exit-code", "verdict", "release"}


WORKFLOWS = [
    block
    for text in (README, DOCUMENTS["docs/ci.md"])
    for block in blocks("yaml", text)
    if "uses:" in block
]


def workflow(text: str, folder: Path, before: Respond, after: Respond) -> list[Step]:
    """Run the steps of a workflow against a service that ./deploy.sh brings to another release."""
    deployed = folder / "deployed"
    (folder / "deploy.sh").write_text(f"#!/bin/sh\necho deploy >> {deployed}\n")
    (folder / "deploy.sh").chmod(0o755)
    (folder / "rollback.sh").write_text("#!/bin/sh\necho back >> rolled-back\n")
    (folder / "rollback.sh").chmod(0o755)

    def respond(request: Any, connection: Any) -> bytes | None:
        return (after if deployed.exists() else before)(request, connection)

    with serving(respond) as server:
        text = text.replace("https://app.example", server.url).replace("wait: 180", "wait: 1")
        limits = {"PETSAGE_SMOKE_TEST_TIMEOUT": "5", "PETSAGE_SMOKE_TEST_WAIT": "5"}
        return Job(folder, limits).run(yaml.safe_load(text))


@pytest.mark.parametrize("text", WORKFLOWS, ids=["README", "ci.md"])
def test_the_workflow_of_the_manual_passes_and_fails_as_it_should(
    text: str, tmp_path: Path, pyz: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = NEW.named(commit=SHA)
    for name, before, after, codes in (
        ("good", OLD, shipped, [0, 0, 0]),
        ("old", OLD, OLD, [0, 0, 4]),
        ("wrong", OLD, shipped.broken, [0, 0, 1]),
        ("bad preflight", OLD.broken, shipped, [1]),
    ):
        folder = tmp_path / name
        folder.mkdir()
        steps = workflow(text, folder, before, after)
        assert [one.code for one in steps][: len(codes)] == codes, steps[-1].log
        assert steps[-1].code == codes[-1], "what fails, fails the job"
        assert (folder / "deployed").exists() == (len(codes) > 1)
        assert (folder / "rolled-back").exists() == (name == "wrong" and "1|3)" in text)
        # Only the first builds the file.
        monkeypatch.setitem(STEPS[0], "run", COPY.format(pyz))
