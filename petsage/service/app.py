"""The factory: the map of the service. It reads no environment."""

from dataclasses import dataclass
from functools import cached_property

from flask import Flask
from flask_smorest import Api
from werkzeug.middleware.proxy_fix import ProxyFix

from petsage.service import errors, logs, openapi
from petsage.service.docs.pages import pages_blueprint, welcome_blueprint
from petsage.service.envelope import Envelope
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

    app = PetSage("petsage.service", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    app.before_request(lambda: require_expected(settings.release))

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
    app.wsgi_app = wsgi_app  # type: ignore[method-assign, assignment]
    return app


class PetSage(Flask):
    """Flask without redirects, that knows which of its paths never block."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        # A redirect would make a GET of a client's POST (RFC 9110, section 15.4.2).
        self.url_map.strict_slashes = False
        self.url_map.merge_slashes = False
        self.json.ensure_ascii = False  # type: ignore[attr-defined]
        self.json.sort_keys = False  # type: ignore[attr-defined]

    def never_blocks(self, environ: dict[str, object]) -> bool:
        """Tell the server whether it may serve this request without a thread."""
        path = environ["PATH_INFO"]
        return isinstance(path, str) and path.rstrip("/") in self._paths_that_never_block

    @cached_property
    def _paths_that_never_block(self) -> frozenset[str]:
        return frozenset(
            rule.rule.rstrip("/")
            for rule in self.url_map.iter_rules()
            if not rule.arguments
            and getattr(self.view_functions[rule.endpoint], "never_blocks", False)
        )
