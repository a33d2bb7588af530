"""`petsage rollout` and the signals that end it: the command's end, the whole report."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.fleets import OLD, hangs
from tests.client.runs import COMMAND, ROOT, environment
from tests.client.servers import Fleet, Running, serving
from tests.running import until_gone


@pytest.fixture(autouse=True)
def _hearing_a_hangup() -> Iterator[None]:
    """Under nohup, petsage would inherit that a hangup is ignored, and keep to it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def test_after_a_failed_command_ctrl_c_is_130_and_the_report_names_both(
    service: Running, tmp_path: Path
) -> None:
    ended = Path(tmp_path, "ended")
    process = started(service.url, "--", "sh", "-c", f"echo yes > {ended}; exit 3")
    await_file(ended)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=15)
    problems = json.loads(out)["problems"]
    assert (process.returncode, problems[0]) == (130, "Interrupted by SIGINT.")
    assert "'sh' failed with exit code 3" in problems[1]


def started(url: str, *arguments: object) -> subprocess.Popen[bytes]:
    command = [*COMMAND, "rollout", url, "--expect-release", "v44", "--format", "json"]
    return subprocess.Popen(
        [*command, "--rate", "50", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        cwd=ROOT,
    )


def await_file(path: Path) -> str:
    for _ in range(200):
        if path.exists() and path.read_text().endswith("\n"):
            return path.read_text()
        time.sleep(0.05)
    raise AssertionError(f"{path} did not come")


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.mark.parametrize("number", SIGNALS, ids=[one.name for one in SIGNALS])
def test_a_signal_goes_on_to_the_command_and_leaves_the_whole_report(
    service: Running, tmp_path: Path, number: signal.Signals
) -> None:
    told, pids = Path(tmp_path, "told"), Path(tmp_path, "pids")
    # A shell starts what runs behind it with SIGINT ignored; a killed group spares nobody.
    script = (
        f"trap 'echo {number.name} > {told}; exit 1' {number.name[3:]};"
        f"sleep 60 & echo $! $$ > {pids}; wait"
    )
    process = started(service.url, "--", "sh", "-c", script)
    left = await_file(pids).split()
    process.send_signal(number)
    out, err = process.communicate(timeout=15)
    report = json.loads(out)
    assert (process.returncode, report["exit_code"]) == (130, 130)
    assert report["problems"] == [f"Interrupted by {number.name}."]
    assert report["pings"]["ok"] > 20
    assert (told.read_text(), b"Traceback" in err) == (f"{number.name}\n", False)
    assert all(until_gone(int(pid)) for pid in left)


def test_a_second_ctrl_c_kills_the_command_at_once_and_the_report_is_still_written(
    service: Running, tmp_path: Path
) -> None:
    pids, output = Path(tmp_path, "pids"), Path(tmp_path, "report.json")
    output.write_text("the report of an older run")
    script = f"trap '' INT TERM; echo $$ > {pids}; sleep 60; sleep 60"
    process = started(service.url, "--output", output, "--", "sh", "-c", script)
    pid = int(await_file(pids))
    process.send_signal(signal.SIGINT)
    time.sleep(1)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=5)
    report = json.loads(output.read_text())
    assert (process.returncode, report["exit_code"]) == (130, 130)
    assert b"INTERRUPTED" in out
    assert report["command"]["exit_code"] == 137
    assert "stopped half-way" in report["what_next"]
    assert until_gone(pid)


def test_a_third_ctrl_c_ends_it_though_nobody_takes_the_report(service: Running) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x")
    except BlockingIOError:
        os.set_blocking(writer, True)
    process = subprocess.Popen(
        [*COMMAND, "rollout", service.url, "--expect-release", "v44"],
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=subprocess.DEVNULL,
        env=environment(),
        cwd=ROOT,
    )
    time.sleep(1.5)
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.7)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(5) == 130
    os.close(reader)
    os.close(writer)


def test_pings_that_hang_when_a_run_is_interrupted_are_no_sign_of_the_old_release() -> None:
    with serving(Fleet(lambda number: OLD if number < 20 else hangs)) as server:
        process = started(server.url, "--timeout", 10)
        time.sleep(4)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=15)
    now = json.loads(out)["now"]
    assert (now["answers"], now["releases"]) == (None, {})


def test_one_ping_that_hangs_hides_none_of_the_answers_after_it() -> None:
    with serving(Fleet(lambda number: hangs if number == 20 else OLD)) as server:
        process = started(server.url, "--timeout", 30)
        time.sleep(3)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=15)
    now = json.loads(out)["now"]
    assert (now["answers"], now["releases"]) == ("v42", {"v42": 20})


def test_pings_that_hang_do_not_hold_up_the_end_of_an_interrupted_run() -> None:
    with serving(hangs) as server:
        process = started(server.url)
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        out, _ = process.communicate(timeout=15)
        assert time.monotonic() - began < 3
    report = json.loads(out)
    assert report["verdict"] == "interrupted"
    assert "had not come to an end" in report["warnings"][0]
