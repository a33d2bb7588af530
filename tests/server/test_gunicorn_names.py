"""What the worker takes for granted of gunicorn and httptools: found here when it moves.

The versions are pinned in setup.cfg; this tells what to look at before a pin is raised.
"""

from __future__ import annotations

import inspect
import re
from importlib.metadata import version
from pathlib import Path

import pytest
from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.sock import BaseSocket
from gunicorn.workers.base import Worker
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from petsage.server import worker

ROOT = Path(__file__).parent.parent.parent
SERVER = Path(worker.__file__).parent


@pytest.mark.parametrize("package", ["gunicorn", "httptools", "uvloop"])
def test_the_version_is_the_pinned_one(package: str) -> None:
    pin = re.search(rf"^    {package}==(\S+)$", Path(ROOT, "setup.cfg").read_text(), re.MULTILINE)
    assert pin is not None
    assert version(package) == pin[1]


def test_only_the_worker_knows_gunicorn() -> None:
    knowing = {
        path.name
        for path in SERVER.glob("*.py")
        if re.search(r"^(from|import) gunicorn\b", path.read_text(), re.MULTILINE)
    }
    assert knowing == {"worker.py"}


@pytest.mark.parametrize(
    "name",
    ["init_signals", "handle_exit", "handle_abort", "load_wsgi", "run", "notify"],
)
def test_the_worker_s_base_has(name: str) -> None:
    assert hasattr(Worker, name)


@pytest.mark.parametrize(
    "name", ["ppid", "sockets", "app", "cfg", "log", "alive", "max_requests", "wsgi"]
)
def test_the_worker_s_base_sets(name: str) -> None:
    assert re.search(rf"\bself\.{name} = ", inspect.getsource(Worker))


def test_the_arbiter_treats_workers_as_it_did() -> None:
    assert "self.worker_class.check_config(self.cfg, self.log)" in inspect.getsource(Arbiter)
    assert Arbiter.APP_LOAD_ERROR == 4
    # The drain on SIGTERM counts on the master having closed its listeners by then.
    stop = inspect.getsource(Arbiter.stop)
    assert stop.index("close_sockets(self.LISTENERS") < stop.index("self.kill_workers(sig)")
    # On SIGHUP it keeps them, and new workers come before the old ones go.
    reload = inspect.getsource(Arbiter.reload)
    assert reload.index("self.spawn_worker()") < reload.index("self.manage_workers()")


@pytest.mark.parametrize(
    "name",
    [
        "backlog",
        "graceful_timeout",
        "keepalive",
        "limit_request_field_size",
        "limit_request_fields",
        "limit_request_line",
        "threads",
        "worker_connections",
        "worker_int",
        "control_socket_disable",
    ],
)
def test_gunicorn_has_the_setting(name: str) -> None:
    assert name in Config().settings


def test_gunicorn_s_logger_and_sockets_are_what_they_were() -> None:
    for name in ("setup", "access", "access_log_enabled", "reopen_files", "LOG_LEVELS"):
        assert hasattr(Logger, name)
    assert "self.sock = " in inspect.getsource(BaseSocket.__init__)


def fields_of(head: bytes) -> list[tuple[bytes, bytes]]:
    class Collector:
        def __init__(self) -> None:
            self.fields: list[tuple[bytes, bytes]] = []

        def on_header(self, name: bytes, value: bytes) -> None:
            self.fields.append((name, value))

    collector = Collector()
    HttpRequestParser(collector).feed_data(head)
    return collector.fields


# What the reader makes good; where the parser learns one of these, the reader can lose a line.
KNOWN_QUIRKS = {
    "blanks after a value are kept": (b"X: y \r\n", (b"X", b"y ")),
    "a coding before chunked": (
        b"Transfer-Encoding: gzip, chunked\r\n",
        (b"Transfer-Encoding", b"gzip, chunked"),
    ),
    "two media types": (b"Content-Type: a/b\r\nContent-Type: c/d\r\n", (b"Content-Type", b"c/d")),
}


@pytest.mark.parametrize(("fields", "last"), KNOWN_QUIRKS.values(), ids=KNOWN_QUIRKS)
def test_httptools_still_lets_through(fields: bytes, last: tuple[bytes, bytes]) -> None:
    assert fields_of(b"GET / HTTP/1.1\r\n" + fields + b"\r\n")[-1] == last


def test_httptools_tells_of_an_upgrade_by_an_exception_and_of_errors_by_another() -> None:
    with pytest.raises(HttpParserUpgrade):
        fields_of(b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
    with pytest.raises(HttpParserError, match="Duplicate Content-Length"):
        fields_of(b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n")
