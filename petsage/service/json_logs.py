"""Logs as JSON lines on stdout: one object a line, the id of the request in each.

No value can start a new line, colour a terminal or reach another member: all is escaped JSON. A
line is written completely and at once, or it is lost: a reader that sleeps stops no request.
"""

from __future__ import annotations

import json
import logging
import os
import select
import socket
import stat
import sys
import threading
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from petsage.service.process import worker_id

if TYPE_CHECKING:
    from types import TracebackType

    from petsage.service.settings import Settings

log = logging.getLogger(__name__)

# Writes of up to PIPE_BUF bytes are atomic (POSIX, write(2)): the lines of several workers
# that share one pipe don't interleave.
MAX_LINE_BYTES = 4096


def rfc3339(moment: float) -> str:
    """Return a moment, in seconds since the epoch, as `2026-11-21T08:42:53.009378Z`."""
    seconds, microseconds = divmod(round(moment * 1_000_000), 1_000_000)
    return f"{_to_the_second(seconds)}.{microseconds:06d}Z"


# Made once a second, and not for each response and each log line in it.
@lru_cache(maxsize=4)
def _to_the_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().removesuffix("+00:00")


class RequestContext(NamedTuple):
    """Which request is being served: its id, and its trace if a `traceparent` named one."""

    request_id: str | None = None
    trace_id: str | None = None


current_request: ContextVar[RequestContext] = ContextVar(
    "current_request",
    default=RequestContext(),  # noqa: B039 - a tuple
)


@dataclass
class Receipt:
    """Handed in with a record (`extra={"receipt": receipt}`); tells whether it was written."""

    written: bool = False


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object of at most 4,096 bytes with its newline.

    A record's `fields` (`extra={"fields": {...}}`) become members of the object.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._release = settings.release.name
        self._instance = settings.instance

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, newline included."""
        request = current_request.get()
        members: dict[str, Any] = {
            "timestamp": rfc3339(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": request.request_id,
            "trace_id": request.trace_id,
            "release": self._release,
            "instance": self._instance,
            "worker": worker_id(),
        }
        members.update(getattr(record, "fields", {}))
        if record.exc_info and record.exc_info[0] is not None:
            members["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        line = _line(members)
        return line if len(line) <= MAX_LINE_BYTES else _cut_to_fit(members)


# ASCII only: the length in characters is the length in bytes.
_encode = json.JSONEncoder(separators=(",", ":"), default=repr, allow_nan=False).encode


def _line(members: dict[str, Any]) -> str:
    return _encode(members) + "\n"


def _cut_to_fit(members: dict[str, Any]) -> str:
    """Cut the longest text, then the next, until the line fits; of a traceback keep the end."""
    while len(line := _line(members)) > MAX_LINE_BYTES:
        name = max(members, key=lambda name: len(str(members[name] or "")))
        text = str(members[name])
        kept = min(len(text) - 1, MAX_LINE_BYTES) * 4 // 5
        if kept == 0:
            raise ValueError("the record has too many members for one line")
        members[name] = f"…{text[-kept:]}" if name == "traceback" else f"{text[:kept]}…"
    return line


def record_of(name: str, level: int, message: str, **attributes: object) -> logging.LogRecord:
    """Return a record. Logging's own ways look for the line of code, which no log line names."""
    known = {"name": name, "levelno": level, "levelname": logging.getLevelName(level)}
    return logging.makeLogRecord({**known, "msg": message, **attributes})


class JsonHandler(logging.Handler):
    """Writes records to the log stream, and knows whether that works."""

    def __init__(self, settings: Settings, stream: LogStream) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter(settings))
        self.stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; a line that can't be written is lost, never waited for."""
        try:
            line = self.format(record)
        except Exception:
            # A record that can't be formatted (wrong arguments) is its author's bug; that it
            # existed is logged all the same, without asking anything of what is in it.
            what = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
            message = f"Unloggable record: {what!r}"
            line = self.format(record_of(record.name, record.levelno, message))
        written = self.stream.write(line.encode())
        receipt: Receipt | None = getattr(record, "receipt", None)
        if receipt is not None and written:
            receipt.written = True

    def close(self) -> None:
        """Close the stream with the handler."""
        self.stream.close()
        super().close()

    def check(self) -> None:
        """Raise an error unless the last write of the log stream worked.

        After a write that failed the stream is tried again, with a line that says what was lost:
        otherwise a service that logs little would stay unready for long.
        """
        if not self.stream.working:
            message = f"The log stream works again. Lines lost: {self.stream.lost}."
            self.handle(record_of(log.name, logging.WARNING, message))
        if not self.stream.working:
            raise OSError("the log stream can't be written to")


