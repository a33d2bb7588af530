"""Time as the wire and the log write it: RFC 3339, UTC, microseconds and `Z`."""

from datetime import UTC, datetime


def rfc3339(moment: float | datetime) -> str:
    """Return a moment as `2026-11-21T08:42:53.009378Z`.

    Args:
        moment: an aware datetime, or seconds since the epoch.

    """
    if not isinstance(moment, datetime):
        moment = datetime.fromtimestamp(moment, UTC)
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[: -len("+00:00")] + "Z"
