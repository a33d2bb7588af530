"""The worker under gunicorn: how it boots, reloads, stops, dies, and what it writes meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from bench.traffic import Tally, exchange, for_seconds, get, post, steady
from tests.running import (
    ROOT,
    Service,
    environment,
    free_port,
    gone,
    run_coroutine,
    running_service,
)
from tests.server.wire import Client

pytestmark = pytest.mark.contract

CONFIG = "gunicorn --config python:petsage.server.gunicorn_conf"
SLOW = f"{CONFIG} tests.server.apps:slow"
PRINTS = f"{CONFIG} tests.server.apps:prints"
GET = b"GET /system/live HTTP/1.1\r\nHost: a\r\n\r\n"


# Nothing here takes nearly so long. It is for machines that are slow and busy.
PATIENCE = 60.0


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until `condition` holds; fail where that takes too long."""
    ends = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.01)


def port_is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("0.0.0.0", port))
            listener.listen()
        except OSError:
            return False
        return True


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


# Heroku sends SIGTERM to every process of a dyno, other platforms to the first alone.
@pytest.mark.parametrize(("send", "workers"), [(os.kill, "1"), (os.killpg, "2")])
def test_sigterm_under_new_connections_loses_none(
    send: Callable[[int, int], None], workers: str
) -> None:
    async def scenario(service: Service) -> tuple[Tally, Tally]:
        in_flight = Tally()
        waiting = asyncio.create_task(in_flight.note(exchange(service.port, get("/1.0"))))
        ended = asyncio.Event()
        load = asyncio.create_task(steady(service.port, 100, ended.is_set, get("/")))
        await asyncio.sleep(0.5)
        send(service.process.pid, signal.SIGTERM)
        await waiting
        await asyncio.to_thread(service.process.wait, PATIENCE)
        ended.set()
        return in_flight, await load

    with running_service(SLOW, WEB_CONCURRENCY=workers) as service:
        in_flight, load = run_coroutine(scenario(service))
    assert in_flight.outcomes == {"200": 1}
    assert load.lost == 0, load.outcomes
    assert {"200", "refused"} == set(load.outcomes)
    assert service.process.returncode == 0


def test_sigterm_while_a_worker_boots_is_not_lost() -> None:
    with running_service(SLOW, WEB_CONCURRENCY="2") as service:
        service.process.send_signal(signal.SIGHUP)
        old = set(service.workers())
        wait_for(lambda: set(service.workers()) - old)
        assert service.stop() == 0


def test_idle_connections_may_be_used_once_more_after_sigterm() -> None:
    with running_service() as service, ExitStack() as stack:
        clients = [stack.enter_context(Client(service.port)) for _ in range(20)]
        for client in clients:
            client.send(GET)
            assert client.response().status == 200
        service.process.send_signal(signal.SIGTERM)
        for client in clients[1:]:
            client.send(GET)
            assert client.response().status == 200
        # This one is not used again.
        assert clients[0].rest() == b""
        assert service.process.wait(PATIENCE) == 0


def test_an_upload_under_way_at_sigterm_is_finished() -> None:
    with running_service() as service, Client(service.port) as client:
        client.send(
            b"POST /system/smoke-test HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            b'Content-Length: 12\r\n\r\n{"ping":'
        )
        time.sleep(0.2)
        service.process.send_signal(signal.SIGTERM)
        wait_for(lambda: "Stopping. Connections: 1." in service.log_text())
        # Longer than an idle connection has.
        time.sleep(3)
        client.send(b'"a"}')
        response = client.response()
        assert (response.status, response.headers["Connection"]) == (200, "close")
        assert service.process.wait(PATIENCE) == 0


def test_sigterm_ends_whatever_clients_do() -> None:
    with running_service() as service, ExitStack() as stack:
        for sent in (
            b"",
            GET[:-2] + b"Connection: close\r\n\r\n",
            GET.replace(b"system/live", b"openapi.json") * 200,
        ):
            for _ in range(5):
                stack.enter_context(Client(service.port)).send(sent)
        time.sleep(0.3)
        assert service.stop(PATIENCE) == 0


@pytest.mark.parametrize(
    ("number", "arguments"),
    [(signal.SIGINT, ""), (signal.SIGQUIT, ""), (signal.SIGTERM, "--graceful-timeout 1")],
)
def test_a_view_that_hangs_holds_up_no_end(number: signal.Signals, arguments: str) -> None:
    with (
        running_service(SLOW, GUNICORN_CMD_ARGS=arguments) as service,
        Client(service.port) as client,
    ):
        client.send(GET.replace(b"/system/live", b"/3600"))
        time.sleep(0.1)
        service.process.send_signal(number)
        service.process.wait(PATIENCE)


def test_sighup_under_load_loses_none_and_brings_new_workers() -> None:
    async def scenario(service: Service) -> Tally:
        done = asyncio.Event()
        load = asyncio.create_task(steady(service.port, 50, done.is_set, post()))
        for _ in range(2):
            await asyncio.sleep(0.3)
            before = set(service.workers())
            service.process.send_signal(signal.SIGHUP)
            await asyncio.to_thread(wait_for, lambda: not before & set(service.workers()))  # noqa: B023
        done.set()
        return await load

    with running_service() as service:
        tally = run_coroutine(scenario(service))
    assert set(tally.outcomes) == {"200"}


