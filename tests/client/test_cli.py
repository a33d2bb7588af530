"""The command line: faults of usage, what is said where, colours, start-up."""

from __future__ import annotations

import errno
import io
import os
import pty
import re
import shlex
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from petsage.client.cli import INTERNAL_FAULT
from petsage.client.progress import Progress
from petsage.client.tally import Tally
from petsage.client.verdict import ExitCode, Row
from tests.client.facts import NEW
from tests.client.runs import COMMAND, ROOT, environment, petsage
from tests.client.servers import Instance, Received, Running, http, serving

PETSAGE = Instance()


@pytest.fixture(scope="module")
def service() -> Iterator[Running]:
    with serving(PETSAGE) as server:
        yield server


USAGE = {
    "no URL": [],
    "no scheme": ["app.example"],
    "another scheme": ["ftp://app.example"],
    "no host": ["http://"],
    "a port that is none": ["http://app.example:99999"],
    "credentials": ["http://user:secret@app.example"],
    "a query": ["http://app.example/?a=b"],
    "a blank in the path": ["http://app.example/a b"],
    "a line break": ["http://app.example/\r\nX: y"],
    "a line break at the end": ["{url}\r\n"],
    "a host that is none": ["http://app..example"],
    "two URLs": ["{url}", "{url}"],
    "a time for a log that is not read": ["{url}", "--logs-within", "5"],
    "an unknown option": ["{url}", "--nope"],
    "seconds that are none": ["{url}", "--wait", "soon"],
    "not a number": ["{url}", "--wait", "nan"],
    "endless": ["{url}", "--timeout", "inf"],
    "negative": ["{url}", "--interval", "-1"],
    "no time at all": ["{url}", "--timeout", "0"],
    "an empty row": ["{url}", "--consecutive", "0"],
    "no instances": ["{url}", "--instances", "0"],
    "a format that is none": ["{url}", "--format", "yaml"],
    "an output of no known format": ["{url}", "--output", "/tmp/petsage-report.pdf"],
    "an unwritable output": ["{url}", "--output", "/nowhere/at/all.json"],
    "an output that is a folder": ["{url}", "--output", "/"],
    "a missing cacert": ["{url}", "--cacert", "/nowhere/ca.pem"],
    "a cacert that is empty": ["{url}", "--cacert", ""],
    "a cacert that holds none": ["{url}", "--cacert", __file__],
    "a log that is a folder": ["{url}", "--logs", "/"],
    "a log in no folder": ["{url}", "--logs", "/nowhere/at/all.log"],
    "a header without a colon": ["{url}", "-H", "Authorization"],
    "a header with a line break": ["{url}", "-H", "X: a\r\nY: b"],
    "a header of the client's own": ["{url}", "-H", "X-Request-ID: mine"],
    "the expectation as a header": ["{url}", "-H", "Expect-Release: v43"],
    "a release with a comma": ["{url}", "--expect-release", "v43,v44"],
    "an empty release": ["{url}", "--expect-release", ""],
    "a release that matches none": ["{url}", "--expect-release", "unknown"],
}


@pytest.mark.parametrize("arguments", USAGE.values(), ids=USAGE.keys())
def test_a_fault_of_usage_is_2_before_the_first_ping(
    service: Running, arguments: list[str]
) -> None:
    before = len(service.requests)
    done = petsage("smoke-test", *(one.format(url=service.url) for one in arguments))
    assert (done.code, done.out) == (2, "")
    assert "Error" in done.err
    assert len(service.requests) == before


def test_a_closed_standard_input_is_no_log(service: Running) -> None:
    command = f"{shlex.join([*COMMAND, 'smoke-test', service.url, '--logs', '-'])} <&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, env=environment())
    assert (done.returncode, b"'--logs'" in done.stderr) == (2, True)


def test_bytes_that_are_no_text_are_a_fault_of_usage() -> None:
    done = subprocess.run(
        [*COMMAND, "smoke-test", b"http://\xff\xfe.example"], capture_output=True, env=environment()
    )
    assert (done.returncode, b"Traceback" in done.stderr) == (2, False)


@pytest.mark.parametrize("arguments", [["--help"], ["smoke-test", "--help"]], ids=" ".join)
def test_help_is_there(arguments: list[str]) -> None:
    done = petsage(*arguments)
    assert (done.code, done.err) == (0, "")
    assert "Usage: petsage" in done.out
    assert max(map(len, done.out.splitlines())) <= 96


def test_help_shows_a_line_for_each_exit_code() -> None:
    shown = petsage("--help").out
    codes = [int(code) for code in re.findall(r"^ +([0-9]+)  [a-z]", shown, re.M)]
    assert codes == sorted([*ExitCode, INTERNAL_FAULT])
    assert "\\b" not in shown


