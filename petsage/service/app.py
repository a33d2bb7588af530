"""The factory: the map of the service. It reads no environment."""

from dataclasses import dataclass
from functools import partial

from flask import Flask
from flask_smorest import Api
from werkzeug.middleware.proxy_fix import ProxyFix

from petsage.service import error_handlers, json_logs, openapi
from petsage.service.expect_release import require_release
from petsage.service.fast_path import FastFlask
from petsage.service.middleware import Middleware
from petsage.service.pages import pages_blueprint, welcome_blueprint
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
    log_handler = json_logs.install(settings)
    readiness = Readiness()
    readiness.add("logging", log_handler.check)

    app = FastFlask("petsage.service", partial(require_release, settings))
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes

    api = openapi.StrictApi(app)
    api.register_blueprint(smoke_test_blueprint)
    api.register_blueprint(system_blueprint(settings, readiness))
    # Readiness waits for its checks, and a page takes milliseconds.
    inline = set(app.view_functions) - {"system.ready"}
    api.register_blueprint(welcome_blueprint(settings))
    app.register_blueprint(pages_blueprint(api))
    error_handlers.install(app)
    app.extensions["petsage"] = Parts(settings, readiness, api)

    wsgi_app = Middleware(settings).wrap(app.wsgi_app)
    if hops := settings.trusted_proxies:
        wsgi_app = ProxyFix(wsgi_app, *[hops] * 5)  # for, proto, host, port and prefix
    app.serve(wsgi_app, inline)
    return app
