"""lean: each shortcut does what Flask, werkzeug and webargs do on their own way there."""

import gc
import logging
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, Response, after_this_request, request, session, url_for
from flask.testing import FlaskClient
from flask.views import MethodView
from marshmallow import RAISE, Schema, ValidationError, fields
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import HTTPException
from werkzeug.test import EnvironBuilder

from petsage.service.lean import LeanFlask
from petsage.service.messages import LeanParser, LeanResponse, as_json


class Ping(Schema):
    class Meta:
        unknown = RAISE

    ping = fields.String(required=True)


def _handing_on(parser: type[FlaskParser]) -> FlaskParser:
    """Return a parser that raises a validation error on as it is."""

    class HandingOn(parser):  # type: ignore[misc, valid-type]
        def handle_error(self, error: ValidationError, *_: Any, **__: Any) -> None:
            raise error

    return HandingOn()


BODIES = {
    "a ping": {"ping": "é"},
    "another one": {"ping": ""},
    "none": {},
    "null": {"ping": None},
    "mistyped": {"ping": 1},
    "unknown": {"ping": "a", "pong": "b"},
    "a list": [1],
    "a string": "ping",
}
HOW = {
    "an instance": lambda parser: parser.use_args(Ping(), location="json"),
    "a class": lambda parser: parser.use_args(Ping, location="json"),
    "with an option": lambda parser: parser.use_args(Ping(), location="json", unknown="exclude"),
    "by name": lambda parser: parser.use_kwargs(Ping(), location="json"),
    "from the query": lambda parser: parser.use_args(Ping(), location="query"),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("how", HOW.values(), ids=HOW)
def test_a_body_is_parsed_as_webargs_does(
    how: Callable[[FlaskParser], Callable[..., Any]], body: Any
) -> None:
    def outcome(parser: FlaskParser) -> object:
        @how(parser)
        def view(*args: Any, **kwargs: Any) -> object:
            return args, kwargs

        with Flask("app").test_request_context("/?ping=q", method="POST", json=body):
            try:
                return view("first", second=2)
            except ValidationError as error:
                return error.messages

    assert outcome(_handing_on(LeanParser)) == outcome(_handing_on(FlaskParser))


def test_a_parsed_view_keeps_its_name_and_its_marks() -> None:
    def view(body: object) -> None:
        """Say something."""

    view.never_blocks = True  # type: ignore[attr-defined]
    parsed = LeanParser().use_args(Ping(), location="json")(view)
    assert (parsed.__name__, parsed.__doc__) == ("view", "Say something.")
    assert parsed.never_blocks is True


def _sent(response: Response, method: str) -> tuple[str, dict[str, str], bytes]:
    told: list[Any] = []
    environ = EnvironBuilder(method=method).get_environ()
    body = b"".join(response(environ, lambda *said: told.extend(said)))
    return told[0], dict(told[1]), body


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("status", [None, 200, 404, 422, 503])
def test_an_answer_is_sent_as_flask_sends_it(status: int | None, method: str) -> None:
    body, media_type = '{"pong":"é"}'.encode(), "application/json"
    lean = LeanResponse.of(body, media_type, status)
    assert _sent(lean, method) == _sent(Response(body, status, content_type=media_type), method)


def test_an_answer_can_still_be_changed_by_a_feature() -> None:
    answer = as_json({"pong": "a"})
    answer.set_data(b'{"pong":"changed"}')
    answer.headers["X-Feature"] = "1"
    answer.status_code = 203
    status, headers, body = _sent(answer, "GET")
    assert (status, body) == ("203 NON AUTHORITATIVE INFORMATION", b'{"pong":"changed"}')
    assert headers == {
        "Content-Type": "application/json",
        "Content-Length": "18",
        "X-Feature": "1",
    }


@pytest.mark.parametrize(
    "change",
    [
        lambda answer: answer.make_conditional(EnvironBuilder().get_environ()),
        lambda answer: setattr(answer, "status_code", 304),
        lambda answer: setattr(answer, "status_code", 204),
        lambda answer: setattr(answer, "response", ["text"]),
        lambda answer: answer.set_data("other"),
        lambda answer: answer.headers.update({"Location": "/somewhere"}),
    ],
    ids=["conditional", "304", "204", "an iterable of text", "other data", "a location"],
)
def test_an_answer_that_a_feature_has_changed_is_sent_as_flask_sends_it(
    change: Callable[[Response], object],
) -> None:
    body = b'{"pong":"a"}'
    lean = LeanResponse.of(body, "application/json")
    flask = Response(body, content_type="application/json")
    change(lean)
    change(flask)
    assert _sent(lean, "GET") == _sent(flask, "GET")


def test_what_is_to_be_called_at_the_end_of_an_answer_is_called() -> None:
    app, calls = LeanFlask("app"), []

    @app.get("/")
    def view() -> Response:
        answer = as_json({})
        answer.call_on_close(lambda: calls.append("closed"))
        return answer

    app.test_client().get("/").close()
    assert calls == ["closed"]


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