def test_a_worker_that_is_killed_is_replaced_and_nothing_queued_is_lost() -> None:
    with running_service() as service:
        (worker,) = service.workers()
        os.kill(worker, signal.SIGKILL)
        wait_for(lambda: gone(worker))
        with Client(service.port) as client:
            client.send(GET)
            assert client.response().status == 200
        assert worker not in service.workers()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_master_that_is_killed_takes_its_workers_along(workers: str) -> None:
    with running_service(WEB_CONCURRENCY=workers) as service, Client(service.port) as client:
        client.send(GET)
        assert client.response().status == 200
        pids = service.workers()
        service.process.kill()
        service.process.wait()
        wait_for(lambda: port_is_free(service.port))
        wait_for(lambda: all(gone(pid) for pid in pids))


def test_more_connections_than_the_worker_admits_shut_out_no_probe() -> None:
    arguments = "--worker-connections 50"
    with running_service(GUNICORN_CMD_ARGS=arguments) as service, ExitStack() as stack:
        for number in range(200):
            stack.enter_context(Client(service.port))
            if number % 50 == 49:
                with Client(service.port) as probe:
                    probe.send(GET)
                    assert probe.response().status == 200


def test_connections_leave_no_descriptor_behind() -> None:
    with running_service() as service:
        (worker,) = service.workers()
        run_coroutine(exchange(service.port, post()))
        before = open_files(worker)
        for _ in range(3):
            with ExitStack() as stack:
                for _ in range(100):
                    stack.enter_context(Client(service.port)).send(b"GET")
        wait_for(lambda: open_files(worker) <= before)


def test_the_worker_sees_to_its_file_descriptors() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1000:
        pytest.fail(f"this machine allows {hard} descriptors only")
    command = f"sh -c 'ulimit -Sn 256; exec {SLOW}'"
    with running_service(command) as service, ExitStack() as stack:
        for _ in range(400):
            client = stack.enter_context(Client(service.port))
        client.send(GET)
        assert client.response().status == 200


def test_it_listens_to_a_unix_socket_too_which_outlives_each_worker(tmp_path: Path) -> None:
    path, port = tmp_path / "socket", free_port()

    def responds() -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(GET)
            return client.recv(100).startswith(b"HTTP/1.1 200 OK")

    arguments = f"--bind unix:{path} --bind 127.0.0.1:{port}"
    with running_service(GUNICORN_CMD_ARGS=arguments, PORT=str(port)) as service:
        assert responds()
        (first,) = service.workers()
        service.process.send_signal(signal.SIGHUP)
        wait_for(lambda: gone(first))
        assert responds()
        service.stop()
        assert not path.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        "--threads 0",
        "--limit-request-line 0 --limit-request-fields 0 --limit-request-field_size 0",
        "--keep-alive 0 --graceful-timeout 0 --timeout 0 --worker-connections 0",
    ],
)
def test_none_of_gunicorn_s_numbers_stops_the_service_when_it_is_0(arguments: str) -> None:
    with running_service(GUNICORN_CMD_ARGS=arguments) as service, Client(service.port) as client:
        client.send(b"GET /system/ready HTTP/1.1\r\nHost: a\r\n")
        client.send(b"X: " + b"x" * 9_000 * ("size" in arguments) + b"\r\n\r\n")
        assert client.response().status == 200


def test_max_requests_retires_a_worker_and_loses_nothing() -> None:
    with running_service(GUNICORN_CMD_ARGS="--max-requests 50") as service:
        before = service.workers()
        tally = run_coroutine(steady(service.port, 100, for_seconds(2), post()))
        assert set(tally.outcomes) == {"200"}
        wait_for(lambda: set(service.workers()) - set(before))


def test_nothing_is_written_but_one_json_object_a_line() -> None:
    with running_service(PRINTS, GUNICORN_CMD_ARGS="--access-logfile -") as service:
        with Client(service.port) as client:
            client.send(b"\x00\r\n\r\n")
            assert client.response().status == 400
        (worker,) = service.workers()
        os.kill(worker, signal.SIGUSR1)
        service.process.send_signal(signal.SIGUSR1)
        os.kill(worker, signal.SIGABRT)
        wait_for(lambda: worker not in service.workers())
        assert service.stop() == 0
        records = service.log_records()
    messages = [record["message"] for record in records]
    assert "The app failed." in messages
    assert any("a warning" in message for message in messages)
    assert "an error" in messages
    assert any(record["logger"] == "gunicorn.error" for record in records)
    assert [record["status"] for record in records if record.get("path") == "-"] == [400]
    for record in records:
        assert {"timestamp", "level", "logger", "message", "worker"} <= set(record)


def test_a_request_is_logged_once_whatever_the_platform_asks_for() -> None:
    with running_service(GUNICORN_CMD_ARGS="--access-logfile -") as service:
        run_coroutine(exchange(service.port, get("/api/v1/smoke-test?secret=1")))
        assert service.stop() == 0
        lines = [line for line in service.log_text().splitlines() if "/api/v1/smoke-test" in line]
    assert len(lines) == 1
    assert "secret" not in lines[0]


def test_an_app_that_does_not_load_ends_the_service_with_its_reason_in_the_log() -> None:
    done = subprocess.run(
        [*CONFIG.split(), "tests.server.apps:missing"],
        cwd=ROOT,
        env=environment(PORT=str(free_port())),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    records = [json.loads(line) for line in (done.stdout + done.stderr).splitlines()]
    (reason,) = [record for record in records if record["message"] == "The app can't be loaded."]
    assert "missing" in reason["traceback"]
    assert done.returncode != 0


def test_tls_is_refused_rather_than_left_out(tmp_path: Path) -> None:
    certificate = tmp_path / "certificate.pem"
    certificate.touch()
    done = subprocess.run(
        [*SLOW.split(), "--certfile", str(certificate)],
        cwd=ROOT,
        env=environment(PORT=str(free_port())),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, "speaks no TLS" in done.stderr) == (1, True)