@pytest.mark.parametrize("target", ["2> /dev/full", "2>&1 | true", "2>&-"])
def test_a_fault_of_usage_is_2_also_where_nobody_can_be_told(target: str) -> None:
    script = f"{shlex.join([*COMMAND, 'smoke-test', '--nope'])} {target}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, env=environment())
    assert (done.returncode, done.stderr) == (2, b"")


@pytest.mark.parametrize("arguments", [["--help"], ["smoke-test", "--help"]], ids=" ".join)
def test_help_that_nobody_reads_to_its_end_is_no_verdict(arguments: list[str]) -> None:
    script = f"{shlex.join([*COMMAND, *arguments])} | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, env=environment())
    # 0 where true reads on for a moment.
    assert done.returncode in (0, INTERNAL_FAULT)
    assert done.stderr == b""


def test_a_fault_of_its_own_is_70_also_where_nobody_can_be_told() -> None:
    script = f"{shlex.join([*COMMAND, '--version'])} > /dev/full 2> /dev/full"
    done = subprocess.run(["sh", "-c", script], env=environment())
    assert done.returncode == INTERNAL_FAULT


def test_quiet_says_nothing_but_one_line_where_it_fails(service: Running) -> None:
    assert petsage("smoke-test", service.url, "-q").__dict__ == {"code": 0, "out": "", "err": ""}
    failed = petsage("smoke-test", service.url, "-q", "--expect-release", "v9", "--wait", 0.5)
    assert (failed.code, failed.out) == (4, "")
    assert re.fullmatch(r"petsage: other-release: .+ Look whether the deploy took.+\n", failed.err)


def test_quiet_says_the_sentence_of_the_verdict() -> None:
    def old_then_lax(request: Received, _: socket.socket) -> bytes:
        if request.body == b"{}":
            return PETSAGE.problem(request, "release-mismatch")
        return PETSAGE.pong(request, "x") if b"null" in request.body else PETSAGE(request)

    with serving(old_then_lax) as server:
        done = petsage("smoke-test", server.url, "-q")
    assert done.code == 1
    assert done.err.startswith("petsage: wrong: Refusal 'null': 422 validation-error was due;")


def test_output_holds_the_report_and_stdout_shows_it_as_text(
    service: Running, tmp_path: Path
) -> None:
    report = tmp_path / "report.xml"
    done = petsage("smoke-test", service.url, "--output", report)
    assert done.out.startswith("PASSED")
    assert report.read_text().startswith("<?xml")
    quiet = petsage("smoke-test", service.url, "--output", report, "--format", "json", "-q")
    assert (quiet.out, report.read_text()[0]) == ("", "{")


def test_an_ending_of_something_else_is_a_fault_unless_a_format_is_named(
    service: Running, tmp_path: Path
) -> None:
    report = tmp_path / "report.pdf"
    done = petsage("smoke-test", service.url, "--output", report)
    assert (done.code, report.exists()) == (2, False)
    assert ".txt .log .json .xml .md .markdown .html .htm" in " ".join(done.err.split())
    assert petsage("smoke-test", service.url, "--output", report, "--format", "json").code == 0
    assert report.read_text().startswith("{")


def test_an_unknown_ending_is_text_and_a_line_says_which_ones_are_not(
    service: Running, tmp_path: Path
) -> None:
    report = tmp_path / "tmp.XaB3kq9Lw2"
    done = petsage("smoke-test", service.url, "--output", report)
    assert (done.code, report.read_text()[:6]) == (0, "PASSED")
    assert done.err == (
        f"petsage: the report in {report} will be text; these endings mean another format: "
        ".json .xml .md .markdown .html .htm\n"
    )
    for asked in (["-q"], ["--format", "text"]):
        assert petsage("smoke-test", service.url, "--output", report, *asked).err == ""


def test_a_full_disk_changes_no_verdict(service: Running) -> None:
    done = petsage("smoke-test", service.url, "--output", "/dev/full")
    assert (done.code, os.strerror(errno.ENOSPC) in done.err) == (0, True)


@pytest.mark.parametrize("target", [">&-", "> /dev/full", "| true", "2>&-", ">&- 2>&-"])
def test_an_output_that_takes_nothing_brings_no_traceback(service: Running, target: str) -> None:
    command = f"{shlex.join([*COMMAND, 'smoke-test', service.url])} {target}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, env=environment(), timeout=30)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)


