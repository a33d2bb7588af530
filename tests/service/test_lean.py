"""lean: paths, hosts, sessions and hooks are what they are in Flask."""

from __future__ import annotations

import gc
import logging
import weakref
from itertools import combinations
from typing import Any

import pytest
from flask import (
    Blueprint,
    Flask,
    after_this_request,
    current_app,
    request,
    session,
    url_for,
)
from flask.signals import (
    appcontext_popped,
    appcontext_pushed,
    appcontext_tearing_down,
    request_finished,
    request_started,
    request_tearing_down,
)
from flask.testing import FlaskClient
from flask.views import MethodView
from werkzeug.exceptions import HTTPException
from werkzeug.test import EnvironBuilder

from petsage.service.lean import LeanFlask


def _with_routes(app: Flask) -> Flask:
    app.url_map.strict_slashes = app.url_map.merge_slashes = False
    app.add_url_rule("/", "root", lambda: "")
    app.add_url_rule("/plain", "plain", lambda: "", methods=["GET", "POST"])
    app.add_url_rule("/with/<name>", "with", lambda name: name)
    app.add_url_rule("/é", "accent", lambda: "")
    # The first of two rules wins; a slash can make them two.
    app.add_url_rule("/plain", "plain again", lambda: "")
    app.add_url_rule("/leaf", "leaf", lambda: "")
    app.add_url_rule("/leaf/", "branch", lambda: "")
    app.add_url_rule("/moved", "moved", lambda: "", redirect_to="/plain")
    app.add_url_rule("/built", "built", lambda: "", build_only=True)
    app.add_url_rule("/other", "plain", alias=True, methods=["GET", "POST"])
    app.add_url_rule("/socket", "socket", lambda: "", websocket=True)
    app.add_url_rule("/exact", "exact", lambda: "", strict_slashes=True)
    app.add_url_rule("/exact-branch/", "exact branch", lambda: "", strict_slashes=True)
    app.add_url_rule("/default", "default", lambda name: name, defaults={"name": "Miu"})
    app.add_url_rule("/api", "api", lambda: "", subdomain="api")
    return app


PATHS = [
    *("/", "/plain", "/plain/", "/Plain", "/with/a", "/with/é", "/é", "/no", "/leaf", "/leaf/"),
    *("/moved", "/moved/", "/built", "/other", "/socket", "/exact", "/exact/", "/exact-branch"),
    *("/exact-branch/", "/default", "/default/", "/api"),
]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "BREW"])
@pytest.mark.parametrize("path", PATHS)
def test_a_path_is_found_as_werkzeug_finds_it(path: str, method: str) -> None:
    def outcome(app: Flask) -> object:
        environ = EnvironBuilder(path="/", method=method).get_environ()
        environ["PATH_INFO"] = path.encode().decode("latin-1")
        with app.request_context(environ):
            fault = request.routing_exception
            if isinstance(fault, HTTPException):
                where = getattr(fault, "new_url", None)
                return fault.code, sorted(getattr(fault, "valid_methods", None) or ()), where
            return request.endpoint, request.view_args

    assert outcome(_with_routes(LeanFlask("app"))) == outcome(_with_routes(Flask("app")))


@pytest.mark.parametrize("kind", [LeanFlask, Flask])
def test_a_redirect_that_looks_at_its_request_is_in_no_other_s_way(kind: type[Flask]) -> None:
    app = kind("app")
    app.add_url_rule("/old", "old", redirect_to=lambda adapter: request.args["to"])
    app.add_url_rule("/old", "old again", lambda: "")
    app.add_url_rule("/plain", "plain", lambda: "plain")
    client = app.test_client()
    assert client.get("/plain").text == "plain"
    assert client.get("/old?to=plain").location == "http://localhost/plain"
    assert client.get("/old").status_code == 400


HOSTS = {
    "plain": "app.example",
    "with a port": "App.Example:8080",
    "with the usual port": "APP.example:80",
    "with a user": "evil.test@app.example",
    "with brackets": "a<b>/evil?x=",
    "of a subdomain": "api.app.example",
    "of nobody": "evil.test",
}
CONFIGS: dict[str, dict[str, Any]] = {
    "no settings": {},
    "TRUSTED_HOSTS": {"TRUSTED_HOSTS": [".app.example"]},
    "SERVER_NAME": {"SERVER_NAME": "app.example"},
}


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("options", [{}, {"host_matching": True, "static_folder": None}])
def test_a_host_counts_as_flask_counts_it(
    options: dict[str, Any], config: dict[str, Any], host: str
) -> None:
    def outcome(kind: type[Flask]) -> object:
        app = kind("app", static_host="app.example" if options else None, **options)
        app.config |= config
        _with_routes(app)
        if options:
            app.add_url_rule("/hosted", "one", lambda: "", host="app.example")
            app.add_url_rule("/hosted", "other", lambda: "", host="<name>.app.example")
        environ = EnvironBuilder(path="/hosted").get_environ() | {"HTTP_HOST": host}
        with app.request_context(environ):
            if request.url_rule is None:
                return getattr(request.routing_exception, "code", None)
            return (
                request.endpoint,
                url_for("plain", _external=True, _scheme="http"),
                url_for("plain"),
            )

    assert outcome(LeanFlask) == outcome(Flask)


