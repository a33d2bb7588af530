"""Ping results as a probe would return them, for tests that send nothing."""

from __future__ import annotations

from typing import Any

from petsage.client.result import Failure, Outcome, PingResult

STARTED_AT = 1_800_000_000.0


def result(**changes: Any) -> PingResult:
    """Return a correct response of release v43, with these fields instead."""
    fields: dict[str, Any] = {
        "request_id": "petsage-run-1",
        "due_at": STARTED_AT,
        "latency_s": 0.002,
        "outcome": Outcome.CORRECT,
        "status": 200,
        "release": "v43",
        "commit": "unknown",
        "instance": "web.1",
        "worker": "w1",
    }
    return PingResult(**(fields | changes))


def nameless(**changes: Any) -> PingResult:
    """Return a correct response that names neither its release nor its instance."""
    fields: dict[str, Any] = {"release": None, "commit": None, "instance": None}
    return result(**(fields | changes))


def rejection(**changes: Any) -> PingResult:
    """Return the 412 of a worker that hides its release, to a bogus ping."""
    fields: dict[str, Any] = {"outcome": Outcome.MISMATCH, "status": 412, "bogus": True}
    return nameless(**(fields | changes))


def old(**changes: Any) -> PingResult:
    """Return the 412 of release v42."""
    fields: dict[str, Any] = {
        "outcome": Outcome.MISMATCH,
        "status": 412,
        "release": "v42",
        "instance": "web.2",
        "worker": "w2",
    }
    return result(**(fields | changes))


def incorrect(**changes: Any) -> PingResult:
    """Return a 500 of v43's own."""
    fields: dict[str, Any] = {
        "outcome": Outcome.INCORRECT,
        "failure": Failure.SERVER_ERROR,
        "status": 500,
        "detail": "500 internal-error",
    }
    return result(**(fields | changes))


def failed(
    outcome: Outcome = Outcome.DOWN, failure: Failure = Failure.REFUSED, **changes: Any
) -> PingResult:
    """Return a ping that got no response of the service."""
    fields: dict[str, Any] = {
        "outcome": outcome,
        "failure": failure,
        "detail": "connection refused",
        "status": None,
        "release": None,
        "commit": None,
        "instance": None,
        "worker": None,
    }
    return result(**(fields | changes))


def page(**changes: Any) -> PingResult:
    """Return a 200 page of something that is not the service."""
    fields: dict[str, Any] = {"status": 200, "detail": "200 text/html without a PetSage mark"}
    return failed(Outcome.NOT_REACHED, Failure.NOT_THE_SERVICE, **(fields | changes))


def rate_limited(**changes: Any) -> PingResult:
    """Return a 429."""
    fields: dict[str, Any] = {"status": 429, "detail": "429 Too Many Requests"}
    return failed(Outcome.RATE_LIMITED, Failure.OTHER_STATUS, **(fields | changes))
