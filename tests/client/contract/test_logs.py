"""`--logs`: the app's own line must arrive at the far end of the log pipeline (DESIGN 3.4)."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.client.fleets import NEW, OLD, own_ids, then
from tests.client.runs import Done, done, smoke_test, start
from tests.client.servers import Received, Respond, serving

pytestmark = pytest.mark.contract

FAST = ("--no-bad-requests", "--consecutive", 2)
PLATFORM = "2026-11-21T03:42:53.009378+00:00 app[web.1]: "


def record(request_id: str, logger: str = "petsage.request") -> str:
    return json.dumps(
        {
            "timestamp": "2026-11-21T03:42:53.009378Z",
            "level": "INFO",
            "logger": logger,
            "message": "POST /system/smoke-test 200",
            "request_id": request_id,
            "status": 200,
        }
    )


Shape = Callable[[str], str | None]


def logging_to(path: Path, shape: Shape, late: float = 0.0) -> Respond:
    """Return a service whose log lines get to the file as `shape` makes them, `late` s later."""

    def write(request_id: str) -> None:
        line = shape(request_id)
        if line is not None:
            with contextlib.suppress(FileNotFoundError), path.open("a") as log:
                log.write(f"{line}\n")

    def respond(request: Received, connection: socket.socket) -> bytes:
        if late:
            threading.Timer(late, write, (request.request_id,)).start()
        else:
            write(request.request_id)
        return NEW(request, connection)

    return respond


COMPLETE: dict[str, Shape] = {
    "as it is": record,
    "after a platform's prefix": lambda marker: PLATFORM + record(marker),
    "within Docker's JSON": lambda marker: json.dumps({"log": f"{record(marker)}\n"}),
    "within an object": lambda marker: json.dumps({"time": 1, "log": json.loads(record(marker))}),
    "after a prefix with braces": lambda marker: "{app} {}: " + record(marker),
}


def through(log: Path, respond: Respond, *more: object) -> Done:
    log.touch()
    with serving(respond) as server:
        return smoke_test(server.url, *FAST, "--logs", log, *more)


@pytest.mark.parametrize("shape", COMPLETE.values(), ids=COMPLETE.keys())
def test_a_line_that_arrives_passes_however_it_is_wrapped(tmp_path: Path, shape: Shape) -> None:
    log = tmp_path / "app.log"
    log.write_text("an old line\n")
    run = through(log, logging_to(log, shape))
    assert (run.code, run.report["log"]["found"], run.report["warnings"]) == (0, True, [])


def test_a_line_that_is_cut_passes_with_a_warning(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    run = through(log, logging_to(log, lambda marker: PLATFORM + record(marker)[:-12]))
    assert (run.code, run.report["log"]["found"], len(run.report["warnings"])) == (0, True, 1)


OTHERS: dict[str, Shape] = {
    "nothing": lambda _marker: None,
    "a line that is cut before the id": lambda marker: record(marker)[:70],
    "a router's line": lambda marker: f"heroku[router]: at=info request_id={marker} status=200",
    "a proxy's access log in JSON": lambda marker: json.dumps(
        {"msg": "handled", "request_id": marker, "status": 200, "logger": "http.log.access"}
    ),
    "another logger of the app": lambda marker: record(marker, "pets"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_not_the_apps_own_line_is_not_it(tmp_path: Path, name: str) -> None:
    log = tmp_path / "app.log"
    run = through(log, logging_to(log, OTHERS[name]), "--logs-within", 0.5)
    assert (run.code, run.report["log"]["found"]) == (6, False)
    others = {"a router's line", "a proxy's access log in JSON", "another logger of the app"}
    # The report says that only such a line was seen.
    assert ("only" in run.sentences.lower()) == (name in others)


def test_a_line_that_is_too_late_is_missing_and_lateness_is_reported(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    late = through(log, logging_to(log, record, late=0.5))
    assert (late.code, late.report["log"]["late_s"] > 0.3) == (0, True)
    too_late = through(log, logging_to(log, record, late=60), "--logs-within", 0.4)
    assert too_late.code == 6


def test_the_marker_is_the_id_that_came_back(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    run = through(log, own_ids(logging_to(log, record)))
    assert (run.code, run.report["log"]["found"]) == (0, True)
    assert len(run.warnings_of("X-Request-ID")) == 1


def test_a_file_that_is_not_there_yet_is_waited_for_and_one_that_is_rotated_is_followed(
    tmp_path: Path,
) -> None:
    missing = tmp_path / "later.log"
    lines: list[str] = []

    def slow_pipeline(request: Received, connection: socket.socket) -> bytes:
        lines.append(record(request.request_id))
        if len(lines) == 2:
            written = "\n".join(lines) + "\n"
            threading.Timer(0.4, missing.write_text, (written,)).start()
        return NEW(request, connection)

    with serving(slow_pipeline) as server:
        assert smoke_test(server.url, *FAST, "--logs", missing).code == 0

    rotated = tmp_path / "app.log"
    write = logging_to(rotated, record)

    def rotating(request: Received, connection: socket.socket) -> bytes | None:
        with contextlib.suppress(FileNotFoundError):
            rotated.rename(tmp_path / "app.log.1")
        rotated.touch()
        return write(request, connection)

    assert through(rotated, then(1, NEW, rotating)).code == 0


def test_standard_input_is_read_also_where_lines_come_in_pieces(tmp_path: Path) -> None:
    ids: list[str] = []

    def noting(request: Received, connection: socket.socket) -> bytes:
        ids.append(request.request_id)
        return NEW(request, connection)

    with serving(noting) as server:
        process = start("smoke-test", server.url, "--format", "json", *FAST, "--logs", "-")
        assert process.stdin is not None
        deadline = time.monotonic() + 60
        while len(ids) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        line = (PLATFORM + record(ids[-1]) + "\n").encode()
        process.stdin.write(b"something else\n" + line[:90])
        process.stdin.flush()
        time.sleep(0.05)
        process.stdin.write(line[90:])
        process.stdin.flush()
        run = done(process)
    assert (run.code, run.report["log"]["found"]) == (0, True)


def test_a_log_that_ends_is_missing_at_once() -> None:
    with serving(NEW) as server:
        run = smoke_test(server.url, *FAST, "--logs", "-", "--logs-within", 600)
    assert run.code == 6


def test_where_the_streak_fails_no_log_is_waited_for(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    os.mkfifo(log)
    with serving(OLD) as server:
        more = ("--expect-release", "v43", "--wait", 0.4)
        run = smoke_test(server.url, *more, "--logs", log, "--logs-within", 600)
    assert (run.code, run.report["log"]) == (4, None)
