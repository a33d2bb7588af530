"""The clock of a run. The loops get it as an argument, so that their tests need no real time."""

from __future__ import annotations

import time

# Unix time that goes on evenly, even if the system's clock is set during the run.
_EPOCH = time.time() - time.monotonic()


def unix_time() -> float:
    """Return the Unix time in seconds, as it was at the start and has gone on evenly since."""
    return _EPOCH + time.monotonic()


class Clock:
    """The machine's own clock; all values are seconds."""

    def now(self) -> float:
        """Return the monotonic time."""
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """Return after so many seconds."""
        time.sleep(seconds)

    def unix_time(self, at: float) -> float:
        """Return a value of `now` as Unix time."""
        return _EPOCH + at
