"""The far end of the log pipeline: lines late, lost, cut, wrapped, early or rotated away."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from petsage.client.logs import LogWatch, is_whole
from tests.client.runs import COMMAND, environment, smoke_test
from tests.client.servers import Instance, Received, serving

PETSAGE = Instance()
PLATFORM = "2026-11-21T03:42:53.009378+00:00 app[web.1]: "


def record(request_id: str) -> str:
    return json.dumps(
        {
            "timestamp": "2026-11-21T03:42:53.009378Z",
            "level": "INFO",
            "message": "POST /system/smoke-test 200",
            "request_id": request_id,
            "status": 200,
        }
    )


class Logging:
    """A service whose log lines get to the file as `shape` makes them, `late` seconds later."""

    def __init__(self, path: Path, shape: Callable[[str], str | None], late: float = 0.0) -> None:
        self._path, self._shape, self._late = path, shape, late

    def __call__(self, request: Received, connection: socket.socket) -> bytes:
        if self._late < 0:
            self._write(request.request_id)
            time.sleep(0.05)
        elif self._late:
            threading.Timer(self._late, self._write, (request.request_id,)).start()
        answer = PETSAGE(request)
        if not self._late:
            connection.sendall(answer)
            self._write(request.request_id)
            return b""
        return answer

    def _write(self, request_id: str) -> None:
        line = self._shape(request_id)
        if line is not None:
            with contextlib.suppress(FileNotFoundError), self._path.open("a") as log:
                log.write(f"{line}\n")


SHAPES: dict[str, tuple[Callable[[str], str | None], bool]] = {
    "as it is": (record, True),
    "a platform's prefix": (lambda marker: PLATFORM + record(marker), True),
    "Docker's envelope": (
        lambda marker: json.dumps({"log": record(marker) + "\n", "stream": "stdout"}),
        True,
    ),
    "an envelope of an object": (
        lambda marker: json.dumps({"time": 1, "kubernetes": {}, "log": json.loads(record(marker))}),
        True,
    ),
    "a prefix with braces": (lambda marker: "{app} {}: " + record(marker), True),
    "cut in half": (lambda marker: PLATFORM + record(marker)[:-12], False),
    "the other half": (lambda marker: record(marker)[40:], False),
    "rewritten": (lambda marker: f"level=info request_id={marker}", False),
}


@pytest.mark.parametrize(("shape", "whole"), SHAPES.values(), ids=SHAPES.keys())
def test_the_line_is_found_however_it_is_wrapped(
    tmp_path: Path, shape: Callable[[str], str | None], whole: bool
) -> None:
    log = tmp_path / "app.log"
    log.write_text("an old line\n")
    with serving(Logging(log, shape)) as server:
        done = smoke_test(server.url, "--no-refusals", "--logs", log)
    assert done.code == 0
    assert done.report["log"]["found"] is True
    assert done.report["log"]["whole"] is whole
    assert [("not one whole" in one) for one in done.report["warnings"]] == [True] * (not whole)


def test_lateness_is_reported(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    with serving(Logging(log, record, late=1.5)) as server:
        log.touch()
        done = smoke_test(server.url, "--no-refusals", "--logs", log)
    assert done.code == 0
    assert 1.2 < done.report["log"]["late_s"] < 3


def test_a_line_that_arrives_before_the_answer_is_not_missed(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.touch()
    with serving(Logging(log, record, late=-1)) as server:
        done = smoke_test(server.url, "--logs", log)
    assert (done.code, done.report["log"]) == (0, {"found": True, "late_s": 0.0, "whole": True})


@pytest.mark.parametrize(
    ("shape", "late"),
    [
        (lambda _marker: None, 0.0),
        (record, 2.5),
        (lambda marker: record(marker)[:70], 0.0),
        (lambda marker: f"heroku[router]: at=info request_id={marker} status=200", 0.0),
    ],
    ids=["missing", "too late", "cut before the id", "only the router's"],
)
def test_a_line_that_does_not_arrive_in_time_is_6(
    tmp_path: Path, shape: Callable[[str], str | None], late: float
) -> None:
    log = tmp_path / "app.log"
    log.touch()
    with serving(Logging(log, shape, late)) as server:
        done = smoke_test(server.url, "--no-refusals", "--logs", log, "--logs-within", 1)
    assert (done.code, done.report["verdict"]) == (6, "log-missing")
    assert done.report["log"] == {"found": False, "late_s": None, "whole": None}
    assert len(done.report["problems"]) == 1


def test_a_file_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    log = tmp_path / "later.log"
    lines: list[str] = []

    def create() -> None:
        log.write_text("\n".join(lines) + "\n")

    def respond(request: Received, _: socket.socket) -> bytes:
        lines.append(record(request.request_id))
        return PETSAGE(request)

    with serving(respond) as server:
        threading.Timer(1.5, create).start()
        done = smoke_test(server.url, "--no-refusals", "--logs", log)
    assert done.code == 0


def test_a_file_that_never_comes_is_6_and_says_so(tmp_path: Path) -> None:
    with serving(PETSAGE) as server:
        done = smoke_test(server.url, "--logs", tmp_path / "x.log", "--logs-within", 0.5)
    assert done.code == 6
    assert "does not exist" in done.report["problems"][0]


def test_a_log_that_has_ended_was_not_waited_for() -> None:
    with serving(PETSAGE) as server:
        done = smoke_test(server.url, "--no-refusals", "--logs", "-", "--logs-within", 30)
    assert done.code == 6
    assert done.report["problems"] == [
        "The log line of the last ping did not arrive: the log stream has ended."
    ]
    assert f"`curl {server.url}/smoke-test`" in done.report["what_next"]


@pytest.fixture
def watched(tmp_path: Path) -> tuple[LogWatch, Path]:
    log = tmp_path / "app.log"
    log.write_text(record("petsage-feed-01") + "\n")
    watch = LogWatch("feed").follow(str(log))
    time.sleep(0.2)
    return watch, log


def found(watch: LogWatch, request_id: str, within: float = 2.0) -> bool:
    return watch.await_line(request_id, time.monotonic(), within).found


def test_a_file_that_is_rotated_is_followed(watched: tuple[LogWatch, Path]) -> None:
    watch, log = watched
    assert not found(watch, "petsage-feed-01", within=0.2)
    with log.open("a") as old:
        log.rename(log.with_suffix(".1"))
        old.write(record("petsage-feed-02") + "\n")
        log.write_text(record("petsage-feed-03") + "\n")
    assert found(watch, "petsage-feed-02")
    assert found(watch, "petsage-feed-03")


def test_a_file_that_is_truncated_is_followed(watched: tuple[LogWatch, Path]) -> None:
    watch, log = watched
    log.write_text("")
    time.sleep(0.2)
    with log.open("a") as again:
        again.write(record("petsage-feed-04") + "\n")
    assert found(watch, "petsage-feed-04")


def test_a_named_pipe_is_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    watch = LogWatch("feed").follow(str(pipe))
    pipe.write_text(record("petsage-feed-05") + "\n")
    assert found(watch, "petsage-feed-05")


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    read, write = os.pipe()
    watch = LogWatch("feed").read(read)
    with os.fdopen(write, "wb") as stream:
        for _ in range(40):
            stream.write(b"x" * 100_000)
        stream.write(f"\n{record('petsage-feed-06')}\n".encode())
    assert found(watch, "petsage-feed-06")


def test_standard_input_is_read_and_its_end_ends_the_waiting() -> None:
    code = (
        "import sys\nfor line in sys.stdin:\n    sys.stdout.write(line)\n    sys.stdout.flush()\n"
    )
    read, write = os.pipe()
    lines = os.fdopen(write, "w", buffering=1)

    def respond(request: Received, _: socket.socket) -> bytes:
        lines.write(f"{PLATFORM}{record(request.request_id)}\n")
        return PETSAGE(request)

    with serving(respond) as server:
        tail = subprocess.Popen([sys.executable, "-c", code], stdin=read, stdout=subprocess.PIPE)
        os.close(read)
        command = [*COMMAND, "smoke-test", server.url, "--format", "json", "--logs", "-"]
        done = subprocess.run(
            command, stdin=tail.stdout, capture_output=True, timeout=30, env=environment()
        )
        lines.close()
        assert tail.stdout is not None
        tail.stdout.close()
        tail.wait(10)
    assert done.returncode == 0
    assert json.loads(done.stdout)["log"]["whole"] is True


def test_standard_input_that_ends_without_the_line_is_6_at_once() -> None:
    with serving(PETSAGE) as server:
        done = smoke_test(server.url, "--no-refusals", "--logs", "-")
    assert done.code == 6
    assert done.report["elapsed_s"] < 5
    assert "ended" in done.report["problems"][0]


@pytest.mark.parametrize(
    ("line", "whole"),
    [
        ('{"request_id": "x"}', True),
        ('{"a": {"request_id": "x"}}', True),
        ('{"a": ["b", "c {\\"request_id\\": \\"x\\"}"]}', True),
        ('{"request_id": "y"} x', False),
        ('{"request_id": "x"', False),
        ("{" * 5_000 + '"request_id": "x"}', False),
        ('{"message": "x"}', False),
    ],
)
def test_whole_is_the_record_of_the_very_request(line: str, whole: bool) -> None:
    assert is_whole(line, "x") is whole


def test_a_record_wrapped_time_and_again_is_judged_at_once() -> None:
    line = '{"request_id": "y", "message": "x {"}'
    for _ in range(5):
        line = json.dumps({"a": {"b": {"c": {"d": {"e": {"f": {"g": line}}}}}}})
    began = time.process_time()
    assert not is_whole(line, "x")
    assert time.process_time() - began < 0.5
