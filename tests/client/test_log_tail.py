"""The far end of the log pipeline: which line counts, and how files and streams are read."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest

from petsage.client.log_tail import LogTail, is_complete
from petsage.client.run import LogResult

ID = "petsage-feed-01"


def record(request_id: str = ID, **members: object) -> str:
    """Return the line that PetSage logs for a request."""
    fields: dict[str, object] = {
        "timestamp": "2026-11-21T03:42:53.009378Z",
        "level": "INFO",
        "logger": "petsage.request",
        "message": "POST /system/smoke-test 200",
        "request_id": request_id,
        "status": 200,
    }
    return json.dumps(fields | members)


# The line's own logger, and whether the record is complete.
OWN_LINES = {
    "as it is": (record(), True),
    "a platform's prefix": ("2026-11-21T03:42:53+00:00 app[web.1]: " + record(), True),
    "Docker's envelope": (json.dumps({"log": record() + "\n", "stream": "stdout"}), True),
    "an envelope of an object": (json.dumps({"time": 1, "log": json.loads(record())}), True),
    "a prefix with braces": ("{app} {}: " + record(), True),
    "cut at the end": (record()[:-12], False),
    "cut at the beginning": (record()[60:], False),
    "rewritten": (f"level=info logger=petsage.request request_id={ID}", False),
}
OTHER_LINES = {
    "Heroku's router": f"heroku[router]: at=info method=POST request_id={ID} status=200",
    "nginx": f'10.0.0.1 - - "POST /system/smoke-test HTTP/1.1" 200 "{ID}"',
    "JSON of a proxy": json.dumps({"request_id": ID, "path": "/system/smoke-test"}),
    "another logger": record(logger="envoy.access"),
}


class Now:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


@pytest.mark.parametrize(("line", "complete"), OWN_LINES.values(), ids=OWN_LINES)
def test_the_apps_own_line_is_found_however_it_is_wrapped(line: str, complete: bool) -> None:
    # By this clock the wait for a better line is over.
    now = Now()
    tail = LogTail(now)
    tail.take(line)
    now.time += 5.0
    assert tail.wait_for(ID, 99.5, 30.0) == LogResult(found=True, late_s=0.5, complete=complete)


@pytest.mark.parametrize("line", OTHER_LINES.values(), ids=OTHER_LINES)
def test_a_line_of_something_else_is_not_it(line: str) -> None:
    now = Now()
    tail = LogTail(now)
    tail.take(line)
    now.time = 200.0
    assert tail.wait_for(ID, 100.0, 30.0) == LogResult(found=False, other_line=True)


def test_a_line_of_another_request_is_nothing() -> None:
    now = Now()
    tail = LogTail(now)
    tail.take(record("petsage-feed-02"))
    now.time = 200.0
    assert tail.wait_for(ID, 100.0, 30.0) == LogResult(found=False)


def test_a_line_that_is_too_late_does_not_count() -> None:
    now = Now()
    tail = LogTail(now)
    now.time = 131.0
    tail.take(record())
    assert not tail.wait_for(ID, 100.0, 30.0).found


def test_a_line_before_the_response_is_not_late() -> None:
    now = Now()
    tail = LogTail(now)
    tail.take(record())
    assert tail.wait_for(ID, 105.0, 30.0) == LogResult(found=True, late_s=0.0, complete=True)


def test_a_complete_line_after_an_incomplete_one_counts() -> None:
    now = Now()
    tail = LogTail(now)
    tail.take(record()[:-12])
    tail.take(record())
    now.time += 5.0
    assert tail.wait_for(ID, 100.0, 30.0).complete


def test_a_line_is_waited_for() -> None:
    tail = LogTail()
    threading.Timer(0.2, tail.take, (record(),)).start()
    assert tail.wait_for(ID, time.monotonic(), 60.0).found


def test_an_id_that_a_proxy_chose_is_found_too() -> None:
    tail = LogTail()
    tail.take(record("7f3a/proxy+id="))
    assert tail.wait_for("7f3a/proxy+id=", time.monotonic(), 60.0).found


def test_a_busy_log_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("petsage.client.log_tail._MAX_KEPT_CHARACTERS", 10_000)
    tail = LogTail()
    for number in range(1_000):
        tail.take(record(f"petsage-feed-{number:04}"))
    assert sum(len(line) for _, line in tail._kept) <= 10_000
    assert tail.wait_for("petsage-feed-0999", time.monotonic(), 60.0).found


def found(tail: LogTail, request_id: str) -> bool:
    return tail.wait_for(request_id, time.monotonic(), 60.0).found


def following(path: Path) -> LogTail:
    """Return a tail that has opened the file and read it to its end."""
    with path.open("a") as log:
        log.write("an old line, longer than a record" * 30 + "\n")
    tail = LogTail().follow(str(path))
    until_kept = time.monotonic() + 60
    while not tail._kept:
        # What it keeps tells that it reads by now.
        with path.open("a") as log:
            log.write("is it read?\n")
        time.sleep(0.05)
        assert time.monotonic() < until_kept
    return tail


def test_old_lines_of_a_file_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_text(record() + "\n")
    tail = following(path)
    assert not any(ID in line for _, line in tail._kept)


def test_a_file_that_is_rotated_is_read_to_its_end_and_then_followed(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    tail = following(path)
    with path.open("a") as old:
        path.rename(path.with_suffix(".1"))
        path.write_text(record("petsage-feed-03") + "\n")
        old.write(record("petsage-feed-02") + "\n")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        kept = "".join(line for _, line in tail._kept)
        if "petsage-feed-02" in kept and "petsage-feed-03" in kept:
            return
        time.sleep(0.05)
    raise AssertionError("the lines were not read")


def test_a_file_that_is_truncated_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    tail = following(path)
    path.write_text(record() + "\n")
    assert found(tail, ID)


def test_a_file_that_does_not_exist_yet_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "later.log"
    tail = LogTail().follow(str(path))
    threading.Timer(0.3, path.write_text, (record() + "\n",)).start()
    assert found(tail, ID)


def test_a_file_that_never_comes_is_named(tmp_path: Path) -> None:
    tail = LogTail().follow(str(tmp_path / "never.log"))
    time.sleep(0.2)
    result = tail.wait_for(ID, time.monotonic(), 0.5)
    assert not result.found
    assert "does not exist" in result.reason


def test_a_named_pipe_is_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    tail = LogTail().follow(str(pipe))
    pipe.write_text(record() + "\n")
    assert found(tail, ID)


def test_a_stream_that_ends_is_not_waited_for() -> None:
    read, write = os.pipe()
    tail = LogTail().read(read)
    os.write(write, b"nothing\n")
    os.close(write)
    began = time.monotonic()
    result = tail.wait_for(ID, time.monotonic(), 600.0)
    assert time.monotonic() - began < 60
    assert result == LogResult(found=False, reason="the log stream has ended")
    os.close(read)


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    read, write = os.pipe()
    tail = LogTail().read(read)
    with os.fdopen(write, "wb") as stream:
        for _ in range(40):
            stream.write(b"x" * 100_000)
        stream.write(f"\n{record()}\n".encode())
    assert found(tail, ID)
    os.close(read)


def test_lines_in_pieces_are_put_together() -> None:
    read, write = os.pipe()
    tail = LogTail().read(read)
    for byte in f"{record()}\n".encode():
        os.write(write, bytes([byte]))
    assert found(tail, ID)
    os.close(write)
    os.close(read)


@pytest.mark.parametrize(
    ("line", "complete"),
    [
        (record("x"), True),
        (json.dumps({"a": ["b", f"c {record('x')}"]}), True),
        (record("y") + " x", False),
        (record("x")[:-1], False),
        (record("x", logger="another"), False),
        ("{" * 5_000 + '"request_id": "x"}', False),
    ],
    ids=["plain", "in a string of a list", "another id", "cut", "another logger", "deep"],
)
def test_complete_is_the_record_of_the_very_request(line: str, complete: bool) -> None:
    assert is_complete(line, "x") is complete


def test_a_record_wrapped_again_and_again_is_judged_at_once() -> None:
    line = '{"request_id": "y", "message": "x {"}'
    for _ in range(5):
        line = json.dumps({"a": {"b": {"c": {"d": {"e": {"f": {"g": line}}}}}}})
    began = time.process_time()
    assert not is_complete(line, "x")
    assert time.process_time() - began < 5
