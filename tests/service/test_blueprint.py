"""blueprint: on somebody else's Api it brings its strictness along."""

from collections.abc import Callable

import pytest
from flask import Flask, request
from flask.testing import FlaskClient
from flask_smorest import Api

from petsage import create_app
from petsage.service.routes import smoke_test_blueprint
from tests.json_corpus import REFUSED


def _foreign_app() -> Flask:
    app = Flask("somebody_elses")
    app.config |= {"API_TITLE": "Other", "API_VERSION": "1", "OPENAPI_VERSION": "3.1.0"}
    app.config["MAX_CONTENT_LENGTH"] = 100_000
    Api(app).register_blueprint(smoke_test_blueprint)
    return app


@pytest.fixture
def foreign() -> FlaskClient:
    return _foreign_app().test_client()


def test_a_ping_is_echoed_there_too(foreign: FlaskClient) -> None:
    assert foreign.post("/system/smoke-test", json={"ping": "é"}).json["pong"] == "é"


@pytest.mark.parametrize(("body", "code"), REFUSED.values(), ids=REFUSED)
def test_its_refusals_are_the_same_there(foreign: FlaskClient, body: bytes, code: str) -> None:
    answer = foreign.post("/system/smoke-test", data=body, content_type="application/json")
    assert (answer.status_code, answer.json["code"]) == (400, code)
    assert answer.content_type == "application/problem+json"
    assert answer.json["request_id"]


def test_its_validation_and_its_media_type_are_as_strict_there(foreign: FlaskClient) -> None:
    unknown = foreign.post("/system/smoke-test", json={"ping": "a", "pong": "b"})
    assert (unknown.status_code, unknown.json["errors"]) == (
        422,
        {"json": {"pong": ["Unknown field."]}},
    )
    assert foreign.post("/system/smoke-test", data=b'{"ping":"a"}').status_code == 415
    assert foreign.post("/system/smoke-test?x=1", json={"ping": "a"}).status_code == 422


def test_a_body_that_is_too_large_or_cut_short_is_a_problem_there_too(
    foreign: FlaskClient,
) -> None:
    large = foreign.post("/system/smoke-test", data=b"x" * 100_001)
    assert (large.status_code, large.json["code"]) == (413, "body-too-large")
    short = foreign.post(
        "/system/smoke-test", data=b"{", environ_overrides={"CONTENT_LENGTH": "50"}
    )
    assert (short.status_code, short.json["code"]) == (400, "incomplete-body")


@pytest.mark.parametrize("expected", ["v43", "unknown", "1234567"])
def test_there_no_release_is_the_expected_one(foreign: FlaskClient, expected: str) -> None:
    options = {"json": {"ping": "secret"}, "headers": {"Expect-Release": expected}}
    answer = foreign.post("/system/smoke-test", **options)
    assert (answer.status_code, answer.json["code"]) == (412, "release-mismatch")
    assert answer.headers["Retry-After"] == "1"
    assert "secret" not in answer.text
    assert foreign.get("/nothing", headers=options["headers"]).status_code == 404


def test_there_an_unclear_expectation_is_400(foreign: FlaskClient) -> None:
    answer = foreign.post("/system/smoke-test", json={}, headers={"Expect-Release": "a,b"})
    assert (answer.status_code, answer.json["code"]) == (400, "bad-request")


def test_the_rest_of_the_app_keeps_its_own_errors(foreign: FlaskClient) -> None:
    answer = foreign.get("/nothing")
    assert (answer.status_code, answer.content_type) == (404, "application/json")
    assert "request_id" not in answer.json


def test_a_prefix_of_the_foreign_app_goes_before_its_routes() -> None:
    app = Flask("somebody_elses")
    app.config |= {"API_TITLE": "Other", "API_VERSION": "1", "OPENAPI_VERSION": "3.1.0"}
    Api(app).register_blueprint(smoke_test_blueprint, url_prefix="/diagnostics")
    answer = app.test_client().post("/diagnostics/system/smoke-test", json={"ping": "a"})
    assert answer.json["pong"] == "a"


@pytest.mark.parametrize("terminated", [False, True], ids=["any server", "a server that ends it"])
@pytest.mark.parametrize("make", [create_app, _foreign_app], ids=["ours", "foreign"])
def test_hooks_before_and_after_the_view_read_the_body_too(
    make: Callable[[], Flask], terminated: bool
) -> None:
    app, body = make(), b'{"ping":"a"}'
    read: list[bytes] = []
    app.after_request(lambda answer: read.append(request.get_data()) or answer)

    def ask() -> int:
        answer = app.test_client().post(
            "/system/smoke-test",
            data=body,
            content_type="application/json",
            environ_overrides={"wsgi.input_terminated": True} if terminated else {},
        )
        return answer.status_code

    assert ask() == 200
    app = make()
    app.before_request(lambda: read.append(request.get_data()))
    assert ask() == 200
    app = make()
    app.before_request(lambda: read.append(request.get_data(cache=True, as_text=True).encode()))
    app.after_request(lambda answer: read.append(request.stream.read()) or answer)
    assert (ask(), read) == (200, [body, body, body, b""])