def test_an_app_with_a_key_has_flask_s_sessions() -> None:
    app = LeanFlask("app")
    app.secret_key = "a key"

    @app.get("/")
    def count() -> str:
        session["visits"] = session.get("visits", 0) + 1
        return str(session["visits"])

    client = app.test_client()
    assert [client.get("/").text for _ in range(3)] == ["1", "2", "3"]


def test_the_session_is_empty_and_says_that_it_cannot_be_written() -> None:
    with LeanFlask("app").test_request_context():
        assert dict(session) == {}
        with pytest.raises(RuntimeError, match="session is unavailable"):
            session["a"] = 1


def test_a_function_that_is_no_coroutine_is_called_as_it_is() -> None:
    app = LeanFlask("app")
    assert app.ensure_sync(_with_routes) is _with_routes
    assert app.ensure_sync(_with_routes) is _with_routes


def test_a_request_s_record_is_of_the_logger_that_it_names(
    caplog: pytest.LogCaptureFixture, client: Any
) -> None:
    with caplog.at_level(logging.INFO):
        client.get("/system/live")
    (record,) = (one for one in caplog.records if one.name == "petsage.request")
    assert (record.getMessage(), record.levelname) == ("GET /system/live 200", "INFO")
    logging.getLogger("petsage.request").addFilter(_refuse)
    try:
        caplog.clear()
        client.get("/system/live")
        assert not caplog.records
    finally:
        logging.getLogger("petsage.request").removeFilter(_refuse)


def _refuse(_record: logging.LogRecord) -> bool:
    return False


class Pets(MethodView):
    def get(self) -> str:
        return "Miu"


def test_what_lives_for_one_request_is_forgotten_with_it(client: FlaskClient) -> None:
    kept: list[weakref.ref[object]] = []

    class Remembered(Pets):
        def __init__(self) -> None:
            @after_this_request
            def after(response: object) -> object:
                return response

            kept.extend((weakref.ref(self), weakref.ref(after)))

    client.application.add_url_rule("/pets", view_func=Remembered.as_view("pets"))
    for _ in range(5):
        assert client.get("/pets").text == "Miu"
    gc.collect()
    assert [one() for one in kept] == [None] * 10


SIGNALS = {
    "appcontext_pushed": appcontext_pushed,
    "request_started": request_started,
    "request_finished": request_finished,
    "request_tearing_down": request_tearing_down,
    "appcontext_tearing_down": appcontext_tearing_down,
    "appcontext_popped": appcontext_popped,
}
HOOKS = (
    "before_request",
    "after_request",
    "teardown_request",
    "teardown_appcontext",
    "url_value_preprocessor",
)


def _calls(app: Flask, hooks: tuple[str, ...]) -> list[object]:
    """Serve a request by an app with some hooks, and return what was called."""
    calls: list[object] = []
    pets = Blueprint("pets", __name__)

    def noting(name: str) -> Any:
        def note(*given: Any) -> Any:
            calls.append((name, current_app.name, bool(request)))
            return given[0] if "after" in name else None

        return note

    for hook in hooks:
        if hook in SIGNALS:
            continue
        getattr(app, hook)(noting(f"app {hook}"))
        if hook != "teardown_appcontext":
            getattr(pets, hook)(noting(f"blueprint {hook}"))

    @pets.route("/pets/<name>")
    def view(name: str) -> str:
        calls.append("view")
        if name == "none":
            raise LookupError(name)
        return name

    app.register_blueprint(pets)
    app.register_error_handler(LookupError, lambda error: (str(error), 404))

    def hear(name: str) -> Any:
        def note(sender: object, **_: Any) -> None:
            calls.append((name, sender is app))

        SIGNALS[name].connect(note)
        return note

    listeners = [hear(name) for name in hooks if name in SIGNALS]  # signals hold them weakly
    client = app.test_client()
    calls.append([client.get(path).status_code for path in ("/pets/Miu", "/pets/none", "/no")])
    del listeners
    return calls


@pytest.mark.parametrize(
    "hooks",
    [*combinations((*HOOKS, *SIGNALS), 1), *combinations(HOOKS, 2), (*HOOKS, *SIGNALS), ()],
    ids=lambda hooks: " and ".join(hooks) or "none",
)
def test_what_is_registered_for_each_request_is_called_as_flask_calls_it(
    hooks: tuple[str, ...],
) -> None:
    assert _calls(LeanFlask("app"), hooks) == _calls(Flask("app"), hooks)


def test_what_is_called_before_a_request_may_answer_it() -> None:
    app = LeanFlask("app")
    app.add_url_rule("/", "view", lambda: "the view")
    app.before_request(lambda: None)
    app.before_request(lambda: "no view")
    assert app.test_client().get("/").text == "no view"