def on_a_terminal(*arguments: str, **variables: str) -> tuple[int, str]:
    """Run petsage with a terminal for stdout and stderr."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env=environment(TERM="xterm", **variables),
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 65_536)
        except OSError:  # Linux's way to say that the other side is closed
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    return process.wait(10), shown.decode()


def test_colours_are_for_terminals_alone_and_no_color_is_honoured(service: Running) -> None:
    assert "\x1b[1;32mPASSED" in on_a_terminal("smoke-test", service.url)[1]
    assert "\x1b[1;32m" not in on_a_terminal("smoke-test", service.url, NO_COLOR="1")[1]
    assert "\x1b" not in petsage("smoke-test", service.url).out


def test_progress_is_a_live_line_on_a_terminal(service: Running) -> None:
    code, shown = on_a_terminal(
        "smoke-test", service.url, "--expect-release", "v9", "--wait", "1.5"
    )
    assert code == 4
    assert "\r\x1b[K" in shown
    assert "waiting for the first right answer, v43 answers" in shown
    code, shown = on_a_terminal("smoke-test", service.url, "-q")
    assert (code, shown) == (0, "")


def test_the_live_line_says_what_answers_under_a_wrong_url() -> None:
    with serving(lambda *_: http(404, Content_Type="text/html")) as server:
        _, shown = on_a_terminal("smoke-test", server.url, "--wait", "1")
    assert "first right answer, not PetSage: 404 with text" in shown


def test_progress_is_a_plain_line_now_and_then_elsewhere() -> None:
    said, now = io.StringIO(), [0.0]
    progress = Progress(said, live=False, clock=lambda: now[0])
    tally, row = Tally("v43"), Row("v43", 20)
    for second in range(25):
        now[0] = float(second)
        progress(tally, row, "503 from something before PetSage")
    waiting = "0 pings, waiting for the first right answer, 503 from something before PetSage"
    assert said.getvalue() == f"petsage: 10 s, {waiting}\npetsage: 20 s, {waiting}\n"


def test_progress_tells_how_many_instances_stand_in_the_row() -> None:
    said, now = io.StringIO(), [0.0]
    progress = Progress(said, live=True, clock=lambda: now[0])
    row = Row(None, 2, 3)
    for _ in range(5):
        row.add(NEW)
    now[0] = 1.0
    progress(Tally(None), row, "")
    assert said.getvalue() == "\r\x1b[K1 s, 0 pings, 5 in a row (2 needed), 1 of 3 instances"


def test_what_a_server_says_can_not_colour_the_terminal() -> None:
    bad = "https://x/\x1b[31m\x07"
    with serving(lambda *_: http(301, Location=bad)) as server:
        done = petsage("smoke-test", server.url)
    assert done.code == 1
    assert "\x1b" not in done.out
    assert "https://x/?[31m?" in done.out


def test_a_prefix_and_headers_reach_the_service() -> None:
    with serving(PETSAGE) as server:
        done = petsage("smoke-test", f"{server.url}/pets/", "-H", "Authorization: Bearer abc")
        first = server.requests[0]
    assert done.code == 0
    assert first.path == "/pets/system/smoke-test"
    assert first.headers["authorization"] == "Bearer abc"
    assert len({request.request_id for request in server.requests}) == len(server.requests)
    assert len({request.body for request in server.pings}) == 3


def test_version_says_the_packages_own() -> None:
    import petsage as package

    assert petsage("--version").out == f"petsage {package.__version__}\n"


def test_python_runs_it_as_a_module_too(service: Running) -> None:
    module = [sys.executable, "-m", "petsage"]
    done = subprocess.run(
        [*module, "smoke-test", service.url, "--expect-release", "v99", "--wait", "1"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment(),
    )
    assert (done.returncode, done.stderr) == (ExitCode.OTHER_RELEASE, "")
    assert done.stdout.startswith("OTHER-RELEASE")


def elapsed(code: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=ROOT)
    return time.perf_counter() - began


@pytest.mark.alone
def test_it_starts_in_at_most_two_and_a_half_times_what_click_takes() -> None:
    version = "import sys; sys.argv = ['petsage', '--version']; from petsage.client.cli import main"
    pairs = [(elapsed(f"{version}; main()"), elapsed("import click")) for _ in range(9)]
    assert statistics.median(ours / clicks for ours, clicks in pairs) < 2.5


def test_help_and_version_load_nothing_of_the_network() -> None:
    code = (
        "import sys\n"
        "from petsage.client.cli import exit_status\n"
        "exit_status(['--version'])\n"
        "print(sorted({'ssl', 'socket', 'http', 'flask', 'importlib.metadata', 'xml'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "[]"
