"""The far end of the log pipeline: reads it from before the first ping on, and finds one line.

The line that counts is the app's own: its `logger` is `petsage.request`. A router's or a proxy's
access log has the id too, but proves nothing of the app's log.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from petsage.client.run import LogResult

REQUEST_LOGGER = "petsage.request"
MAX_LINE_BYTES = 1_048_576
# Lines are kept until the id is known: a proxy may have replaced the one that was sent.
_MAX_KEPT_CHARACTERS = 16 * MAX_LINE_BYTES
_READ_BYTES = 65_536
_POLL_SECONDS = 0.05
# A line that is incomplete may be followed by a complete one of the same request.
_GRACE_SECONDS = 1.0
# Where a JSON object may begin in a line, and how deep the record may stand in it.
_MAX_STARTS = 64
_MAX_DEPTH = 8
# Also where the record is a JSON string within another one, or is cut off.
_OWN_LINE = re.compile(r"\blogger\W+" + re.escape(REQUEST_LOGGER) + r"\b")


class LogTail:
    """Reads a stream or follows a file, in a thread. `now` is the clock that `wait_for` uses."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._changed = threading.Condition()
        self._kept: deque[tuple[float, str]] = deque()
        self._kept_characters = 0
        self._request_id: str | None = None
        self._found_at: float | None = None
        self._complete = False
        self._other_line = False
        self._reason = ""
        self._ended = False

    def follow(self, path: str) -> LogTail:
        """Follow the file at `path` from its end. One that does not exist yet is waited for."""
        return self._start(lambda: self._follow(path))

    def read(self, descriptor: int) -> LogTail:
        """Read a stream, such as standard input, to its end."""
        return self._start(lambda: self._read_to_end(descriptor))

    def _start(self, work: Callable[[], None]) -> LogTail:
        def run() -> None:
            try:
                work()
            except OSError as error:
                self._end(f"the log can't be read: {error.strerror}")
            else:
                self._end("the log stream has ended")

        threading.Thread(target=run, name="petsage-logs", daemon=True).start()
        return self

    def _end(self, reason: str) -> None:
        with self._changed:
            self._ended = True
            self._reason = reason
            self._changed.notify_all()

    def _read_to_end(self, descriptor: int) -> None:
        lines = _Lines(self.take)
        while data := os.read(descriptor, _READ_BYTES):
            lines.feed(data)
        lines.flush()

    def _follow(self, path: str) -> None:
        from_start = False
        while True:
            try:
                descriptor = os.open(path, os.O_RDONLY)
            except FileNotFoundError:
                from_start = True
                self._reason = f"{path!r} does not exist"
                time.sleep(_POLL_SECONDS)
                continue
            self._reason = ""
            try:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    return self._read_to_end(descriptor)
                if not from_start:
                    os.lseek(descriptor, 0, os.SEEK_END)
                self._follow_until_rotated(path, descriptor)
            finally:
                os.close(descriptor)
            from_start = True

    def _follow_until_rotated(self, path: str, descriptor: int) -> None:
        lines = _Lines(self.take)
        opened = os.fstat(descriptor)
        rotated = False
        while True:
            while data := os.read(descriptor, _READ_BYTES):
                lines.feed(data)
            if rotated:
                return lines.flush()
            if os.fstat(descriptor).st_size < os.lseek(descriptor, 0, os.SEEK_CUR):
                os.lseek(descriptor, 0, os.SEEK_SET)
                continue
            time.sleep(_POLL_SECONDS)
            try:
                current = Path(path).stat()
            except FileNotFoundError:
                continue
            # The old file is read to its end once more: it may have grown just before.
            rotated = (current.st_dev, current.st_ino) != (opened.st_dev, opened.st_ino)

    def take(self, line: str) -> None:
        """Take in one line of the log."""
        with self._changed:
            if self._request_id is not None:
                self._look(self._now(), line)
                return
            self._kept.append((self._now(), line))
            self._kept_characters += len(line)
            while self._kept_characters > _MAX_KEPT_CHARACTERS:
                self._kept_characters -= len(self._kept.popleft()[1])

    def _look(self, at: float, line: str) -> None:
        request_id = self._request_id
        if request_id is None or request_id not in line:
            return
        if not _OWN_LINE.search(line):
            self._other_line = True
            return
        if self._found_at is None:
            self._found_at = at
        self._complete |= is_complete(line, request_id)
        self._changed.notify_all()

    def wait_for(self, request_id: str, responded: float, within: float) -> LogResult:
        """Return what came of the request whose response was there at `responded` (by `now`).

        It waits until `within` seconds after that; less where the log has ended. To be called
        once.
        """
        until = responded + within
        with self._changed:
            self._request_id = request_id
            while self._kept:
                self._look(*self._kept.popleft())
            self._wait_until(until, lambda: self._found_at is not None)
            found_at = self._found_at
            if found_at is None or found_at > until:
                return LogResult(found=False, reason=self._reason, other_line=self._other_line)
            self._wait_until(found_at + _GRACE_SECONDS, lambda: self._complete)
            late_s = round(max(0.0, found_at - responded), 3)
            return LogResult(found=True, late_s=late_s, complete=self._complete)

    def _wait_until(self, until: float, holds: Callable[[], bool]) -> None:
        timeout = max(0.0, until - self._now())
        self._changed.wait_for(lambda: holds() or self._ended, timeout=timeout)


class _Lines:
    """Cuts data into lines; at a limit of length also where there is no line end."""

    def __init__(self, take: Callable[[str], None]) -> None:
        self._take = take
        self._rest = bytearray()

    def feed(self, data: bytes) -> None:
        self._rest += data
        if b"\n" in data:
            *lines, rest = bytes(self._rest).split(b"\n")
            for line in lines:
                self._take(line.decode("utf-8", "replace"))
            self._rest = bytearray(rest)
        if len(self._rest) > MAX_LINE_BYTES:
            self.flush()

    def flush(self) -> None:
        if self._rest:
            self._take(self._rest.decode("utf-8", "replace"))
        self._rest.clear()


def is_complete(line: str, request_id: str) -> bool:
    """Return whether the line has the record of this request as one complete JSON object.

    A platform's prefix before it is allowed, and so is a JSON envelope around it.
    """
    start, decoder = -1, json.JSONDecoder()
    for _ in range(_MAX_STARTS):
        start = line.find("{", start + 1)
        if start < 0:
            return False
        with contextlib.suppress(ValueError, RecursionError):
            value, end = decoder.raw_decode(line, start)
            if _has_record(value, request_id, depth=0):
                return True
            # What is within it has been searched; again would double the work at each level.
            start = end - 1
    return False


def _has_record(value: Any, request_id: str, depth: int) -> bool:
    if depth > _MAX_DEPTH:
        return False
    if isinstance(value, str):
        return request_id in value and "{" in value and is_complete(value, request_id)
    if isinstance(value, dict):
        if value.get("request_id") == request_id and value.get("logger") == REQUEST_LOGGER:
            return True
        value = list(value.values())
    return isinstance(value, list) and any(
        _has_record(part, request_id, depth + 1) for part in value
    )
