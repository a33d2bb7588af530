"""Where the report goes and what it is: formats, files, pipes, terminals, `-q`."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.client.fleets import NEW, OLD, switching
from tests.client.runs import checked, done, petsage, start
from tests.client.servers import Running, constant, serving

pytestmark = pytest.mark.contract

R = ("--expect-release", "v43")
FAST = ("--consecutive", 2, "--no-bad-requests")
ROLLOUT = ("--rate", 25, "--consecutive", 2)


def test_both_commands_report_in_each_format(service: Running, tmp_path: Path) -> None:
    for command, options in (("smoke-test", FAST), ("rollout", ROLLOUT)):
        said = {
            name: petsage(command, service.url, *R, *options, "--format", name)
            for name in ("text", "json", "junit", "markdown", "html")
        }
        assert {one.code for one in said.values()} == {0}
        report = checked(said["json"].out)
        assert report["schema"] == f"petsage.{command}/2"
        suite = ElementTree.fromstring(said["junit"].out)
        assert suite.tag in ("testsuite", "testsuites")
        assert not suite.findall(".//failure")
        assert said["html"].out.lower().startswith("<!doctype html>")
        assert (
            re.search(r"<(script|link|img)\b|https?://(?!127\.0\.0\.1)", said["html"].out) is None
        )
        assert said["markdown"].out.startswith("#")
        for name in ("text", "markdown", "html"):
            assert report["headline"].rstrip(".") in said[name].out, name


def test_a_failure_says_what_next_in_each_format_and_a_hostile_name_is_text() -> None:
    hostile = "</script><b>[red]|`*&\"'"
    with serving(OLD.named(release=hostile, ignores_expect=True)) as server:
        said = {
            name: petsage("smoke-test", server.url, *R, "--wait", 0.3, "--format", name)
            for name in ("text", "json", "junit", "markdown", "html")
        }
    assert {run.code for run in said.values()} == {4}
    report = checked(said["json"].out)
    assert hostile in report["releases"]
    first_words = " ".join(report["what_next"].split()[:4])
    for name in ("text", "junit", "markdown", "html"):
        assert first_words in " ".join(said[name].out.split()), name
    assert ElementTree.fromstring(said["junit"].out).findall(".//failure")
    assert "<b>[red]" not in said["html"].out + said["markdown"].out


def test_the_ending_of_the_output_says_the_format(service: Running, tmp_path: Path) -> None:
    for ending, begins in (
        *((".json", "{"), (".xml", "<?xml"), (".md", "#"), (".html", "<!")),
        *((".txt", "PASSED"), ("", "PASSED")),
    ):
        path = tmp_path / f"report{ending}"
        run = petsage("smoke-test", service.url, *FAST, "-o", path)
        assert run.code == 0
        assert path.read_text().startswith(begins)
        # stdout shows it as text.
        assert run.out.startswith("PASSED")
    chosen = tmp_path / "report.xml"
    run = petsage("smoke-test", service.url, *FAST, "--output", chosen, "--format", "json", "-q")
    assert (run.code, run.out, checked(chosen.read_text())["exit_code"]) == (0, "", 0)


def test_a_full_disk_changes_no_verdict(service: Running) -> None:
    run = petsage("smoke-test", service.url, *FAST, "-o", "/dev/full")
    assert (run.code, "/dev/full" in run.err, run.out[:6]) == (0, True, "PASSED")


@pytest.mark.parametrize("command", ["smoke-test", "rollout"])
def test_a_fifo_is_written_once(service: Running, tmp_path: Path, command: str) -> None:
    fifo = tmp_path / "report"
    os.mkfifo(fifo)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(fifo.read_text()), daemon=True)
    reader.start()
    options = FAST if command == "smoke-test" else ROLLOUT
    run = petsage(command, service.url, *R, *options, "-o", fifo, "--format", "json")
    reader.join(20)
    assert run.code == 0
    assert checked("".join(read))["exit_code"] == 0


def test_a_fifo_that_nobody_reads_can_be_interrupted(service: Running, tmp_path: Path) -> None:
    fifo = tmp_path / "report"
    os.mkfifo(fifo)
    before = len(service.requests)
    process = start("smoke-test", service.url, *FAST, "-o", fifo)
    # The last ping has been sent; the report is next.
    waited = threading.Event()
    for _ in range(3_000):
        if len(service.requests) >= before + 2:
            break
        waited.wait(0.02)
    waited.wait(0.2)
    process.send_signal(signal.SIGINT)
    assert done(process, within=20).code in (0, 130)


def test_quiet_writes_nothing_but_one_line_where_it_fails(service: Running) -> None:
    passed = petsage("smoke-test", service.url, *FAST, "-q")
    assert (passed.code, passed.out, passed.err) == (0, "", "")
    failed = petsage("smoke-test", service.url, "-q", "--expect-release", "v9", "--wait", 0.3)
    assert (failed.code, failed.out, failed.err.count("\n")) == (4, "", 1)
    assert "old" in failed.err
    with serving(OLD) as server:
        watched = petsage("rollout", server.url, *R, "-q", "--rate", 20, "--deadline", 0.5)
    assert (watched.code, watched.out, watched.err.count("\n")) == (4, "", 1)


def test_results_go_to_stdout_and_nothing_to_stderr(service: Running) -> None:
    run = petsage("smoke-test", service.url, *FAST)
    assert (run.err, "\x1b" in run.out) == ("", False)


def test_the_report_names_what_it_found(service: Running) -> None:
    with serving(switching(3)) as server:
        report = checked(petsage("rollout", server.url, *R, *ROLLOUT, "--format", "json").out)
        assert (report["url"], report["expected_release"]) == (server.url, "v43")
    assert report["instances"].keys() == {"web.1"}
    assert report["workers"].keys() == {"w0", "w1"}
    assert report["proxy"] is None
    assert list(report["addresses"]) == [server.address]
    assert report["current"]["releases"].keys() == {"v43"}
    assert report["elapsed_s"] > 0


def test_what_a_server_says_can_not_colour_the_terminal() -> None:
    with serving(constant(301, Location="https://x/\x1b[31m\x07")) as server:
        run = petsage("smoke-test", server.url, "--wait", 0.3)
    assert run.code == 9
    assert re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", run.out + run.err) is None


def test_json_on_stdout_is_one_document(service: Running) -> None:
    run = petsage("smoke-test", service.url, *FAST, "--format", "json")
    assert json.loads(run.out)["schema"] == "petsage.smoke-test/2"
    assert NEW.release in json.loads(run.out)["releases"]
