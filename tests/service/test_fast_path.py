"""fast_path: which requests run inline, and that they get the same responses as any other way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, Request, Response
from flask.sessions import SessionInterface
from flask.signals import request_finished
from flask.testing import FlaskClient
from werkzeug.test import EnvironBuilder

from petsage import create_app
from petsage.service.blueprint import StrictBlueprint
from petsage.service.fast_path import FastFlask

INLINE = [
    ("POST", "/system/smoke-test"),
    ("POST", "/api/v1/system/smoke-test/"),
    ("GET", "/api/v1/smoke-test"),
    ("GET", "/smoke-test"),
    ("GET", "/api/v1/health"),
    ("GET", "/system/health"),
    ("GET", "/system/live"),
    ("HEAD", "/system/live/"),
    ("GET", "/system/version"),
]
IN_A_THREAD = [
    ("GET", "/system/ready"),
    ("GET", "/"),
    ("GET", "/docs"),
    ("GET", "/redoc"),
    ("GET", "/openapi.json"),
    ("GET", "/nothing"),
    ("DELETE", "/system/live"),
    ("OPTIONS", "/system/live"),
    ("GET", "//system/live"),
    ("GET", "/kätzchen"),
]


def runs_inline(app: Flask, method: str, path: str) -> bool:
    assert isinstance(app, FastFlask)
    environ = EnvironBuilder(method=method).get_environ()
    environ["PATH_INFO"] = path.encode().decode("latin-1")
    return app.runs_inline(environ)


def any_inline(app: Flask) -> bool:
    return any(runs_inline(app, method, path) for method, path in INLINE)


@pytest.mark.parametrize(("method", "path"), INLINE)
def test_the_service_s_own_routes_run_inline(method: str, path: str) -> None:
    assert runs_inline(create_app(), method, path)


@pytest.mark.parametrize(("method", "path"), IN_A_THREAD)
def test_whatever_may_wait_or_is_no_route_has_a_thread(method: str, path: str) -> None:
    assert not runs_inline(create_app(), method, path)


def test_a_view_of_a_feature_has_a_thread_and_changes_nothing_for_the_others() -> None:
    app = create_app()
    pets = StrictBlueprint("pets", __name__, tag="Pets")
    pets.add_url_rule("/pets", view_func=lambda: "")
    app.extensions["petsage"].api.register_blueprint(pets)
    app.add_url_rule("/slow/<name>", "slow", lambda name: name)
    assert not runs_inline(app, "GET", "/pets")
    assert not runs_inline(app, "GET", "/slow/Miu")
    assert all(runs_inline(app, method, path) for method, path in INLINE)


class Sessions(SessionInterface):
    def open_session(self, app: Flask, request: Request) -> None: ...


def trusts(app: Flask, _hook: object) -> None:
    app.config["TRUSTED_HOSTS"] = ["app.example"]


def has_sessions(app: Flask, _hook: object) -> None:
    app.session_interface = Sessions()


def has_middleware(app: Flask, _hook: object) -> None:
    inner = app.wsgi_app
    app.wsgi_app = lambda environ, start: inner(environ, start)  # type: ignore[method-assign]


HOOKS: dict[str, Callable[[Flask, Any], object]] = {
    "before_request": lambda app, hook: app.before_request(hook),
    "after_request": lambda app, hook: app.after_request(hook),
    "teardown_request": lambda app, hook: app.teardown_request(hook),
    "teardown_appcontext": lambda app, hook: app.teardown_appcontext(hook),
    "url_value_preprocessor": lambda app, hook: app.url_value_preprocessor(hook),
    "error handler": lambda app, hook: app.register_error_handler(500, hook),
    "trusted hosts": trusts,
    "sessions": has_sessions,
    "middleware": has_middleware,
}


@pytest.mark.parametrize("register", HOOKS.values(), ids=HOOKS)
def test_once_a_feature_has_a_hook_every_request_has_a_thread(
    register: Callable[[Flask, Any], object],
) -> None:
    app = create_app()
    register(app, lambda *given: given[0] if given else None)
    assert not any_inline(app)
    response = app.test_client().post(
        "/system/smoke-test", json={"ping": "a"}, headers={"Host": "app.example"}
    )
    assert (response.status_code, response.json["pong"]) == (200, "a")


def test_while_somebody_listens_to_a_signal_every_request_has_a_thread() -> None:
    app, heard = create_app(), []
    assert any_inline(app)

    def listen(_sender: object, response: Response, **_: Any) -> None:
        heard.append(response.status_code)

    with request_finished.connected_to(listen, app):
        assert not any_inline(app)
        app.test_client().get("/system/live")
    assert heard == [200]
    assert any_inline(app)


def test_hooks_of_a_feature_see_every_response(client: FlaskClient) -> None:
    @client.application.after_request
    def mark(response: Response) -> Response:
        response.headers["X-Feature"] = "1"
        response.set_data(response.get_data().replace(b"ok", b"OK"))
        return response

    response = client.get("/system/live")
    assert response.headers["X-Feature"] == "1"
    assert response.json == {"status": "OK"}
    assert response.headers["Content-Length"] == str(len(response.data))
    assert client.get("/nothing").headers["X-Feature"] == "1"


def test_a_bug_in_an_inline_view_is_a_500(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    views = client.application.view_functions
    monkeypatch.setitem(views, "system.live", lambda: int("s3cret"))
    assert runs_inline(client.application, "GET", "/system/live")
    response = client.get("/system/live")
    assert (response.status_code, response.json["code"]) == (500, "internal-error")
    assert "s3cret" not in response.text


def test_an_inline_request_is_a_request_as_flask_has_it(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flask import current_app, request

    def view() -> Response:
        assert current_app == client.application
        assert (request.endpoint, request.view_args) == ("system.live", {})
        assert request.args["a"] == "1"
        return Response("seen", status=204, headers={"X-Seen": request.path})

    monkeypatch.setitem(client.application.view_functions, "system.live", view)
    response = client.get("/system/live?a=1")
    assert (response.status_code, response.headers["X-Seen"]) == (204, "/system/live")


def test_nothing_can_be_registered_after_an_inline_request(client: FlaskClient) -> None:
    assert client.get("/system/live").status_code == 200
    with pytest.raises(AssertionError):
        client.application.before_request(lambda: None)
