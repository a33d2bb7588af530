"""lean: a request reads, and what is registered for it is called, as Flask has it."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from itertools import combinations
from typing import Any

import pytest
from flask import Blueprint, Flask, current_app, request
from flask.signals import (
    appcontext_popped,
    appcontext_pushed,
    appcontext_tearing_down,
    request_finished,
    request_started,
    request_tearing_down,
)
from werkzeug.test import EnvironBuilder

from petsage.service.lean import LeanFlask
from petsage.service.messages import LeanRequest

ENVIRONS = {
    "a body": {"method": "POST", "path": "/system/smoke-test", "json": {"ping": "é"}},
    "a query": {"path": "/a", "query_string": "a=1&a=2&b=%C3%A9"},
    "a form": {"method": "POST", "data": {"name": "Miu", "colour": "ü"}},
    "headers": {"headers": {"X-A": "1", "Accept": "text/html;q=0.5", "Cookie": "a=b"}},
    "a prefix": {"path": "/a/é", "base_url": "https://app.example:8443/prefix"},
    "another method": {"method": "BREW", "path": "//double"},
}
PARTS = [
    "method",
    "scheme",
    "server",
    "root_path",
    "path",
    "query_string",
    "remote_addr",
    "headers",
    "args",
    "form",
    "values",
    "url",
    "base_url",
    "host",
    "full_path",
    "script_root",
    "cookies",
    "accept_mimetypes",
    "mimetype",
    "content_length",
    "is_json",
    "is_secure",
    "access_route",
    "range",
    "user_agent",
    "want_form_data_parsed",
    "url_rule",
    "endpoint",
    "blueprints",
    "view_args",
    "routing_exception",
    "max_content_length",
    "shallow",
    "authorization",
]


def _read(app: Flask, environ: dict[str, Any], part: str) -> object:
    environ["wsgi.input"].seek(0)
    with app.request_context(environ):
        assert request == environ["werkzeug.request"]
        value = getattr(request, part)
        return repr(value) if part in ("routing_exception", "user_agent", "range") else value


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("options", ENVIRONS.values(), ids=ENVIRONS)
def test_a_part_of_a_request_reads_as_flask_reads_it(options: dict[str, Any], part: str) -> None:
    environ = EnvironBuilder(**options).get_environ()
    assert _read(LeanFlask("app"), environ, part) == _read(Flask("app"), environ, part)


def test_a_part_that_no_request_has_is_an_attribute_error() -> None:
    lean = LeanRequest(EnvironBuilder().get_environ())
    for _ in range(2):
        with pytest.raises(AttributeError, match="'LeanRequest' object has no attribute 'tail'"):
            lean.tail  # noqa: B018


def test_a_part_that_a_hook_has_set_stays_as_it_was_set() -> None:
    lean = LeanRequest(EnvironBuilder(query_string="a=1").get_environ())
    lean.remote_addr = "192.0.2.7"
    lean.path = "/rewritten"
    assert lean.args["a"] == "1"
    assert (lean.remote_addr, lean.path) == ("192.0.2.7", "/rewritten")


def test_a_request_can_be_copied() -> None:
    lean = LeanRequest(EnvironBuilder(path="/a").get_environ())
    assert copy.copy(lean).path == lean.path == "/a"


def test_a_request_of_one_s_own_kind_may_look_at_itself_before_it_is_made() -> None:
    class Own(LeanRequest):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.seen = hasattr(self, "path")
            super().__init__(*args, **kwargs)

    own = Own(EnvironBuilder(path="/a").get_environ())
    assert (own.seen, own.path) == (False, "/a")


def test_threads_that_share_a_request_all_find_its_parts() -> None:
    for _ in range(50):
        lean = LeanRequest(EnvironBuilder(path="/a").get_environ())
        with ThreadPoolExecutor(8) as threads:
            assert set(threads.map(lambda _, one=lean: one.remote_addr or one.path, range(8))) == {
                "/a"
            }


def test_how_much_a_body_may_be_is_told_outside_of_an_app_too() -> None:
    environ = EnvironBuilder(method="POST", data=b"body").get_environ()
    assert LeanRequest(environ).max_content_length is None
    assert LeanRequest(environ).get_data() == b"body"


def test_a_view_may_change_how_much_its_body_may_be() -> None:
    app = LeanFlask("app")
    app.config["MAX_CONTENT_LENGTH"] = 3

    @app.post("/<int:limit>")
    def view(limit: int) -> str:
        assert request.max_content_length == 3
        request.max_content_length = None  # as the app has it
        assert request.max_content_length == 3
        request.max_content_length = limit
        return request.get_data(as_text=True)

    client = app.test_client()
    assert client.post("/4", data="four").text == "four"
    assert client.post("/3", data="four").status_code == 413


def test_the_files_of_a_form_are_closed_after_the_request() -> None:
    app, files = LeanFlask("app"), []

    @app.post("/")
    def view() -> str:
        files.append(request.files["photo"])
        return ""

    app.test_client().post("/", data={"photo": (BytesIO(b"\x89"), "miu.png")})
    assert files[0].stream.closed


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
