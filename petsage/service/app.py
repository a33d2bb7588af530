"""The factory: the map of the service. It reads no environment."""

from dataclasses import dataclass

from flask import Flask
from flask_smorest import Api
from werkzeug.middleware.proxy_fix import ProxyFix

from petsage.service import errors, logs, openapi
from petsage.service.docs.pages import pages_blueprint, welcome_blueprint
from petsage.service.envelope import Envelope
from petsage.service.lean import LeanFlask, never_blocks
from petsage.service.precondition import require_expected
from petsage.service.readiness import Readiness
from petsage.service.routes import smoke_test_blueprint, system_blueprint
from petsage.service.settings import Settings


@dataclass(frozen=True)
class Parts:
    """The parts of an app that its owner may use: `app.extensions["petsage"]`."""

    settings: Settings
    readiness: Readiness
    api: Api


def create_app(settings: Settings | None = None) -> Flask:
    """Return the service as a WSGI app.

    Args:
        settings: as an operator has set them; the defaults where there are none.

    """
    settings = settings or Settings()
    log_handler = logs.install(settings)
    readiness = Readiness()
    readiness.add("logging", log_handler.check)

    app = LeanFlask("petsage.service", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    app.before_request(never_blocks(lambda: require_expected(settings)))

    api = openapi.StrictApi(app)
    api.register_blueprint(smoke_test_blueprint)
    api.register_blueprint(system_blueprint(settings, readiness))
    api.register_blueprint(welcome_blueprint)
    app.register_blueprint(pages_blueprint(api))
    errors.install(app)
    app.extensions["petsage"] = Parts(settings, readiness, api)

    wsgi_app = Envelope(settings).wrap(app.wsgi_app)
    if hops := settings.trusted_proxies:
        wsgi_app = ProxyFix(wsgi_app, *[hops] * 5)  # for, proto, host, port and prefix
    app.serve_by(wsgi_app)
    return app
