"""How soon the service is there, how much memory it takes, and how long its client needs."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from statistics import median

from bench.contenders import OURS, UVICORN, Contender, command_of, running
from bench.figures import Figure, megabytes, memory_of, milliseconds, resident
from bench.load import load
from bench.rounds import in_turns, ratio
from bench.traffic import PING
from tests.running import environment, free_port

BIN = Path(sys.executable).parent
# What `petsage smoke-test` sends: one ping to wait for the service, the row, the refusals.
ROW = 20
MOST_SECONDS = 30.0


def _until_first_answer(contender: Contender) -> float:
    """Start a contender; return the seconds from its exec to its first 200."""
    port = free_port()
    began = time.perf_counter()
    process = subprocess.Popen(
        ["sh", "-c", f"exec {command_of(contender, logs=True)}"],
        env=environment(PORT=str(port)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while time.perf_counter() - began < MOST_SECONDS:
            if _is_there(port):
                return time.perf_counter() - began
            time.sleep(0.005)
        raise AssertionError(f"{contender.name} did not come up")
    finally:
        process.terminate()
        process.wait(MOST_SECONDS)


def _is_there(port: int) -> bool:
    head = f"POST /system/smoke-test HTTP/1.1\r\nHost: a\r\nContent-Length: {len(PING)}\r\n"
    request = f"{head}Content-Type: application/json\r\nConnection: close\r\n\r\n".encode() + PING
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=MOST_SECONDS) as connection:
            connection.sendall(request)
            return connection.recv(12) == b"HTTP/1.1 200"
    except OSError:
        return False


def cold_start(rounds: int) -> list[Figure]:
    """Return the time from exec to the first 200."""
    seen = in_turns(
        rounds, {one.name: partial(_until_first_answer, one) for one in (OURS, UVICORN)}
    )
    ours, theirs = seen.values()
    return [
        Figure(
            f"cold start, exec to the first 200, against {UVICORN.name}",
            ratio(ours, theirs) <= 1.0,
            f"{ratio(ours, theirs):.2f} times ({milliseconds(median(ours))} to"
            f" {milliseconds(median(theirs))})",
            "at most 1.0",
            raw={name: list(seconds) for name, seconds in seen.items()},
        )
    ]


def memory(_rounds: int) -> list[Figure]:
    """Return the resident memory of a worker after load, and of all processes."""
    workers, whole = {}, {}
    for contender in (OURS, UVICORN):
        with running(contender, logs=True) as service:
            load(service, seconds=2, connections=64)
            sizes = memory_of(service)
            workers[contender.name] = max(sizes or [resident(service.process.pid)])
            whole[contender.name] = sum(sizes) + resident(service.process.pid)
    ours, theirs = workers.values()
    return [
        Figure(
            f"memory of a worker, against {UVICORN.name}",
            ours <= theirs,
            f"{ours / theirs:.2f} times ({megabytes(ours)} to {megabytes(theirs)}; with the"
            f" master, pages that both share counted twice: {megabytes(whole[OURS.name])})",
            "at most 1.0",
            raw={"worker": workers, "all processes": whole},
        )
    ]


def client(rounds: int) -> list[Figure]:
    """Return how long the whole process of `petsage smoke-test` takes, against curl's."""
    with running(OURS, logs=True) as service:
        petsage = [str(BIN / "petsage"), "smoke-test", service.url, "--consecutive", str(ROW)]
        before = len(service.log_records())
        _seconds_of(petsage)
        requests = sum("status" in record for record in service.log_records()[before:])
        # As many requests, each on a connection of its own too, in one process.
        curl = [
            *("curl", "--silent", "--fail", "--header", "Connection: close"),
            *("--json", PING.decode()),
            *[f"{service.url}/system/smoke-test"] * requests,
        ]
        seen = in_turns(
            rounds,
            {"petsage": partial(_seconds_of, petsage), "curl": partial(_seconds_of, curl)},
        )
    ours, curls = (median(seconds) for seconds in seen.values())
    return [
        Figure(
            f"`petsage smoke-test`, {requests} requests with the bad requests, process included",
            ours < 0.5,
            f"{milliseconds(ours)}; one curl that sends as many pings: {milliseconds(curls)}",
            "under 500 ms",
            raw={name: list(seconds) for name, seconds in seen.items()},
        )
    ]


def _seconds_of(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, timeout=MOST_SECONDS)
    return time.perf_counter() - began
