"""Time as the wire and the log write it: RFC 3339, UTC, microseconds and `Z`."""

from datetime import UTC, datetime
from functools import lru_cache


def rfc3339(moment: float) -> str:
    """Return a moment, in seconds since the epoch, as `2026-11-21T08:42:53.009378Z`."""
    seconds, microseconds = divmod(round(moment * 1_000_000), 1_000_000)
    return f"{_to_the_second(seconds)}.{microseconds:06d}Z"


# Made once a second, and not for each answer and each log line in it.
@lru_cache(maxsize=4)
def _to_the_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().removesuffix("+00:00")
