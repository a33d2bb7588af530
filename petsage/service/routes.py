"""The JSON routes. A view is three beats: schema in, one call to the domain, value out."""

from time import time
from typing import Any

from flask import Response
from marshmallow import RAISE

from petsage.contract import (
    API_HEALTH_PATH,
    BACKEND_SMOKE_TEST_PATH,
    LIVE_PATH,
    LOGGING_SMOKE_TEST_PATH,
    READY_PATH,
    SMOKE_TEST_PATH,
    SMOKE_TEST_V1_PATH,
    SYSTEM_HEALTH_PATH,
    VERSION_PATH,
)
from petsage.service import diagnostics
from petsage.service.lean import never_blocks
from petsage.service.messages import as_json
from petsage.service.readiness import Readiness
from petsage.service.schemas import (
    ApiHealthOut,
    BackendSmokeTestOut,
    LiveOut,
    LoggingSmokeTestOut,
    ReadyIn,
    ReadyOut,
    SmokeTestIn,
    SmokeTestOut,
    SystemHealthOut,
    VersionOut,
)
from petsage.service.settings import Settings
from petsage.service.strict_blueprint import StrictBlueprint, without_query

# The tag of these routes in the OpenAPI document.
TAG = "System Health"

# Stands on its own: it can be registered on any flask-smorest Api, and is as strict there.
smoke_test_blueprint = StrictBlueprint(
    "smoke_test",
    __name__,
    tag=TAG,
    description="Does the service answer, is it ready, and which release of it is this?",
)


@smoke_test_blueprint.route(SMOKE_TEST_V1_PATH, methods=["POST"], endpoint="smoke_test_v1")
@smoke_test_blueprint.route(SMOKE_TEST_PATH, methods=["POST"])
@never_blocks
@smoke_test_blueprint.arguments(SmokeTestIn())
@smoke_test_blueprint.response(200, SmokeTestOut())
@without_query
def smoke_test(body: dict[str, str]) -> Response:
    """Echo a ping, strictly validated."""
    return as_json(diagnostics.smoke_test(body["ping"], time()))


@smoke_test_blueprint.route(BACKEND_SMOKE_TEST_PATH)
@never_blocks
@smoke_test_blueprint.response(200, BackendSmokeTestOut())
def backend_smoke_test() -> Response:
    """Tell that the backend is operational."""
    return as_json(diagnostics.backend_smoke_test(time()))


def system_blueprint(settings: Settings, readiness: Readiness) -> StrictBlueprint:
    """Return the routes that tell how this service is, and which release of it."""
    system = StrictBlueprint("system", __name__, tag=TAG)

    @system.route(LOGGING_SMOKE_TEST_PATH)
    @never_blocks
    @system.response(200, LoggingSmokeTestOut())
    @system.alt_response(503, response="logging-broken")
    def logging_smoke_test() -> Response:
        """Write a log record, and tell whether it was written."""
        return as_json(diagnostics.logging_smoke_test())

    @system.route(API_HEALTH_PATH)
    @never_blocks
    @system.response(200, ApiHealthOut())
    def api_health() -> Response:
        """Tell that the API answers."""
        return as_json(diagnostics.API_HEALTH)

    @system.route(SYSTEM_HEALTH_PATH)
    @never_blocks
    @system.response(200, SystemHealthOut())
    def system_health() -> Response:
        """Tell that the system answers."""
        return as_json(diagnostics.SYSTEM_HEALTH)

    @system.route(LIVE_PATH)
    @never_blocks
    @system.response(200, LiveOut())
    def live() -> Response:
        """Tell that this process answers; it looks at nothing else."""
        return as_json(diagnostics.LIVE)

    @system.route(READY_PATH)
    @system.arguments(ReadyIn(), location="query", unknown=RAISE)
    @system.response(200, ReadyOut())
    @system.alt_response(503, response="not-ready")
    def ready(query: dict[str, Any]) -> Response:
        """Run the readiness checks side by side."""
        return as_json(diagnostics.ready(readiness, query["excluded"]))

    @system.route(VERSION_PATH)
    @never_blocks
    @system.response(200, VersionOut())
    def version() -> Response:
        """Tell which release answers, and which process of it."""
        return as_json(diagnostics.version(settings))

    return system
