"""Says on stderr how far a run is: one live line on a terminal, else a plain line now and then."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from petsage.client.findings import row_phrase
from petsage.client.tally import Tally
from petsage.client.verdict import Row

_LIVE_SECONDS = 0.1
_PLAIN_SECONDS = 10.0


class Speaker:
    """Says a line again and again: on a terminal always the same one, rewritten in place."""

    def __init__(
        self,
        stream: TextIO | None,
        *,
        live: bool,
        plain_every_s: float = _PLAIN_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream, self._live, self._clock = stream, live, clock
        self._every = _LIVE_SECONDS if live else plain_every_s
        self._began = clock()
        self._spoke = self._began
        self._shown = False
        self._within_line = False
        self._lock = threading.RLock()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the run began."""
        return self._clock() - self._began

    def is_time(self) -> bool:
        """Return whether something may be said again, and take it as said."""
        now = self._clock()
        if now - self._spoke < self._every:
            return False
        self._spoke = now
        return True

    def say(self, text: str) -> None:
        """Say the line as it is now, unless that would have to wait: no reader stops the pings."""
        with self._at_once() as free:
            if not free:
                return
            if not self._live:
                self._write(f"petsage: {text}\n")
            elif not self._within_line:
                self._write(f"\r\x1b[K{text[: self._columns() - 1]}")
                self._shown = True

    def _columns(self) -> int:
        """Return how wide the stream's own terminal is: stdout may be a file, or another one."""
        try:
            return os.get_terminal_size(self._stream.fileno() if self._stream else -1).columns or 80
        except (OSError, ValueError):
            return 80

    def say_above(self, text: str, *, wait: bool = True) -> bool:
        """Say something that stays, above the live line; from whatever thread.

        Return whether it was said: without `wait` it is not where the reader takes nothing.
        """
        with self._lock if wait else self._at_once() as free:
            if not free:
                return False
            self._wipe()
            self._write(text)
            self._within_line = not text.endswith("\n")
            return True

    def clear(self) -> None:
        """Wipe the live line."""
        with self._at_once() as free:
            if free:
                self._wipe()

    def _wipe(self) -> None:
        if self._shown:
            self._write("\r\x1b[K")
            self._shown = False

    @contextmanager
    def _at_once(self) -> Iterator[bool]:
        """Hold the lock, or yield False where another thread has it or the reader takes nothing.

        A pager that nobody scrolls, or a terminal after Ctrl-S, takes nothing for hours.
        """
        if not self._lock.acquire(blocking=False):
            yield False
            return
        try:
            yield self._takes_more()
        finally:
            self._lock.release()

    def _takes_more(self) -> bool:
        try:
            ready = select.poll()
            ready.register(self._stream.fileno() if self._stream else -1, select.POLLOUT)
        except (OSError, ValueError):
            # Not a file of the system's: writing will tell.
            return True
        return bool(ready.poll(0))

    def _write(self, text: str) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            # A terminal that is gone must not end the run.
            self._stream = None


class Progress(Speaker):
    """Call it after each ping; `clear` before anything else is written."""

    def __call__(self, tally: Tally, row: Row, doing: str) -> None:
        """Say how far the row is, unless it has just been said."""
        if not self.is_time():
            return
        waiting = "waiting for the first right answer"
        where = waiting if row.waiting else row_phrase(row)
        parts = [f"{self.elapsed_s:.0f} s", f"{tally.sent} pings", where]
        if row.breaks:
            parts.append(f"{row.breaks} breaks")
        if doing:
            parts.append(doing)
        self.say(", ".join(parts))
