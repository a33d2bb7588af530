"""messages: a request reads, a body is parsed and an answer is sent as Flask has it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import pytest
from flask import (
    Flask,
    Response,
    request,
)
from marshmallow import RAISE, Schema, ValidationError, fields
from webargs.flaskparser import FlaskParser
from werkzeug.test import EnvironBuilder

from petsage.service.lean import LeanFlask
from petsage.service.messages import LeanParser, LeanRequest, LeanResponse, as_json

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


@pytest.mark.parametrize(("path", "status"), [("/", 405), ("/nothing", 404)])
def test_a_hook_that_closes_the_files_itself_lets_nothing_through(path: str, status: int) -> None:
    app, routed = LeanFlask("app"), []
    app.post("/")(lambda: "")

    @app.before_request
    def hook() -> None:
        with request:
            routed.append(request.routing_exception)

    @app.teardown_request
    def at_the_end(_fault: object) -> None:
        routed.append(request.routing_exception)

    assert app.test_client().get(path).status_code == status
    assert [getattr(one, "code", None) for one in routed] == [status] * 2


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
