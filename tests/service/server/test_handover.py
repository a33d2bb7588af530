"""backlog: sockets that are handed over serve on when one of those that hold them stops."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from petsage.server.backlog import accept_new_connections, refuse_new_connections
from tests.running import ROOT, environment, running_service, until_gone

CONFIG = "python:petsage.server.gunicorn_conf"


def asked(port: int) -> tuple[int, str]:
    """Return the status of an answer, and the worker that gave it."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/system/live", timeout=5) as answer:
        return answer.status, answer.headers["PetSage-Worker"]


def live(port: int) -> int:
    return asked(port)[0]


def await_workers(port: int, number: int) -> None:
    """Wait until so many workers have answered.

    One that is being forked loses a SIGTERM (gunicorn), and is killed only when time is up.
    """
    seen: set[str] = set()
    ends = time.monotonic() + 20
    while len(seen) < number:
        assert time.monotonic() < ends, seen
        seen.add(asked(port)[1])


def successor_of(master: int) -> int:
    """Return the gunicorn that a SIGUSR2 has started, once it has workers."""
    for _ in range(300):
        children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        for pid in children:
            has_workers = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            if f"GUNICORN_PID={master}" in Path(f"/proc/{pid}/environ").read_text() and has_workers:
                return int(pid)
        time.sleep(0.05)
    raise AssertionError("no second gunicorn came up")


@pytest.mark.parametrize("stopped", ["the old one", "the new one"])
def test_after_an_upgrade_by_sigusr2_the_gunicorn_that_stays_serves_on(stopped: str) -> None:
    with running_service(WEB_CONCURRENCY="2") as service:
        service.process.send_signal(signal.SIGUSR2)
        new = successor_of(service.process.pid)
        await_workers(service.port, 4)
        if stopped == "the old one":
            assert service.stop() == 0
        else:
            os.kill(new, signal.SIGTERM)
            assert until_gone(new)
        assert [live(service.port) for _ in range(4)] == [200] * 4


@contextmanager
def activated(listener: socket.socket) -> Iterator[None]:
    """Run the service on a socket of somebody else's, as systemd does."""
    run = (
        f"import os; os.dup2({listener.fileno()}, 3); os.environ['LISTEN_PID'] = str(os.getpid());"
        f" os.execvp('gunicorn', ['gunicorn', '--config', {CONFIG!r}, 'wsgi:app'])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", run],
        env=environment(LISTEN_FDS="1"),
        pass_fds=(listener.fileno(),),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
        process.terminate()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


def test_a_socket_of_systemd_s_serves_again_after_a_stop() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        for _ in range(2):
            with activated(listener):
                # It waits in the queue until there is a worker.
                assert live(listener.getsockname()[1]) == 200
            # systemd hears of it, and starts the service again.
            socket.create_connection(listener.getsockname(), timeout=0.5).close()


def test_a_listener_that_was_stopped_can_be_used_again() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        refuse_new_connections(listener)
        accept_new_connections(listener)
        socket.create_connection(listener.getsockname(), timeout=5).close()
