"""The Procfile runs it, any WSGI server can, and a stop loses nothing (DESIGN, 2.8)."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import threading
from contextlib import ExitStack

import pytest

from tests.running import (
    PATIENCE_SECONDS,
    ROOT,
    Service,
    environment,
    eventually,
    free_port,
    gone,
    responding_worker,
    running_service,
)
from tests.wire import connected, get

pytestmark = pytest.mark.contract


def test_honcho_runs_the_procfile_and_stops_it() -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/system/ready"
    honcho = subprocess.Popen(
        ["honcho", "--no-colour", "start", "--no-prefix", "web"],
        cwd=ROOT,
        env=environment(PORT=str(port)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert eventually(lambda: responding_worker(url) or honcho.poll() is not None)
        assert honcho.poll() is None
    finally:
        honcho.send_signal(signal.SIGTERM)
        output, _ = honcho.communicate(timeout=PATIENCE_SECONDS)
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    assert "/system/ready" in {line.get("path") for line in lines}
    assert responding_worker(url) is None


def test_another_server_runs_the_app_too() -> None:
    command = "gunicorn --worker-class gthread --bind 127.0.0.1:$PORT wsgi:app"
    with running_service(command) as service, connected(service) as connection:
        assert connection.ping(b'{"ping":"a"}').json["pong"] == "a"
        assert connection.ping(b'{"ping":').problem == (400, "malformed-json")


HEAD = b"POST /system/smoke-test HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
GET = b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n"
# What each kind of hostile connection sends before it says nothing more and reads nothing.
HOSTILE = {
    "idle": b"",
    "headers without an end": GET,
    "a body without an end": HEAD + b"Content-Length: 60000\r\n\r\n ",
    "chunks without an end": HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n \r\n",
    "never closing": GET + b"Connection: close\r\n\r\n",
    "reading nothing": 50 * (GET + b"\r\n"),
    "pipelining": 20 * (HEAD + b'Content-Length: 12\r\n\r\n{"ping":"a"}'),
}


def test_every_probe_gets_its_response_while_hostile_connections_are_held(
    service: Service,
) -> None:
    with ExitStack() as held:
        for sent in HOSTILE.values():
            for _ in range(20):
                raw = held.enter_context(socket.socket())
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
                raw.connect(("127.0.0.1", service.port))
                raw.sendall(sent)
        assert [get(service, "/system/live").status for _ in range(20)] == [200] * 20


def test_a_reload_loses_no_request_and_brings_new_workers() -> None:
    with running_service(WEB_CONCURRENCY="2") as service:
        url = f"{service.url}/system/live"
        before = service.workers()
        enough = threading.Event()
        workers: list[str | None] = []

        def ask_over_and_over() -> None:
            while not enough.is_set():
                workers.append(responding_worker(url))

        clients = [threading.Thread(target=ask_over_and_over) for _ in range(4)]
        for client in clients:
            client.start()
        try:
            assert eventually(lambda: len(workers) > 20)
            service.process.send_signal(signal.SIGHUP)
            assert eventually(lambda: all(map(gone, before)))
            # Of each client one request may have been responded to before.
            later = len(workers) + len(clients)
            assert eventually(lambda: len(workers) > later + 20)
        finally:
            enough.set()
            for client in clients:
                client.join()
        assert None not in workers
        assert set(workers[:20]).isdisjoint(workers[later:])


def test_a_stop_responds_to_a_request_that_has_begun_to_arrive() -> None:
    with running_service() as service, service.connect() as raw:
        raw.sendall(HEAD + b"Content-Length: 12\r\n\r\n")
        service.process.send_signal(signal.SIGTERM)
        assert eventually(lambda: "Handling signal: term" in service.log_text())
        raw.sendall(b'{"ping":"a"}')
        assert raw.recv(65_536).startswith(b"HTTP/1.1 200 ")
        assert service.process.wait(PATIENCE_SECONDS) == 0


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_master_that_is_killed_leaves_its_port_free_and_no_worker() -> None:
    with running_service() as service:
        workers = service.workers()
        service.process.kill()
        service.process.wait()
        assert eventually(lambda: all(map(gone, workers)))
        assert not listens(service.port)
