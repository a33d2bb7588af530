"""lean: which requests the server may serve without a thread, and that no other is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, Request, abort
from flask.sessions import SessionInterface
from flask.signals import request_finished
from werkzeug.routing import BaseConverter
from werkzeug.test import EnvironBuilder

from petsage import create_app
from petsage.service.lean import LeanFlask, never_blocks


def asked(app: Flask, path: str, method: str = "GET") -> bool:
    assert isinstance(app, LeanFlask)
    environ = EnvironBuilder(method=method).get_environ()
    environ["PATH_INFO"] = path.encode().decode("latin-1")
    return app.never_blocks(environ)


def slow() -> str:
    return "slow"


OURS = [
    ("POST", "/system/smoke-test"),
    ("GET", "/system/live"),
    ("HEAD", "/system/live/"),
    ("GET", "/nothing"),
    ("DELETE", "/system/live"),
    ("OPTIONS", "/system/live"),
]


@pytest.mark.parametrize(("method", "path"), OURS)
def test_the_service_s_own_routes_need_no_thread(method: str, path: str) -> None:
    assert asked(create_app(), path, method)


@pytest.mark.parametrize("path", ["/slow", "/slow/", "/kätzchen", "/with/a", "/with/ü"])
def test_a_view_of_a_feature_has_a_thread_whatever_its_path(path: str) -> None:
    app = create_app()
    app.add_url_rule("/slow", "slow", slow)
    app.add_url_rule("/kätzchen", "accent", slow)
    app.add_url_rule("/with/<name>", "with", lambda name: name)
    assert not asked(app, path)
    assert asked(app, "/system/live")


def test_a_marked_view_of_a_feature_needs_none() -> None:
    app = create_app()
    app.add_url_rule("/kätzchen", "accent", never_blocks(lambda: "quick"))
    assert asked(app, "/kätzchen")


HOOKS: dict[str, Callable[[Flask, Callable[..., Any]], object]] = {
    "before_request": lambda app, hook: app.before_request(hook),
    "after_request": lambda app, hook: app.after_request(hook),
    "teardown_request": lambda app, hook: app.teardown_request(hook),
    "teardown_appcontext": lambda app, hook: app.teardown_appcontext(hook),
    "url_value_preprocessor": lambda app, hook: app.url_value_preprocessor(hook),
}


@pytest.mark.parametrize("register", HOOKS.values(), ids=HOOKS)
def test_a_hook_that_may_block_has_a_thread_whatever_it_goes_before(
    register: Callable[[Flask, Callable[..., Any]], object],
) -> None:
    app, marked = create_app(), create_app()
    register(app, lambda *given: given[0] if given else None)
    register(marked, never_blocks(lambda *given: given[0] if given else None))
    for method, path in OURS:
        assert not asked(app, path, method)
        assert asked(marked, path, method)


def test_somebody_who_listens_to_a_signal_has_a_thread() -> None:
    app = create_app()

    def listen(_sender: object, **_: Any) -> None: ...

    with request_finished.connected_to(listen, app):
        assert not asked(app, "/system/live")


def test_an_error_handler_of_a_feature_has_a_thread() -> None:
    app = create_app()
    app.register_error_handler(404, lambda error: abort(410))
    assert not asked(app, "/nothing")
    assert not asked(app, "//system/live")
    assert asked(app, "/system/live")


class Looked(BaseConverter):
    def to_python(self, value: str) -> str:
        if value == "fails":
            raise ConnectionError("the database is gone")
        if value == "ends":
            raise SystemExit
        return value


def test_a_converter_that_may_block_has_a_thread_as_it_is_asked_to_find_the_view() -> None:
    app, marked = create_app(), create_app()
    app.url_map.converters["pet"] = Looked
    marked.url_map.converters["pet"] = never_blocks(type("Marked", (Looked,), {}))
    for one in (app, marked):
        one.add_url_rule("/pets/<pet:pet>", "pet", never_blocks(lambda pet: pet))
    assert not asked(app, "/pets/Miu")
    assert not asked(app, "/pets/fails")
    assert asked(app, "/system/live")
    assert asked(marked, "/pets/Miu")


@pytest.mark.parametrize("path", ["/pets/fails", "/pets/ends"])
def test_a_marked_converter_that_fails_has_a_thread_to_answer_in(path: str) -> None:
    app = create_app()
    app.url_map.converters["pet"] = never_blocks(type("Marked", (Looked,), {}))
    app.add_url_rule("/pets/<pet:pet>", "pet", never_blocks(lambda pet: pet))
    assert not asked(app, path)


def test_a_redirect_that_has_to_be_worked_out_has_a_thread() -> None:
    app = create_app()
    app.add_url_rule("/old", "old", slow, redirect_to=lambda adapter: "/new")
    assert not asked(app, "/old")
    assert asked(app, "/system/live")


def test_a_session_of_a_feature_has_a_thread_as_each_request_opens_it() -> None:
    class Sessions(SessionInterface):
        def open_session(self, app: Flask, request: Request) -> None: ...

    app, marked = create_app(), create_app()
    app.session_interface = Sessions()
    marked.session_interface = never_blocks(type("Marked", (Sessions,), {}))()
    assert not asked(app, "/system/live")
    assert asked(marked, "/system/live")


def test_middleware_of_a_feature_has_a_thread_as_it_may_lead_anywhere() -> None:
    app = create_app()
    inner = app.wsgi_app
    app.wsgi_app = lambda environ, start: inner(environ, start)  # type: ignore[method-assign]
    assert not asked(app, "/system/live")


def test_an_app_that_routes_by_host_has_threads() -> None:
    app = create_app()
    app.config["TRUSTED_HOSTS"] = ["app.example"]
    assert not asked(app, "/system/live")
