"""The JSON routes: what each takes, does and returns. A docstring is the OpenAPI summary."""

import logging
from dataclasses import asdict
from itertools import islice
from time import time
from typing import Any

from flask import Response
from marshmallow import RAISE

from petsage import __version__, contract
from petsage.service import schemas
from petsage.service.blueprint import StrictBlueprint, reject_query
from petsage.service.fast_path import json_response
from petsage.service.json_logs import Receipt, rfc3339
from petsage.service.problems import MAX_NAMES, Problem
from petsage.service.process import started_at, worker_id
from petsage.service.readiness import Readiness
from petsage.service.settings import Settings

log = logging.getLogger(__name__)

# The tag of these routes in the OpenAPI document.
TAG = "System Health"

# Stands on its own: it can be registered on any flask-smorest Api, and is as strict there.
smoke_test_blueprint = StrictBlueprint(
    "smoke_test",
    __name__,
    tag=TAG,
    description="Does the service respond, is it ready, and which release of it is this?",
)


@smoke_test_blueprint.route(contract.SMOKE_TEST_PATH, methods=["POST"])
@smoke_test_blueprint.arguments(schemas.SmokeTestIn())
@smoke_test_blueprint.response(200, schemas.SmokeTestOut())
def smoke_test(body: dict[str, str]) -> Response:
    """Echo a ping, strictly validated: the smoke test to use after a deploy."""
    reject_query()
    return json_response(
        {
            "status": contract.STATUS_OK,
            "message": contract.SMOKE_TEST_MESSAGE,
            "pong": body["ping"],
            "timestamp": rfc3339(time()),
        }
    )


smoke_test_blueprint.route(contract.SMOKE_TEST_V1_PATH, methods=["POST"], endpoint="smoke_test_v1")(
    smoke_test_blueprint.doc(
        summary="The same as /system/smoke-test, where a proxy forwards /api/v1 alone."
    )(smoke_test)
)


@smoke_test_blueprint.route(contract.BACKEND_SMOKE_TEST_PATH)
@smoke_test_blueprint.response(200, schemas.BackendSmokeTestOut())
def backend_smoke_test() -> Response:
    """Say that the backend responds: a smoke test where only GET is possible."""
    return json_response(
        {
            "status": contract.STATUS_OK,
            "message": contract.BACKEND_SMOKE_TEST_MESSAGE,
            "feature": contract.BACKEND_SMOKE_TEST_FEATURE,
            "timestamp": rfc3339(time()),
        }
    )


def system_blueprint(settings: Settings, readiness: Readiness) -> StrictBlueprint:
    """Return the routes that tell how this service is, and which release of it."""
    system = StrictBlueprint("system", __name__, tag=TAG)

    @system.route(contract.LOGGING_SMOKE_TEST_PATH)
    @system.response(200, schemas.LoggingSmokeTestOut())
    @system.alt_response(503, response="logging-broken")
    def logging_smoke_test() -> Response:
        """Write a log record: 200 only if it was written."""
        receipt = Receipt()
        log.info(contract.LOGGING_SMOKE_TEST_RECORD, extra={"receipt": receipt})
        if not receipt.written:
            raise Problem("logging-broken")
        return _ok(contract.LOGGING_SMOKE_TEST_MESSAGE)

    @system.route(contract.API_HEALTH_PATH)
    @system.response(200, schemas.ApiHealthOut())
    def api_health() -> Response:
        """Say that the API responds: for people; probes use /system/live."""
        return _ok(contract.API_HEALTH_MESSAGE)

    @system.route(contract.SYSTEM_HEALTH_PATH)
    @system.response(200, schemas.SystemHealthOut())
    def system_health() -> Response:
        """Say that the system responds: for people; probes use /system/live."""
        return _ok(contract.SYSTEM_HEALTH_MESSAGE)

    @system.route(contract.LIVE_PATH)
    @system.response(200, schemas.LiveOut())
    def live() -> Response:
        """Say that this process responds; checks nothing else: for liveness probes."""
        return json_response({"status": contract.STATUS_OK})

    @system.route(contract.READY_PATH)
    @system.arguments(schemas.ReadyIn(), location="query", unknown=RAISE)
    @system.response(200, schemas.ReadyOut())
    @system.alt_response(503, response="not-ready")
    def ready(query: dict[str, Any]) -> Response:
        """Run the readiness checks: for readiness probes and load balancers."""
        names = readiness.names()
        if not set(query["excluded"]) <= set(names):
            raise Problem(
                "validation-error",
                f"Some checks that can be excluded: {', '.join(names[:MAX_NAMES])}.",
                errors={"query": {"exclude": ["Unknown check."]}},
            )
        results = readiness.results(query["excluded"])
        checks = {name: asdict(result) for name, result in results.items()}
        failed = {name: check for name, check in checks.items() if check["status"] != "ok"}
        if failed:
            raise Problem("not-ready", checks=dict(islice((failed | checks).items(), MAX_NAMES)))
        return json_response({"status": contract.STATUS_OK, "checks": checks})

    @system.route(contract.VERSION_PATH)
    @system.response(200, schemas.VersionOut())
    def version() -> Response:
        """Say which release responds, and which process of it."""
        release = settings.release
        disclosed = {
            "release": release.name,
            "commit": release.commit,
            "source": {"release": release.name_source, "commit": release.commit_source},
            "instance": settings.instance,
        }
        return json_response(
            {
                "name": "petsage",
                "version": __version__,
                **(disclosed if settings.disclose_release else dict.fromkeys(disclosed)),
                "worker": worker_id(),
                "started_at": rfc3339(started_at()),
            }
        )

    return system


def _ok(message: str) -> Response:
    return json_response({"status": contract.STATUS_OK, "message": message})
