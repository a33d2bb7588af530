"""json_logs: one JSON object a line, each one write, and honest when it fails."""

import json
import logging
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from petsage.service import json_logs
from petsage.service.json_logs import LogStream, rfc3339
from petsage.service.settings import Release, Settings

FORMATTER = json_logs.JsonFormatter(Settings(release=Release("v43"), instance="web.1"))


def record(message: str, *args: object, **extra: Any) -> logging.LogRecord:
    return logging.getLogger("feature").makeRecord(
        "feature", logging.INFO, __file__, 1, message, args, None, extra=extra
    )


@given(st.text())
def test_no_message_starts_a_line_or_reaches_another_member(message: str) -> None:
    line = FORMATTER.format(record("%s", message))
    assert line.isascii()
    assert not set(line[:-1]) & {chr(code) for code in range(32)}
    told = json.loads(line)
    assert list(told) == [
        *("timestamp", "level", "logger", "message", "request_id", "trace_id", "release"),
        *("instance", "worker"),
    ]
    assert (told["level"], told["logger"]) == ("INFO", "feature")
    if len(message) < 300:
        assert told["message"] == message


@given(st.text(min_size=1), st.integers(1, 20_000), st.integers(0, 20_000))
def test_no_line_is_longer_than_one_atomic_write(text: str, times: int, path: int) -> None:
    fields = {"path": (text * path)[:2_000], "status": 200, "remote_addr": text * 3}
    line = FORMATTER.format(record("%s", text * times, fields=fields))
    assert len(line.encode()) <= 4_096
    assert json.loads(line)["status"] == 200


def test_a_long_traceback_keeps_its_end() -> None:
    def recurse(depth: int) -> None:
        if depth == 0:
            raise ValueError("the cause")
        recurse(depth - 1) if depth % 2 else recurse_back(depth)

    def recurse_back(depth: int) -> None:
        recurse(depth - 1)

    broken = record("It broke.")
    try:
        recurse(200)
    except ValueError:
        broken.exc_info = sys.exc_info()
    line = FORMATTER.format(broken)
    assert 2_000 < len(line) <= 4_096
    told = json.loads(line)
    assert told["message"] == "It broke."
    assert told["traceback"].endswith("ValueError: the cause\n")


class Unspeakable:
    def __repr__(self) -> str:
        raise RuntimeError


CIRCLE: dict[str, object] = {}
CIRCLE["itself"] = CIRCLE

UNLOGGABLE = {
    "wrong arguments": (record("%d pets", "three"), "'%d pets'"),
    "a message that can't be told": (record(Unspeakable()), "'Unspeakable'"),  # type: ignore[arg-type]
    "a field that can't be told": (record("a", fields={"pet": Unspeakable()}), "'a'"),
    "a field in a circle": (record("a", fields={"pet": CIRCLE}), "'a'"),
    "a number that JSON does not know": (record("a", fields={"pet": float("nan")}), "'a'"),
    "too many fields": (record("a", fields={f"pet{n}": n for n in range(1_000)}), "'a'"),
    "a long message": (record("x" * 9_000, fields={"pet": Unspeakable()}), "'xxxx"),
}


@pytest.mark.parametrize(("unloggable", "told"), UNLOGGABLE.values(), ids=UNLOGGABLE)
def test_a_record_that_can_not_be_formatted_is_logged_as_such(
    log_file: tuple[int, Path], unloggable: logging.LogRecord, told: str
) -> None:
    descriptor, path = log_file
    handler = json_logs.JsonHandler(Settings(), LogStream(descriptor))
    handler.handle(unloggable)
    line = path.read_text()
    assert len(line) <= 4_096
    assert json.loads(line)["message"].startswith(f"Unloggable record: {told}")


def test_a_receipt_tells_whether_the_record_was_written(log_file: tuple[int, Path]) -> None:
    descriptor, _ = log_file
    handler = json_logs.JsonHandler(Settings(), LogStream(descriptor))
    receipt = json_logs.Receipt()
    handler.handle(record("Hello.", receipt=receipt))
    assert receipt.written


