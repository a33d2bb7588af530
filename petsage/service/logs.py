"""Logs as JSON lines: one object a line, the same members first, and the id of the request in each.

No value can start a new line, colour a terminal or reach another member: all is escaped JSON.
"""

import json
import logging
import traceback
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NamedTuple

from petsage.service.clock import rfc3339
from petsage.service.log_stream import MAX_LINE_BYTES, LogStream
from petsage.service.process import worker_id
from petsage.service.settings import Settings

log = logging.getLogger(__name__)


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
        fields: Mapping[str, Any] = getattr(record, "fields", {})
        if fields:
            members.update(fields)
        if record.exc_info and record.exc_info[0] is not None:
            members["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        line = _line(members)
        return line if len(line) <= MAX_LINE_BYTES else _cut_to_fit(members)


# ASCII only: the length in characters is the length in bytes.
_encode = json.JSONEncoder(separators=(",", ":"), default=repr, allow_nan=False).encode


def _line(members: Mapping[str, Any]) -> str:
    return _encode(members) + "\n"


def _cut_to_fit(members: dict[str, Any]) -> str:
    """Cut the longest text, then the next, until the line fits; of a traceback keep the end."""
    while len(line := _line(members)) > MAX_LINE_BYTES:
        name = max(members, key=lambda name: len(str(members[name] or "")))
        if members[name] == _shortened(name, "", 0):
            raise ValueError("the record has too many members for one line")
        text = str(members[name])[-MAX_LINE_BYTES:] if name == "traceback" else str(members[name])
        kept, too_many = 0, min(len(text), MAX_LINE_BYTES) + 1
        while too_many - kept > 1:
            middle = (kept + too_many) // 2
            members[name] = _shortened(name, text, middle)
            if len(_line(members)) <= MAX_LINE_BYTES:
                kept = middle
            else:
                too_many = middle
        members[name] = _shortened(name, text, kept)
    return line


def _shortened(name: str, text: str, kept: int) -> str:
    return "…" + text[len(text) - kept :] if name == "traceback" else text[:kept] + "…"


def _unloggable(record: logging.LogRecord) -> logging.LogRecord:
    """Return what can be said of a record without asking anything of what is in it."""
    what = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
    return logging.makeLogRecord(
        {
            "name": record.name,
            "levelname": record.levelname,
            "created": record.created,
            "msg": f"Unloggable record: {what!r}",
        }
    )


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
            # A record that can't be formatted (wrong arguments) is its author's fault; that it
            # was there is logged all the same.
            line = self.format(_unloggable(record))
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
            record = log.makeRecord(
                *(log.name, logging.WARNING, __file__, 0),
                "The log stream works again. Lines lost: %d.",
                (self.stream.lost,),
                None,
            )
            self.handle(record)
        if not self.stream.working:
            raise OSError("the log stream can't be written to")


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
