"""The domain: what each diagnostic says. It knows neither Flask nor HTTP."""

import logging
from collections.abc import Collection
from dataclasses import asdict

from petsage import __version__
from petsage.contract import (
    API_HEALTH_MESSAGE,
    BACKEND_SMOKE_TEST_FEATURE,
    BACKEND_SMOKE_TEST_MESSAGE,
    LOGGING_SMOKE_TEST_MESSAGE,
    LOGGING_SMOKE_TEST_RECORD,
    SMOKE_TEST_MESSAGE,
    STATUS_OK,
    SYSTEM_HEALTH_MESSAGE,
)
from petsage.service.clock import rfc3339
from petsage.service.logs import Receipt
from petsage.service.problems import MAX_FAULTS, Problem, bounded
from petsage.service.process import started_at, worker_id
from petsage.service.readiness import Readiness
from petsage.service.settings import Settings

log = logging.getLogger(__name__)


def smoke_test(ping: str, now: float) -> dict[str, str]:
    """Echo `ping`, unchanged."""
    return {
        "status": STATUS_OK,
        "message": SMOKE_TEST_MESSAGE,
        "pong": ping,
        "timestamp": rfc3339(now),
    }


def backend_smoke_test(now: float) -> dict[str, str]:
    """Say that the backend is there."""
    return {
        "status": STATUS_OK,
        "message": BACKEND_SMOKE_TEST_MESSAGE,
        "feature": BACKEND_SMOKE_TEST_FEATURE,
        "timestamp": rfc3339(now),
    }


LIVE = {"status": STATUS_OK}
API_HEALTH = {"status": STATUS_OK, "message": API_HEALTH_MESSAGE}
SYSTEM_HEALTH = {"status": STATUS_OK, "message": SYSTEM_HEALTH_MESSAGE}


def logging_smoke_test() -> dict[str, str]:
    """Write an INFO record, and say that it was written.

    Raises:
        Problem: `logging-broken`, if no handler wrote it: INFO is switched off, or the log
            stream fails.

    """
    receipt = Receipt()
    log.info(LOGGING_SMOKE_TEST_RECORD, extra={"receipt": receipt})
    if not receipt.written:
        raise Problem("logging-broken")
    return {"status": STATUS_OK, "message": LOGGING_SMOKE_TEST_MESSAGE}


def ready(readiness: Readiness, exclude: Collection[str]) -> dict[str, object]:
    """Run the readiness checks but for the excluded ones, and say how each went.

    Raises:
        Problem: `not-ready` if a check did not pass, with those that did not first, and as many
            as an error's body may hold; `validation-error` if there is no check of
            an excluded name.

    """
    if not set(exclude) <= set(readiness.names()):
        names, more = readiness.names()[:MAX_FAULTS], len(readiness.names()) - MAX_FAULTS
        raise Problem(
            "validation-error",
            f"These checks can be excluded: {', '.join(names)}"
            f"{f', and {more} more' if more > 0 else ''}.",
            errors={"query": {"exclude": ["Unknown check."]}},
        )
    checks = {name: asdict(result) for name, result in readiness.results(exclude).items()}
    failed = {name: check for name, check in checks.items() if check["status"] != "ok"}
    if failed:
        raise Problem("not-ready", **bounded({"checks": failed | checks}))
    return {"status": STATUS_OK, "checks": checks}


def version(settings: Settings) -> dict[str, object]:
    """Say which release, commit, instance and worker this is, as far as it may be disclosed."""
    release = settings.release
    shown = settings.disclose_release
    return {
        "name": "petsage",
        "version": __version__,
        "release": release.name if shown else None,
        "commit": release.commit if shown else None,
        "source": {"release": release.name_source, "commit": release.commit_source}
        if shown
        else None,
        "instance": settings.instance if shown else None,
        "worker": worker_id(),
        "started_at": rfc3339(started_at()),
    }