class LogStream:
    """The log stream of this process, on a file descriptor that it shares with others.

    Attributes:
        working: whether the last write worked; true before the first.
        lost: how many lines were lost since the last write that worked.

    """

    def __init__(self, descriptor: int = 1) -> None:
        self.working = True
        self.lost = 0
        self._torn = False
        self._write, self._close = _never_blocking(descriptor)

    def write(self, line: bytes) -> bool:
        """Write one line of at most `MAX_LINE_BYTES` bytes; return whether it was written."""
        if self._torn:
            line = b"\n" + line
        try:
            written = self._write(line)
        except OSError:
            # EAGAIN (the reader sleeps), EPIPE (it is gone), ENOSPC (the disk is full) ...
            written = 0
        self.working = written == len(line)
        self.lost = 0 if self.working else self.lost + 1
        if written:
            # Pipes take a line whole or not at all; terminals and disks may take a part.
            self._torn = not self.working
        return self.working

    def close(self) -> None:
        """Give back what was opened for this stream; the shared descriptor stays open."""
        self._close()


def _never_blocking(descriptor: int) -> tuple[Callable[[bytes], int], Callable[[], None]]:
    try:
        kind = os.fstat(descriptor).st_mode
    except OSError:
        _hold_closed(descriptor)
        kind = stat.S_IFIFO
    if stat.S_ISSOCK(kind):  # systemd's journal
        peer = socket.socket(fileno=os.dup(descriptor))
        return lambda line: peer.send(line, socket.MSG_DONTWAIT), peer.close
    if stat.S_ISREG(kind):
        return lambda line: os.write(descriptor, line), lambda: None
    # A pipe or a terminal. O_NONBLOCK belongs to the open file description, which other processes
    # share: a description of our own is opened, through Linux's /proc.
    try:
        own = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return lambda line: _write_if_ready(descriptor, line), lambda: None
    return lambda line: os.write(own, line), lambda: os.close(own)


def _hold_closed(descriptor: int) -> None:
    """Have each write to a closed descriptor fail.

    Otherwise the next file or connection that is opened gets its number, and the log.
    """
    reader, writer = os.pipe()
    os.close(reader)
    if writer != descriptor:
        os.dup2(writer, descriptor)
        os.close(writer)


def _write_if_ready(descriptor: int, line: bytes) -> int:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return os.write(descriptor, line) if poll.poll(0) else 0


def install(settings: Settings, stream: LogStream | None = None) -> JsonHandler:
    """Send every record of this process to the log stream, in place of an earlier `install`.

    Other handlers of the root logger, such as those of a test runner, are left alone.
    """
    handler = JsonHandler(settings, stream or LogStream())
    root = logging.getLogger()
    for other in root.handlers[:]:
        if isinstance(other, JsonHandler):
            root.removeHandler(other)
            other.close()
    root.addHandler(handler)
    root.setLevel(settings.log_level)
    return handler


def log_all_else() -> None:
    """Have what Python would print in its own form come as a log line like any other."""
    logging.raiseExceptions = False
    logging.captureWarnings(True)
    # No line names them, so they need no look-up ("Optimization" in the logging HOWTO).
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    setattr(logging, "logAsyncioTasks", False)  # noqa: B010 - new in Python 3.12
    sys.excepthook = _log_uncaught
    sys.unraisablehook = _log_unhandled
    threading.excepthook = _log_unhandled


def _log_uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    log.critical("An exception was not caught.", exc_info=(kind, error, trace))


def _log_unhandled(args: sys.UnraisableHookArgs | threading.ExceptHookArgs) -> None:
    # A thread may end itself with SystemExit; Python's own hook is silent about that too.
    if args.exc_value is not None and args.exc_type is not SystemExit:
        _log_uncaught(args.exc_type, args.exc_value, args.exc_traceback)
