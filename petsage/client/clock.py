"""The clock of a run: Unix time that is never set, whatever becomes of the system's clock."""

from __future__ import annotations

import time

_BEGAN = time.time() - time.monotonic()


def unix_time() -> float:
    """Return the Unix time in seconds as it was at the start, gone on evenly since."""
    return _BEGAN + time.monotonic()
