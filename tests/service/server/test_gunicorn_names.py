"""What the worker takes for granted of gunicorn and its parser: found here when it moves.

The versions are pinned in setup.cfg; this tells what to look at before a pin is raised.
"""

from __future__ import annotations

import inspect
import re
from importlib.metadata import version
from pathlib import Path

import gunicorn_h1c
import pytest
from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.sock import BaseSocket, TCPSocket
from gunicorn.workers.base import Worker

from petsage.server import gunicorn_logger, worker

ROOT = Path(__file__).parent.parent.parent.parent
SERVER = Path(worker.__file__).parent


@pytest.mark.parametrize("package", ["gunicorn", "gunicorn_h1c", "uvloop"])
def test_the_version_is_the_pinned_one(package: str) -> None:
    pin = re.search(rf"^    {package}==(\S+)$", Path(ROOT, "setup.cfg").read_text(), re.MULTILINE)
    assert pin is not None
    assert version(package) == pin[1]


def test_only_the_worker_and_the_logger_know_gunicorn() -> None:
    knowing = {
        path.name
        for path in SERVER.glob("*.py")
        if re.search(r"^(from|import) gunicorn\b", path.read_text(), re.MULTILINE)
    }
    assert knowing == {Path(worker.__file__).name, Path(gunicorn_logger.__file__).name}


def test_no_private_name_is_used() -> None:
    for path in SERVER.glob("*.py"):
        used = set(re.findall(r"(?<!self)(?<!cls)\.(_[a-z]\w*)", path.read_text()))
        assert used <= {"_settings"}, path


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
    assert hasattr(TCPSocket, "get_backlog")
    assert "self.sock = " in inspect.getsource(BaseSocket.__init__)


def test_the_parser_is_what_it_was() -> None:
    parsed = gunicorn_h1c.parse_request_fast(
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\nabcde"
    )
    assert (parsed.method, parsed.path, parsed.minor_version) == (b"POST", b"/x", 1)
    assert parsed.headers[0] == (b"Host", b"a")
    assert (parsed.content_length, parsed.has_chunked, parsed.connection_close) == (5, False, 1)
    with pytest.raises(gunicorn_h1c.IncompleteError):
        gunicorn_h1c.parse_request(b"GET / HTTP/1.1\r\n")
    for error in (gunicorn_h1c.LimitRequestLine, gunicorn_h1c.LimitRequestHeaders):
        assert issubclass(error, ValueError)


# What head.py and body.py make good; where the parser learns one of these, they can lose a line.
KNOWN_FAULTS = {
    "length wraps around": (b"Content-Length: 18446744073709551621\r\n", "content_length", 5),
    "gzip before chunked": (b"Transfer-Encoding: gzip, chunked\r\n", "has_chunked", True),
    "empty coding": (b"Transfer-Encoding:\r\n", "has_chunked", False),
    "folded line": (b"X: y\r\n z\r\n", "header_count", 3),
    "lone LF": (b"X: y\nZ: a\r\n", "header_count", 3),
}


@pytest.mark.parametrize(
    ("header", "name", "value"), KNOWN_FAULTS.values(), ids=KNOWN_FAULTS.keys()
)
def test_the_parser_still_lets_through(header: bytes, name: str, value: object) -> None:
    parsed = gunicorn_h1c.parse_request_fast(b"GET / HTTP/1.1\r\nHost: a\r\n" + header + b"\r\n")
    assert getattr(parsed, name) == value


def test_the_arbiter_tells_where_its_sockets_come_from() -> None:
    source = inspect.getsource(Arbiter)
    for line in ("self.systemd = True", "self.master_pid = int", "environ['GUNICORN_PID'] = "):
        assert line in source
