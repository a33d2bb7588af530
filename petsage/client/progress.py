"""Says on stderr how far a run is: one live line on a terminal, else a plain line now and then."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from typing import TextIO

from petsage.client.tally import Tally
from petsage.client.verdict import Row

_LIVE_SECONDS = 0.1
_PLAIN_SECONDS = 10.0


class Progress:
    """Call it after each ping; `clear` before anything else is written."""

    def __init__(
        self,
        stream: TextIO | None,
        *,
        live: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream, self._live, self._clock = stream, live, clock
        self._began = clock()
        self._spoke = self._began
        self._shown = False

    def __call__(self, tally: Tally, row: Row, doing: str) -> None:
        """Say it, unless it has just been said."""
        now = self._clock()
        if now - self._spoke < (_LIVE_SECONDS if self._live else _PLAIN_SECONDS):
            return
        self._spoke = now
        waiting = "waiting for the first right answer"
        where = waiting if row.waiting else f"{row.reached} of {row.needed} in a row"
        parts = [f"{now - self._began:.0f} s", f"{tally.sent} pings", where]
        if row.breaks:
            parts.append(f"{row.breaks} breaks")
        if doing:
            parts.append(doing)
        self._say(", ".join(parts))

    def _say(self, text: str) -> None:
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            self._write(f"\r\x1b[K{text[:width]}")
            self._shown = True
        else:
            self._write(f"petsage: {text}\n")

    def clear(self) -> None:
        """Wipe the live line."""
        if self._shown:
            self._write("\r\x1b[K")
            self._shown = False

    def _write(self, text: str) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            # A terminal that is gone must not end the run.
            self._stream = None
