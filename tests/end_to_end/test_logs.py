"""The log is JSON lines, one a request, and blocks nothing (DESIGN, 2.6)."""

from __future__ import annotations

import os
import re

import pytest

from tests.conftest import COMMIT
from tests.running import Service, running_service, web_line
from tests.wire import JSON, SMOKE_TEST, ask, connected, get, send

pytestmark = pytest.mark.contract

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
COMMON = {
    *("timestamp", "level", "logger", "message", "request_id", "trace_id"),
    *("release", "instance", "worker"),
}
OF_A_REQUEST = {"method", "path", "status", "duration_ms", "bytes", "remote_addr"}


def marker() -> str:
    return os.urandom(8).hex()


@pytest.mark.parametrize("disclosed", [True, False], ids=["disclosed", "hidden"])
def test_one_line_tells_of_each_request_and_never_its_ping(
    service: Service, hidden: Service, disclosed: bool
) -> None:
    asked, request_id = service if disclosed else hidden, marker()
    response = ask(
        asked,
        "POST",
        SMOKE_TEST,
        b'{"ping":"sesame"}',
        JSON | {"X-Request-ID": request_id, "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"},
    )
    assert response.status == 200
    (line,) = asked.records_of(request_id)
    assert line.keys() == COMMON | OF_A_REQUEST
    assert (line["level"], line["logger"], line["trace_id"]) == ("INFO", "petsage.request", TRACE)
    assert (line["release"], line["instance"]) == ("v43", "web.1")
    assert line["worker"] == response.headers["PetSage-Worker"]
    assert (line["method"], line["path"], line["status"]) == ("POST", SMOKE_TEST, 200)
    assert (line["bytes"], line["remote_addr"]) == (len(response.body), "127.0.0.1")
    assert line["duration_ms"] >= 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line["timestamp"])
    assert "sesame" not in asked.log_text()


def test_a_rejected_request_is_logged_too_under_the_id_of_its_response(service: Service) -> None:
    response = send(service, b"GET /system/live HTTP/1.1\r\nX-Request-ID: nohost\r\n\r\n")
    assert response
    (line,) = service.records_of(response.headers["X-Request-ID"])
    assert line["status"] == 400


def test_the_query_is_not_logged_and_a_path_is_cut_and_starts_no_line(service: Service) -> None:
    for path, logged in (
        ("/nothing?sesame=open", "/nothing"),
        ("/a%0Ab%1B%5B31m", "/a%0Ab%1B%5B31m"),
        (f"/{'a' * 5_000}", f"/{'a' * 1_999}"),
    ):
        request_id = marker()
        get(service, path, {"X-Request-ID": request_id})
        (line,) = service.records_of(request_id)
        assert line["path"].startswith(logged[:1_990])
        assert len(line["path"]) <= 2_001
        assert "sesame" not in str(line)


def test_every_line_is_a_json_object_of_this_release_and_short_enough_to_be_atomic(
    service: Service,
) -> None:
    get(service, f"/{'a' * 7_000}", {"X-Request-ID": "x" * 200})
    service.records_of("x" * 200)
    for record in service.log_records():
        assert record.keys() >= COMMON
        assert record["release"] == "v43"
    text = service.log_text()
    assert max(len(line) + 1 for line in text.splitlines()) <= 4_096
    assert text.isascii()
    assert text.replace("\n", "").isprintable()
    assert "gunicorn.error" in {record["logger"] for record in service.log_records()}


def test_the_logging_smoke_test_writes_its_record(service: Service) -> None:
    request_id = marker()
    assert get(service, "/smoke-test", {"X-Request-ID": request_id}).status == 200
    records = service.records_of(request_id)
    (record,) = [record for record in records if record["logger"] != "petsage.request"]
    assert (record["level"], record["message"]) == (
        "INFO",
        "PetSage smoke test endpoint executed successfully. Logging verified.",
    )


def test_successful_probes_can_be_left_out(service: Service, hidden: Service) -> None:
    probes = ["/system/live", "/system/ready", "/system/health", "/api/v1/health"]
    for asked in (service, hidden):
        with connected(asked) as connection:
            for path in probes:
                assert connection.ask("GET", path, headers={"X-Request-ID": path}).status == 200
            # One that fails is logged in any case, and so is the last request, which waits for all.
            other = {"X-Request-ID": "/failed", "Expect-Release": "v44"}
            assert connection.ask("GET", "/system/live", headers=other).status == 412
        asked.records_of("/failed")
        logged = {record["request_id"] for record in asked.log_records()}
        assert logged & set(probes) == (set(probes) if asked is service else set())


def test_a_log_that_cannot_be_written_stops_no_request_and_is_told() -> None:
    with running_service(f"{web_line()} >/dev/full", PETSAGE_COMMIT=COMMIT) as service:
        with connected(service) as connection:
            for _ in range(20):
                assert connection.ping(b'{"ping":"a"}').status == 200
            smoke_test = connection.ask("GET", "/smoke-test")
            ready = connection.ask("GET", "/system/ready")
        assert smoke_test.problem == (503, "logging-broken")
        assert ready.problem == (503, "not-ready")
        assert ready.json["checks"]["logging"]["status"] != "ok"
        assert service.stop() == 0


def test_a_log_that_nobody_reads_stops_no_request() -> None:
    # The pipe holds 64 KiB, which is fewer lines than are written here.
    command = f"sh -c '{web_line()} | sleep 3600'"
    with running_service(command) as service, connected(service) as connection:
        for _ in range(600):
            assert connection.ping(b'{"ping":"a"}').status == 200
        assert connection.ask("GET", "/smoke-test").problem == (503, "logging-broken")
