"""The far end of the log pipeline: watches it for the ids of this run's requests."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_LINE_BYTES = 1_048_576
_PIECE = 65_536
_POLL_SECONDS = 0.05
# How long a line that is not whole waits for a better one of the same request.
_GRACE_SECONDS = 1.0
# Heroku's router repeats the request id in a line of its own, which proves nothing of the
# app's.
_ROUTER = re.compile(r"\bheroku(\[router\]|/router\b)")
_MAX_STARTS = 64


@dataclass(frozen=True, slots=True)
class LogFinding:
    """What came of the marker: seconds from the answer to its line, and whether it is one object.

    `trouble` says why the line did not come, where that is known, and `ended` whether it could not
    come any more.
    """

    found: bool
    late_s: float | None = None
    whole: bool | None = None
    trouble: str = ""
    ended: bool = False


@dataclass(slots=True)
class _Sighting:
    at: float
    whole: bool


class LogWatch:
    """Reads a stream or follows a file in a thread of its own, from before the first ping on."""

    def __init__(self, run: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._ids = re.compile(rf"petsage-{re.escape(run)}-[0-9a-f]+")
        self._clock = clock
        self._seen: dict[str, _Sighting] = {}
        self._changed = threading.Condition()
        self._trouble = ""
        self._ended = False

    def follow(self, path: str) -> LogWatch:
        """Watch the file at `path`, its old lines excepted; one not there yet is awaited."""
        return self._start(lambda: self._follow(path))

    def read(self, descriptor: int) -> LogWatch:
        """Watch a stream, such as standard input, to its end."""
        return self._start(lambda: self._drain(descriptor))

    def _start(self, work: Callable[[], None]) -> LogWatch:
        def run() -> None:
            try:
                work()
            except OSError as fault:
                self._end(f"the log can not be read: {fault.strerror}")
            else:
                self._end("the log stream has ended")

        threading.Thread(target=run, name="petsage-logs", daemon=True).start()
        return self

    def _end(self, trouble: str) -> None:
        with self._changed:
            self._ended = True
            self._trouble = trouble
            self._changed.notify_all()

    def _drain(self, descriptor: int) -> None:
        lines = _Lines(self.take)
        while piece := os.read(descriptor, _PIECE):
            lines.feed(piece)
        lines.flush()

    def _follow(self, path: str) -> None:
        from_start = False
        while True:
            try:
                descriptor = os.open(path, os.O_RDONLY)
            except FileNotFoundError:
                from_start = True
                self._trouble = f"{path!r} does not exist"
                time.sleep(_POLL_SECONDS)
                continue
            self._trouble = ""
            try:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    return self._drain(descriptor)
                if not from_start:
                    os.lseek(descriptor, 0, os.SEEK_END)
                self._follow_until_rotated(path, descriptor)
            finally:
                os.close(descriptor)
            from_start = True

    def _follow_until_rotated(self, path: str, descriptor: int) -> None:
        lines = _Lines(self.take)
        mine = os.fstat(descriptor)
        rotated = False
        while True:
            while piece := os.read(descriptor, _PIECE):
                lines.feed(piece)
            if rotated:
                return lines.flush()
            if os.fstat(descriptor).st_size < os.lseek(descriptor, 0, os.SEEK_CUR):
                os.lseek(descriptor, 0, os.SEEK_SET)
                continue
            time.sleep(_POLL_SECONDS)
            try:
                there = Path(path).stat()
            except FileNotFoundError:
                continue
            # What was written before the new file was there is read once more, to the end.
            rotated = (there.st_dev, there.st_ino) != (mine.st_dev, mine.st_ino)

    def take(self, line: str) -> None:
        """Take in one line of the log."""
        ids = set(self._ids.findall(line))
        if not ids or _ROUTER.search(line):
            return
        now = self._clock()
        with self._changed:
            for request_id in ids:
                whole = is_whole(line, request_id)
                sighting = self._seen.setdefault(request_id, _Sighting(now, whole))
                sighting.whole |= whole
            self._changed.notify_all()

    def await_line(self, request_id: str, answered: float, within: float) -> LogFinding:
        """Return what came of the request that was answered at `answered` (by the clock given).

        It waits until `within` seconds after that; less where the log has ended.
        """
        with self._changed:
            self._wait_for(lambda: request_id in self._seen, answered + within)
            sighting = self._seen.get(request_id)
            if sighting is None or sighting.at > answered + within:
                return LogFinding(found=False, trouble=self._trouble, ended=self._ended)
            self._wait_for(lambda: sighting.whole, sighting.at + _GRACE_SECONDS)
            late = round(max(0.0, sighting.at - answered), 3)
            return LogFinding(found=True, late_s=late, whole=sighting.whole)

    def _wait_for(self, holds: Callable[[], bool], until: float) -> None:
        self._changed.wait_for(
            lambda: holds() or self._ended, timeout=max(0.0, until - self._clock())
        )


class _Lines:
    """Cuts pieces into lines. One that has no end is taken as it is, at a limit."""

    def __init__(self, take: Callable[[str], None]) -> None:
        self._take = take
        self._rest = bytearray()

    def feed(self, piece: bytes) -> None:
        self._rest += piece
        *lines, rest = bytes(self._rest).split(b"\n") if b"\n" in piece else [bytes(self._rest)]
        for line in lines:
            self._take(line.decode("utf-8", "replace"))
        self._rest = bytearray(rest)
        if len(self._rest) > MAX_LINE_BYTES:
            self.flush()

    def flush(self) -> None:
        if self._rest:
            self._take(bytes(self._rest).decode("utf-8", "replace"))
        self._rest.clear()


def is_whole(line: str, request_id: str) -> bool:
    """Return whether the line holds the record of this request as one whole JSON object.

    A platform's prefix before it is no harm, nor an envelope of JSON around it.
    """
    start, decoder = -1, json.JSONDecoder()
    for _ in range(_MAX_STARTS):
        start = line.find("{", start + 1)
        if start < 0:
            return False
        with contextlib.suppress(ValueError, RecursionError):
            value, end = decoder.raw_decode(line, start)
            if _holds(value, request_id, depth=0):
                return True
            # What stands within it has been looked at; once more would double at each level.
            start = end - 1
    return False


def _holds(value: Any, request_id: str, depth: int) -> bool:
    if depth > 8:
        return False
    if isinstance(value, str):
        return request_id in value and "{" in value and is_whole(value, request_id)
    if isinstance(value, dict):
        if value.get("request_id") == request_id:
            return True
        value = list(value.values())
    return isinstance(value, list) and any(_holds(part, request_id, depth + 1) for part in value)
