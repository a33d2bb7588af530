"""A signal ends a run at any moment: 130, with the report of what was seen."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.client.contract.names import Names
from tests.client.fleets import NEW, OLD, hangs
from tests.client.runs import COMMAND, ROOT, checked, environment, start
from tests.client.servers import Fleet, Running, constant, is_ping, serving, silent
from tests.running import free_port, until_gone

pytestmark = pytest.mark.contract

SIGNALS = pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda one: one.name
)


@pytest.fixture(autouse=True)
def _hangups_are_heard() -> Iterator[None]:
    """Under nohup, petsage would inherit that a hangup is ignored, and keep to it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def until(met: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not met():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def interrupted(process: subprocess.Popen[bytes], number: signal.Signals) -> dict[str, Any]:
    """Send the signal and return the report that it leaves, soon."""
    process.send_signal(number)
    try:
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert b"Traceback" not in err
    assert out, (process.returncode, err)
    report = checked(out.decode())
    assert (process.returncode, report["exit_code"]) == (130, 130)
    assert number.name in json.dumps(report["problems"])
    return report


def smoke_test(url: str, *more: object, **variables: str) -> subprocess.Popen[bytes]:
    return start("smoke-test", url, "--format", "json", *more, **variables)


def rollout(url: str, *more: object) -> subprocess.Popen[bytes]:
    """Start a rollout that waits for a release which never comes."""
    asked = ("--expect-release", "v44", "--rate", 25, "--format", "json")
    return start("rollout", url, *asked, *more)


@SIGNALS
def test_in_the_middle_of_the_streak(service: Running, number: signal.Signals) -> None:
    before = len(service.requests)
    process = smoke_test(service.url, "--consecutive", 100_000)
    until(lambda: len(service.requests) >= before + 50)
    report = interrupted(process, number)
    assert report["streak"]["reached"] > 40
    assert report["releases"]["v43"]["count"] > 40


def test_while_nothing_listens_and_a_retry_is_waited_for() -> None:
    process = smoke_test(f"http://127.0.0.1:{free_port()}", "--wait", 600)
    time.sleep(0.7)
    interrupted(process, signal.SIGTERM)


def test_while_a_ping_hangs() -> None:
    with serving(silent) as server:
        process = smoke_test(server.url, "--timeout", 600)
        until(lambda: server.requests)
        interrupted(process, signal.SIGINT)


def test_while_a_name_is_looked_up(names: Names) -> None:
    # A FIFO that nobody writes to: the resolver never comes back.
    hosts = Path(names.environment["TEST_HOSTS"])
    hosts.unlink()
    os.mkfifo(hosts)
    process = smoke_test("http://pets.example", "--timeout", 600, **names.environment)
    with hosts.open("w"):
        # Opened: the lookup has begun.
        interrupted(process, signal.SIGINT)


def test_while_tls_shakes_hands() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = smoke_test(f"https://127.0.0.1:{listener.getsockname()[1]}", "--timeout", 600)
        connection, _ = listener.accept()
        with connection:
            connection.recv(1)
            interrupted(process, signal.SIGTERM)


def test_while_a_retry_after_is_honoured() -> None:
    with serving(constant(503, Retry_After="100")) as server:
        process = smoke_test(server.url)
        until(lambda: server.requests)
        interrupted(process, signal.SIGTERM)


def test_while_a_bad_request_hangs() -> None:
    with serving(lambda *a: NEW(*a) if is_ping(a[0]) else silent(*a)) as server:
        process = smoke_test(server.url, "--timeout", 600)
        until(lambda: len(server.requests) > 3)
        interrupted(process, signal.SIGINT)


def test_while_a_log_line_is_waited_for(service: Running, tmp_path: Path) -> None:
    before = len(service.requests)
    more = ("--no-bad-requests", "--logs-within", 600, "--logs", tmp_path / "none.log")
    process = smoke_test(service.url, *more)
    until(lambda: len(service.requests) >= before + 3)
    interrupted(process, signal.SIGINT)


def test_at_any_moment_of_a_run(service: Running) -> None:
    # The moments are spread over the whole life of a run, its start and its end included.
    for moment in range(8):
        process = smoke_test(service.url, "--consecutive", 10)
        timer = threading.Timer(0.05 + moment / 15, process.send_signal, (signal.SIGTERM,))
        timer.start()
        out, err = process.communicate(timeout=60)
        timer.cancel()
        assert b"Traceback" not in err
        # Before the command has begun and after its report, the signal just ends the process.
        assert process.returncode in (0, 130, -signal.SIGTERM)
        if out and process.returncode >= 0:
            assert checked(out.decode())["exit_code"] == process.returncode


@SIGNALS
def test_a_signal_goes_on_to_the_command_of_a_rollout(
    service: Running, tmp_path: Path, number: signal.Signals
) -> None:
    told, pids = tmp_path / "told", tmp_path / "pids"
    # A shell starts what runs behind it with SIGINT ignored; a killed group spares nobody.
    script = (
        f"trap 'echo {number.name} > {told}; exit 1' {number.name[3:]};"
        f"sleep 60 & echo $! $$ > {pids}.new; mv {pids}.new {pids}; wait"
    )
    process = rollout(service.url, "--", "sh", "-c", script)
    until(pids.exists)
    report = interrupted(process, number)
    assert (told.read_text(), report["pings"]["ok"] > 10) == (f"{number.name}\n", True)
    assert report["command"]["started"]
    assert all(until_gone(int(pid)) for pid in pids.read_text().split())


def test_interrupted_goes_before_a_command_that_failed(service: Running, tmp_path: Path) -> None:
    ended = tmp_path / "ended"
    process = rollout(service.url, "--", "sh", "-c", f"touch {ended}; exit 3")
    until(ended.exists)
    before = len(service.requests)
    # Two rounds of a slow machine later the end of the command has been noticed.
    until(lambda: len(service.requests) > before + 20)
    report = interrupted(process, signal.SIGINT)
    assert report["command"]["exit_code"] == 3


def test_a_second_signal_kills_the_command_at_once(service: Running, tmp_path: Path) -> None:
    pids, output = tmp_path / "pids", tmp_path / "report.json"
    output.write_text("the report of an older run")
    script = (
        f"trap 'touch {pids}.heard' INT; trap '' TERM; echo $$ > {pids}.new; mv {pids}.new {pids};"
        "while :; do sleep 0.1; done"
    )
    process = rollout(service.url, "-o", output, "--", "sh", "-c", script)
    until(pids.exists)
    process.send_signal(signal.SIGINT)
    until(Path(f"{pids}.heard").exists)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    report = checked(output.read_text())
    assert (process.returncode, report["command"]["exit_code"]) == (130, 137)
    assert until_gone(int(pids.read_text()))


def test_a_third_signal_ends_it_though_nobody_takes_the_report(
    service: Running, tmp_path: Path
) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 4_096)
    os.set_blocking(writer, True)
    before = len(service.requests)
    process = subprocess.Popen(
        [*COMMAND, "rollout", service.url, "--expect-release", "v44"],
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=subprocess.DEVNULL,
        env=environment(),
        cwd=ROOT,
    )
    until(lambda: len(service.requests) > before + 2)
    # How many it takes depends on how far the report has got; it never takes more than these.
    for _ in range(3):
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
    assert process.wait(20) == 130
    os.close(reader)
    os.close(writer)


def test_pings_that_hang_do_not_hold_up_the_end_of_an_interrupted_rollout() -> None:
    with serving(Fleet(lambda number: OLD if number < 3 else hangs)) as server:
        process = rollout(server.url, "--timeout", 30)
        until(lambda: len(server.requests) > 10)
        interrupted(process, signal.SIGINT)