def test_installing_twice_logs_once(capfd: pytest.CaptureFixture[str]) -> None:
    json_logs.install(Settings())
    json_logs.install(Settings())
    logging.getLogger("feature").info("Hello.")
    assert len(capfd.readouterr().out.splitlines()) == 1


def test_the_log_check_writes_the_record_under_the_id_of_its_request(
    client: FlaskClient, capfd: pytest.CaptureFixture[str]
) -> None:
    client.get("/smoke-test", headers={"X-Request-ID": "marker"})
    first, _ = (json.loads(line) for line in capfd.readouterr().out.splitlines())
    assert (first["level"], first["request_id"]) == ("INFO", "marker")
    assert first["message"] == (
        "PetSage smoke test endpoint executed successfully. Logging verified."
    )


def assert_broken(client: FlaskClient) -> None:
    answer = client.get("/smoke-test")
    assert (answer.status_code, answer.json["code"]) == (503, "logging-broken")
    assert client.post("/system/smoke-test", json={"ping": "a"}).status_code == 200


def test_the_log_check_fails_where_info_is_switched_off(client: FlaskClient) -> None:
    json_logs.install(Settings(log_level="WARNING"))
    assert_broken(client)
    assert client.get("/system/ready").status_code == 200


def test_the_log_check_fails_where_no_handler_is_left(client: FlaskClient) -> None:
    root = logging.getLogger()
    for handler in [one for one in root.handlers if isinstance(one, json_logs.JsonHandler)]:
        root.removeHandler(handler)
    assert_broken(client)


@pytest.fixture
def pipe() -> Any:
    reader, writer = os.pipe()
    yield reader, writer
    for end in (reader, writer):
        with suppress(OSError):
            os.close(end)


def test_a_reader_that_is_gone_breaks_the_log_check_and_readiness_and_nothing_else(
    client: FlaskClient, pipe: tuple[int, int]
) -> None:
    reader, writer = pipe
    handler = json_logs.install(Settings(), LogStream(writer))
    os.close(reader)
    assert_broken(client)
    with pytest.raises(OSError, match="can't be written"):
        handler.check()


def test_a_reader_that_sleeps_blocks_nobody_and_what_was_lost_is_told_later(
    client: FlaskClient, pipe: tuple[int, int]
) -> None:
    reader, writer = pipe
    stream = LogStream(writer)
    handler = json_logs.install(Settings(), stream)
    assert client.get("/system/live").status_code == 200
    filled = 0
    while stream.write(b"{}\n"):
        filled += 1
    assert_broken(client)
    lines = b""
    while lines.count(b"\n") < 1 + filled:
        lines += os.read(reader, 65_536)
    assert all(isinstance(json.loads(line), dict) for line in lines.splitlines())
    handler.check()
    assert b"Lines lost" in os.read(reader, 65_536)


def test_a_full_disk_breaks_the_log_check_and_nothing_else(client: FlaskClient) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    json_logs.install(Settings(), LogStream(full))
    assert_broken(client)
    os.close(full)


def test_a_closed_stdout_breaks_the_log_check_and_nothing_else(
    client: FlaskClient, pipe: tuple[int, int]
) -> None:
    _, writer = pipe
    os.close(writer)
    json_logs.install(Settings(), LogStream(writer))
    assert_broken(client)


@given(st.datetimes(datetime(1970, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC)))
def test_a_moment_keeps_every_microsecond(moment: datetime) -> None:
    written = moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
    assert rfc3339(moment.timestamp()) == written


@pytest.mark.parametrize(
    ("moment", "text"),
    {
        "the epoch": (0.0, "1970-01-01T00:00:00.000000Z"),
        "just before a second": (1.9999996, "1970-01-01T00:00:02.000000Z"),
        "before the epoch": (-0.5, "1969-12-31T23:59:59.500000Z"),
    }.values(),
    ids=["the epoch", "just before a second", "before the epoch"],
)
def test_a_moment_is_written(moment: float, text: str) -> None:
    assert rfc3339(moment) == text
