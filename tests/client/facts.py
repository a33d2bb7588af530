"""Facts as pings would find them, for the rooms that never ping."""

from __future__ import annotations

from typing import Any

from petsage.client.fact import Fact, Failure


def fact(**changes: Any) -> Fact:
    """Return a right answer of release v43, with these fields instead."""
    fields: dict[str, Any] = {
        "request_id": "petsage-run-1",
        "due_at": 1_800_000_000.0,
        "latency_s": 0.002,
        "status": 200,
        "release": "v43",
        "commit": "unknown",
        "instance": "web.1",
        "worker": "w1",
    }
    return Fact(**(fields | changes))


def lost(failure: Failure = Failure.RESET) -> Fact:
    """Return a ping that failed in transport."""
    return Fact(
        request_id="petsage-run-1",
        due_at=1_800_000_000.0,
        latency_s=0.1,
        failure=failure,
        detail="the connection was reset",
    )


NEW = fact()
OLD = fact(release="v42", mismatch=True, status=412, worker="w2")
PAGE = fact(
    failure=Failure.NOT_PETSAGE, release=None, commit=None, instance=None, worker=None, detail="200"
)
