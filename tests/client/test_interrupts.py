"""SIGINT and SIGTERM, in every phase: 130, with the report of what was seen."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.client.runs import COMMAND, ROOT, environment
from tests.client.servers import Fleet, Instance, Running, http, is_ping, serving, silent
from tests.running import free_port

PETSAGE = Instance()
SIGNALS = pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"]
)
# A resolver that never comes back; an address needs none, and is asked for with flags.
DEAF = (
    "import socket, time\n"
    "def deaf(*_, flags=0, **__):\n"
    "    if flags: raise socket.gaierror(-2, 'no address')\n"
    "    time.sleep(60)\n"
    "socket.getaddrinfo = deaf\n"
    "from petsage.client.cli import main; main()"
)


def started(url: str, *arguments: object, code: str | None = None) -> subprocess.Popen[bytes]:
    command = [COMMAND[0], "-c", code] if code else COMMAND
    return subprocess.Popen(
        [*command, "smoke-test", url, "--format", "json", *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        cwd=ROOT,
    )


def interrupted(process: subprocess.Popen[bytes], number: signal.Signals) -> dict[str, object]:
    process.send_signal(number)
    began = time.monotonic()
    out, err = process.communicate(timeout=10)
    assert time.monotonic() - began < 3
    assert b"Traceback" not in err
    report: dict[str, object] = json.loads(out)
    assert (process.returncode, report["exit_code"], report["verdict"]) == (130, 130, "interrupted")
    assert report["problems"] == [f"Interrupted by {number.name}."]
    return report


def wait_for(server: Running, requests: int) -> None:
    for _ in range(500):
        if len(server.requests) >= requests:
            return
        time.sleep(0.02)
    raise AssertionError("the requests did not come")


@SIGNALS
def test_while_it_waits_for_a_service_that_is_not_there(number: signal.Signals) -> None:
    process = started(f"http://127.0.0.1:{free_port()}")
    time.sleep(1)
    report = interrupted(process, number)
    assert report["pings"] != {"sent": 0, "ok": 0, "failed": {}}


@SIGNALS
def test_while_a_ping_hangs(number: signal.Signals) -> None:
    with serving(silent) as server:
        process = started(server.url)
        wait_for(server, 1)
        interrupted(process, number)


@SIGNALS
def test_while_a_name_is_looked_up(number: signal.Signals) -> None:
    process = started("http://app.example", code=DEAF)
    time.sleep(1)
    interrupted(process, number)


def test_while_tls_shakes_hands() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = started(f"https://127.0.0.1:{listener.getsockname()[1]}")
        connection, _ = listener.accept()
        with connection:
            connection.recv(1)
            time.sleep(0.2)
            interrupted(process, signal.SIGTERM)


@SIGNALS
def test_in_the_middle_of_the_row(number: signal.Signals) -> None:
    with serving(PETSAGE) as server:
        process = started(server.url, "--consecutive", 10_000)
        wait_for(server, 50)
        report = interrupted(process, number)
    assert report["releases"]
    assert report["row"]["reached"] > 40  # type: ignore[index]


def test_while_it_heeds_a_retry_after() -> None:
    with serving(lambda *_: http(503, Retry_After="100")) as server:
        process = started(server.url)
        wait_for(server, 1)
        time.sleep(0.3)
        interrupted(process, signal.SIGTERM)


@SIGNALS
def test_while_a_refusal_hangs(number: signal.Signals) -> None:
    with serving(lambda *a: PETSAGE(*a) if is_ping(a[0]) else silent(*a)) as server:
        process = started(server.url)
        wait_for(server, 4)
        interrupted(process, number)


@SIGNALS
def test_while_it_waits_for_the_log_line(number: signal.Signals, tmp_path: Path) -> None:
    with serving(PETSAGE) as server:
        process = started(server.url, "--no-refusals", "--logs", tmp_path / "none.log")
        wait_for(server, 3)
        time.sleep(0.5)
        interrupted(process, number)


def test_a_signal_at_any_moment_leaves_a_verdict() -> None:
    # The moments are spread over the whole life of a run, its start and its end included.
    with serving(Fleet(lambda _: PETSAGE)) as server:
        for moment in range(14):
            process = started(server.url, "--consecutive", 20)
            timer = threading.Timer(0.2 + moment / 40, process.send_signal, (signal.SIGTERM,))
            timer.start()
            out, err = process.communicate(timeout=10)
            timer.cancel()
            assert b"Traceback" not in err
            # Before the command has begun there is nothing to report, and the signal just ends it.
            assert process.returncode in (0, 130, -signal.SIGTERM)
            if process.returncode >= 0:
                assert json.loads(out)["exit_code"] == process.returncode
