"""Usage errors before any request, options from the environment, `--help` and `--version`."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from tests.client.fleets import NEW
from tests.client.runs import COMMAND, ROOT, environment, petsage, smoke_test
from tests.client.servers import Running, serving, serving_at

pytestmark = pytest.mark.contract

R = ("--expect-release", "v43")

SMOKE_TEST_USAGE = {
    "no URL": [],
    "no scheme": ["app.example"],
    "another scheme": ["ftp://app.example"],
    "no host": ["http://"],
    "credentials": ["http://user:secret@app.example"],
    "a query": ["http://app.example/?a=b"],
    "a line break": ["http://app.example/\r\nX: y"],
    "an unknown option": ["{url}", "--nope"],
    "an option of version 1": ["{url}", "--no-refusals"],
    "seconds that are none": ["{url}", "--wait", "soon"],
    "not a number": ["{url}", "--wait", "nan"],
    "no time at all": ["{url}", "--timeout", "0"],
    "no streak": ["{url}", "--consecutive", "0"],
    "an unknown format": ["{url}", "--format", "yaml"],
    "an output that can't be written": ["{url}", "-o", "/nowhere/at/all.json"],
    "a missing cacert": ["{url}", "--cacert", "/nowhere/ca.pem"],
    "a cacert that holds none": ["{url}", "--cacert", __file__],
    "a certificate that is none": ["{url}", "--cert", __file__],
    "a key without a certificate": ["{url}", "--key", __file__],
    "a log that is a folder": ["{url}", "--logs", "/"],
    "a time for a log that is not read": ["{url}", "--logs-within", "5"],
    "a header without a colon": ["{url}", "-H", "Authorization"],
    "a header with a line break": ["{url}", "-H", "X: a\r\nY: b"],
    "a release with a comma": ["{url}", "--expect-release", "v43,v44"],
    "an empty release": ["{url}", "--expect-release", ""],
    "a release that matches none": ["{url}", "--expect-release", "unknown"],
    "an address that is a name": ["{url}", "--address", "app.example"],
    "an address with a port that is none": ["{url}", "--address", "127.0.0.1:99999"],
    "both families": ["{url}", "-4", "-6"],
    "two places of a release": ["{url}", "--release-json", "a", "--release-header", "X-A"],
    "a pointer that is none": ["{url}", *R, "--release-json", ""],
    "a pattern that is none": ["{url}", *R, "--release-text", "("],
    "a pattern without a group": ["{url}", *R, "--release-text", "release"],
    "a log of any service": ["{url}", *R, "--release-json", "a", "--logs", "-"],
}
ROLLOUT_USAGE = {
    "no release": ["{url}"],
    "a release that matches none": ["{url}", "--expect-release", "unknown"],
    "no rate": ["{url}", *R, "--rate", "0"],
    "a rate that is no number": ["{url}", *R, "--rate", "nan"],
    "more in flight than can be": ["{url}", *R, "--rate", "300", "--timeout", "10"],
    "a budget below nothing": ["{url}", *R, "--max-failures", "-1"],
    "a gap of no time": ["{url}", *R, "--max-gap", "0"],
    "an option of the smoke test": ["{url}", *R, "--logs", "-"],
    "a command that is not there": ["{url}", *R, "--", "/no/such"],
    "watching on after no command": ["{url}", *R, "--after-command", "5"],
    "an output that can't be written": ["{url}", *R, "-o", "/nowhere/a.html"],
}
USAGE = [
    pytest.param([command, *arguments], id=f"{command}: {name}")
    for command, table in (("smoke-test", SMOKE_TEST_USAGE), ("rollout", ROLLOUT_USAGE))
    for name, arguments in table.items()
]


@pytest.mark.parametrize("arguments", USAGE)
def test_a_usage_error_is_2_before_any_request(service: Running, arguments: list[str]) -> None:
    before = len(service.requests)
    done = petsage(*(one.replace("{url}", service.url) for one in arguments))
    assert (done.code, done.out) == (2, "")
    assert "Error" in done.err
    assert len(service.requests) == before


@pytest.mark.parametrize(
    "name",
    [
        *("Content-Type", "content-length", "Transfer-Encoding", "Connection"),
        *("expect-release", "X-Request-ID"),
    ],
)
def test_a_header_that_the_ping_needs_can_not_be_set(service: Running, name: str) -> None:
    before = len(service.requests)
    done = petsage("smoke-test", service.url, "-H", f"{name}: mine")
    assert (done.code, len(service.requests)) == (2, before)
    assert name.lower() in done.err.lower()


FAST = {
    "PETSAGE_SMOKE_TEST_CONSECUTIVE": "2",
    "PETSAGE_SMOKE_TEST_NO_BAD_REQUESTS": "1",
    "PETSAGE_SMOKE_TEST_FORMAT": "json",
}


def test_options_come_from_the_environment_and_the_command_line_goes_first(
    service: Running,
) -> None:
    release = {"PETSAGE_SMOKE_TEST_EXPECT_RELEASE": "v44", "PETSAGE_SMOKE_TEST_WAIT": "0.3"}
    done = petsage("smoke-test", service.url, **FAST, **release)
    assert (done.code, done.report["expected_release"]) == (4, "v44")
    assert done.report["bad_requests"] == []
    over = petsage("smoke-test", service.url, *R, **FAST, **release)
    assert (over.code, over.report["streak"]["needed"]) == (0, 2)


def test_a_rollouts_options_come_from_the_environment(service: Running) -> None:
    done = petsage(
        *("rollout", service.url, "--", "sh", "-c", "exit 3"),
        PETSAGE_ROLLOUT_EXPECT_RELEASE="v43",
        PETSAGE_ROLLOUT_RATE="20",
        PETSAGE_ROLLOUT_CONSECUTIVE="2",
        PETSAGE_ROLLOUT_FORMAT="json",
        PETSAGE_SMOKE_TEST_EXPECT_RELEASE="v44",
    )
    assert (done.code, done.report["rate"], done.report["expected_release"]) == (8, 20, "v43")


def test_a_repeatable_option_has_one_value_per_line() -> None:
    with serving_at({"127.0.0.1": NEW, "127.0.0.2": NEW}) as servers:
        done = petsage(
            *("smoke-test", servers["127.0.0.1"].url),
            **FAST,
            PETSAGE_SMOKE_TEST_HEADER="Authorization: Bearer a b\nX-Team: pets and vets\n",
            PETSAGE_SMOKE_TEST_ADDRESS="127.0.0.1\n127.0.0.2",
        )
        seen = [one for server in servers.values() for one in server.requests]
    assert (done.code, len(done.report["addresses"])) == (0, 2)
    assert {one.headers["authorization"] for one in seen} == {"Bearer a b"}
    assert {one.headers["x-team"] for one in seen} == {"pets and vets"}


def test_a_variable_that_is_no_value_is_usage(service: Running) -> None:
    before = len(service.requests)
    for variables in (
        {"PETSAGE_SMOKE_TEST_WAIT": "soon"},
        {"PETSAGE_SMOKE_TEST_HEADER": "Authorization"},
    ):
        assert petsage("smoke-test", service.url, **variables).code == 2
    assert len(service.requests) == before


def test_version_and_help_have_no_variable(service: Running) -> None:
    for name in (
        *("PETSAGE_VERSION", "PETSAGE_HELP"),
        *("PETSAGE_SMOKE_TEST_VERSION", "PETSAGE_SMOKE_TEST_HELP"),
    ):
        before = len(service.requests)
        done = petsage("smoke-test", service.url, **FAST, **{name: "1"})
        assert (done.code, done.report["pings"]["sent"]) == (0, 2)
        assert len(service.requests) == before + 2


@pytest.mark.parametrize("arguments", [[], ["smoke-test"], ["rollout"]], ids=str)
def test_help_goes_to_stdout(arguments: list[str]) -> None:
    done = petsage(*arguments, "--help")
    assert (done.code, done.err) == (0, "")
    assert "Usage: " in done.out
    assert max(map(len, done.out.splitlines())) <= 100


def shell(script: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["bash", "-c", script], capture_output=True, env=environment(), cwd=ROOT, timeout=60
    )


@pytest.mark.parametrize("target", ["2> /dev/full", "2>&1 | true", "2>&-"])
def test_a_usage_error_is_2_also_where_nobody_can_be_told(target: str) -> None:
    done = shell(
        f"{shlex.join([*COMMAND, 'smoke-test', '--nope'])} {target}; exit ${{PIPESTATUS[0]}}"
    )
    assert (done.returncode, done.stderr) == (2, b"")


@pytest.mark.parametrize("target", [">&-", "> /dev/full", "| true", "2>&-", ">&- 2>&-"])
def test_a_stdout_that_takes_nothing_changes_no_verdict(service: Running, target: str) -> None:
    command = [*COMMAND, "smoke-test", service.url, "--consecutive", "1", "--no-bad-requests"]
    done = shell(f"{shlex.join(command)} {target}; exit ${{PIPESTATUS[0]}}")
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)


def test_a_closed_standard_input_is_no_log(service: Running) -> None:
    before = len(service.requests)
    done = shell(f"{shlex.join([*COMMAND, 'smoke-test', service.url, '--logs', '-'])} <&-")
    assert (done.returncode, len(service.requests)) == (2, before)


def test_bytes_that_are_no_text_are_usage() -> None:
    done = subprocess.run(
        [*COMMAND, "smoke-test", b"http://\xff\xfe.example"],
        capture_output=True,
        env=environment(),
        cwd=ROOT,
    )
    assert (done.returncode, b"Traceback" in done.stderr) == (2, False)


def test_a_secret_from_the_environment_is_in_no_argument_and_no_output(
    service: Running, tmp_path: Path
) -> None:
    shown = tmp_path / "arguments"
    done = petsage(
        *("rollout", service.url, *R, "--rate", 20, "--consecutive", 2, "--format", "json"),
        *("--", "sh", "-c", f"ps -o args= -p $PPID > {shlex.quote(str(shown))}"),
        PETSAGE_ROLLOUT_HEADER="Authorization: Bearer s3cret",
    )
    assert done.code == 0
    assert service.url in shown.read_text()
    assert "s3cret" not in shown.read_text()
    assert service.requests[-1].headers["authorization"] == "Bearer s3cret"
    assert "s3cret" not in done.out + done.err


def test_a_bound_that_is_given_holds_and_the_report_says_how_long_it_took() -> None:
    with serving(NEW) as server:
        done = smoke_test(server.url, "--expect-release", "v44", "--wait", 0.5)
    assert (done.code, done.report["elapsed_s"] >= 0.5) == (4, True)
