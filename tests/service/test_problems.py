"""problems, error_handlers: one shape for whatever goes wrong, small, without what was sent."""

import gc
import json
import weakref
from io import BytesIO
from typing import Any

import pytest
from flask import Request, abort, redirect
from flask.testing import FlaskClient
from flask_smorest import abort as smorest_abort
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import Schema, fields

from petsage.contract import JSON_MEDIA_TYPE, PROBLEMS
from petsage.service.blueprint import StrictBlueprint
from petsage.service.problems import Problem, bounded
from tests.service.conftest import ClientOf

SMOKE_TEST = "/system/smoke-test"


def test_a_problem_has_exactly_the_members_of_the_contract(client: FlaskClient) -> None:
    answer = client.get("/nothing")
    assert answer.content_type == "application/problem+json"
    assert list(answer.json) == ["type", "title", "status", "detail", "code", "request_id"]
    assert answer.json["type"] == "urn:petsage:problem:not-found"
    assert answer.json["status"] == answer.status_code == 404


def test_every_code_can_be_raised() -> None:
    for code, known in PROBLEMS.items():
        body = json.loads(Problem(code).body("marker"))
        assert (body["status"], body["title"], body["detail"]) == known[:3]
        assert (body["type"], body["request_id"]) == (f"urn:petsage:problem:{code}", "marker")


def test_a_detail_helps(client: FlaskClient) -> None:
    def detail_of(body: bytes, **options: Any) -> str:
        options = {"method": "POST", "content_type": JSON_MEDIA_TYPE} | options
        told: str = client.open(SMOKE_TEST, data=body, **options).json["detail"]
        return told

    assert '"ping"' in detail_of(b'{"a":1,"ping":"a","ping":"b"}')
    assert "line 2, column 3" in detail_of(b'{"ping":\n  secret}')
    assert "Use POST." in detail_of(b"", method="GET")
    assert "JSON object" in detail_of(b"[]")
    assert "JSON object" in detail_of(b"")
    assert "Use GET." in client.post("/system/live").json["detail"]
    assert "65,536 bytes" in detail_of(b"x" * 65_537)


@pytest.mark.parametrize("name", ["x" * 60_000, "\u00e9" * 60, "\0" * 60, '"' * 100])
def test_a_key_that_is_named_is_cut(client: FlaskClient, name: str) -> None:
    body = b"{%s:1,%s:2}" % ((json.dumps(name).encode(),) * 2)
    response = client.post(SMOKE_TEST, data=body[:65_536], content_type=JSON_MEDIA_TYPE)
    if len(body) < 65_536:
        assert response.json["code"] == "duplicate-key"
        assert name[:5] in response.json["detail"]
    assert len(response.data) < 600


MEDIA_TYPES = {
    "missing": ({}, 415),
    "text": ({"Content-Type": "text/plain"}, 415),
    "form": ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
    "other JSON": ({"Content-Type": "application/vnd.api+json"}, 415),
    "prefix": ({"Content-Type": "application/json5"}, 415),
    "nonsense": ({"Content-Type": ";;;=\x80"}, 415),
    "two": ({"Content-Type": "application/json, application/json"}, 415),
    "Latin-1": ({"Content-Type": "application/json; charset=latin-1"}, 415),
    "UTF-16": ({"Content-Type": "application/json; charset=utf-16"}, 415),
    "not ASCII": ({"Content-Type": "application/json; charset=\xe9"}, 415),
    "blanks around =": ({"Content-Type": "application/json; charset = utf-16"}, 415),
    "two charsets": ({"Content-Type": "application/json; charset=utf-16; charset=utf-8"}, 415),
    "no end of a quote": ({"Content-Type": 'application/json; charset="utf-8'}, 415),
    "more than a charset": ({"Content-Type": "application/json; charset=utf-8, text/plain"}, 415),
    "no charset": ({"Content-Type": "application/json; charset="}, 415),
    "many blanks": ({"Content-Type": f"application/json;{' ' * 8_000}x"}, 415),
    "empty parameters": ({"Content-Type": "application/json ;; "}, 200),
    "a charset in quotes of another": (
        {"Content-Type": 'application/json; a="; charset=utf-16 \\""'},
        200,
    ),
    "plain": ({"Content-Type": "application/json"}, 200),
    "UTF-8": ({"Content-Type": 'Application/JSON ; Charset="UTF-8"'}, 200),
    "other parameter": ({"Content-Type": "application/json; indent=2"}, 200),
    "gzip": ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, 415),
    "identity": ({"Content-Type": "application/json", "Content-Encoding": "Identity"}, 200),
}


@pytest.mark.parametrize(("headers", "status"), MEDIA_TYPES.values(), ids=MEDIA_TYPES)
def test_the_media_type_must_be_plain_json(
    client: FlaskClient, headers: dict[str, str], status: int
) -> None:
    answer = client.post(SMOKE_TEST, data=b'{"ping":"a"}', headers=headers)
    assert answer.status_code == status
    if status == 415:
        assert answer.json["code"] == "unsupported-media-type"


def test_a_body_over_the_limit_is_413_whatever_its_media_type(client_of: ClientOf) -> None:
    client = client_of(max_body_bytes=20)
    for media_type in ("application/json", "text/plain"):
        answer = client.post(SMOKE_TEST, data=b"x" * 21, content_type=media_type)
        assert (answer.status_code, answer.json["code"]) == (413, "body-too-large")
        assert "20 bytes at most" in answer.json["detail"]
    fits = client.post(SMOKE_TEST, data=b'{"ping":"12345678"}\n', content_type="application/json")
    assert fits.status_code == 200


def test_twenty_thousand_unknown_members_get_the_first_ten(client_of: ClientOf) -> None:
    client = client_of(max_body_bytes=5_000_000)
    body = {f"{number:05}{'é' * 30}": number for number in range(20_000)} | {"ping": None}
    answer = client.post(SMOKE_TEST, data=json.dumps(body), content_type="application/json")
    assert answer.status_code == 422
    names = list(answer.json["errors"]["json"])
    assert [name[:5] for name in names] == ["ping", *(f"{number:05}" for number in range(9))]
    assert len(answer.data) < 2_048


def test_a_long_list_of_unknown_query_parameters_is_cut_too(client: FlaskClient) -> None:
    query = "&".join(f"{'%F0%9F%98%80' * 20}{number}" for number in range(60))
    for method, path in (("POST", SMOKE_TEST), ("GET", "/system/ready")):
        answer = client.open(f"{path}?{query}", method=method, json={"ping": "a"})
        assert answer.status_code == 422
        assert len(answer.data) < 2_048


def test_of_a_hundred_checks_those_that_failed_come_first_and_ten_are_named(
    client: FlaskClient,
) -> None:
    readiness = client.application.extensions["petsage"].readiness
    for number in range(100):
        readiness.add(f"check-{number:02}-{'x' * 31}", lambda number=number: number not in (7, 99))
    answer = client.get("/system/ready")
    assert (answer.status_code, answer.json["code"]) == (503, "not-ready")
    statuses = [(name[6:8], check["status"]) for name, check in answer.json["checks"].items()]
    assert len(statuses) == 10
    assert statuses[:3] == [("07", "failed"), ("99", "failed"), ("g", "ok")]
    unknown = client.get("/system/ready?exclude=nothing")
    assert "logging" in unknown.json["detail"]
    assert max(len(answer.data), len(unknown.data)) < 2_048


@given(st.dictionaries(st.text(max_size=300), st.just(["Unknown field."]), max_size=30))
def test_names_are_cut_at_64_bytes_of_their_json_form(fields: dict[str, list[str]]) -> None:
    kept = bounded({"json": fields})["json"]
    assert len(kept) <= 10
    for name in kept:
        encoded = json.dumps(name, ensure_ascii=False)
        assert len(encoded.encode("utf-8", "surrogatepass")) - 2 <= 64
        assert any(field.startswith(name) for field in fields)


def test_a_name_that_fits_is_kept_whole() -> None:
    fields = {"x" * 64: ["Unknown field."], "é" * 32: ["Unknown field."]}
    assert bounded({"json": fields}) == {"json": fields}


def test_a_value_that_was_sent_is_never_repeated(client: FlaskClient) -> None:
    for body in (b'{"ping":["s3cret"]}', b'{"ping":s3cret}', b'{"ping":"s3cret","ping":"s3cret"}'):
        answer = client.post(SMOKE_TEST, data=body, content_type="application/json")
        assert answer.status_code in (400, 422)
        assert "s3cret" not in answer.text


def test_a_bug_is_500_its_cause_in_the_log_alone(
    client: FlaskClient, capfd: pytest.CaptureFixture[str]
) -> None:
    client.application.add_url_rule("/broken", view_func=lambda: int("s3cret"))
    answer = client.get("/broken", headers={"X-Request-ID": "marker"})
    assert (answer.status_code, answer.json["code"]) == (500, "internal-error")
    assert "s3cret" not in answer.text
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    (fault,) = [line for line in lines if "traceback" in line]
    assert "invalid literal for int() with base 10: 's3cret'" in fault["traceback"]
    assert {line["request_id"] for line in lines} == {"marker"}


def test_an_abort_of_a_feature_keeps_its_status_and_headers(client: FlaskClient) -> None:
    client.application.add_url_rule("/teapot", view_func=lambda: abort(418))
    answer = client.get("/teapot")
    assert (answer.status_code, answer.json["status"]) == (418, 418)
    assert answer.content_type == "application/problem+json"


def test_what_a_feature_says_of_its_error_is_told(client: FlaskClient) -> None:
    app = client.application
    app.add_url_rule("/plain", "plain", lambda: abort(404, "No such pet."))
    app.add_url_rule("/smorest", "smorest", lambda: smorest_abort(409, message="Rex is taken."))
    app.add_url_rule("/broken", "broken", lambda: abort(500, "s3cret"))
    assert client.get("/plain").json["detail"] == "No such pet."
    assert client.get("/smorest").json["detail"] == "Rex is taken."
    assert "s3cret" not in client.get("/broken").text


@pytest.mark.parametrize("member", ["errors", "messages"])
def test_what_a_feature_gives_smorest_with_its_error_arrives(
    client: FlaskClient, member: str
) -> None:
    def taken() -> None:
        headers = {"X-Why": "1", "Content-Type": "text/html"}
        smorest_abort(409, headers=headers, **{member: {"name": ["taken"]}})

    def unfit() -> None:
        smorest_abort(422, **{member: {"json": {"name": ["taken"]}}})

    def silent() -> None:
        smorest_abort(422)

    for view in (taken, unfit, silent):
        client.application.add_url_rule(f"/{view.__name__}", view_func=view)
    answer = client.get("/taken")
    assert (answer.status_code, answer.json["code"]) == (409, "conflict")
    assert answer.json["errors"] == {"name": ["taken"]}
    assert (answer.headers["X-Why"], answer.content_type) == ("1", "application/problem+json")
    assert client.get("/unfit").json["errors"] == {"json": {"name": ["taken"]}}
    assert client.get("/silent").json["errors"] == {}


def test_a_fault_of_a_feature_keeps_its_cause_and_what_it_gave_to_the_log(
    client: FlaskClient,
) -> None:
    client.application.add_url_rule(
        "/broken", view_func=lambda: smorest_abort(500, errors={"dsn": "s3cret"})
    )
    answer = client.get("/broken")
    assert "errors" not in answer.json
    assert "s3cret" not in answer.text


LONG: dict[str, object] = {
    "many names": {f"name-{number}-{'é' * 50}": ["taken"] for number in range(50)},
    "long text": {"name": ["\N{CAT FACE}" * 5_000, "another"]},
    "many texts": ["taken" * 5] * 5_000,
    "deep": {"json": {"pets": {number: {"name": ["taken"] * 20} for number in range(5_000)}}},
    "no JSON": {"name": {"at": BytesIO()}},
    "a name that is no text": {None: ["a"], True: ["b"], ("a", 1): ["c"], 7: ["d"]},
    "a number that is no JSON": {"weight": [float("nan"), float("inf"), 4.5, 7]},
    "a number without end": {"weight": 10**3_000},
}


@pytest.mark.parametrize("errors", LONG.values(), ids=LONG)
def test_a_feature_s_error_stays_under_2_kb_too(client: FlaskClient, errors: object) -> None:
    client.application.add_url_rule(
        "/taken", view_func=lambda: smorest_abort(431, message="Miu\0" * 5_000, errors=errors)
    )
    answer = client.get("/taken", headers={"X-Request-ID": "a" * 200})
    assert answer.status_code == 431
    assert len(answer.data) < 2_048
    assert answer.json["detail"].startswith("Miu")
    assert json.loads(answer.data, parse_constant=pytest.fail)["errors"]


class PetsIn(Schema):
    names = fields.List(fields.String())
    ages = fields.Dict(keys=fields.Integer(), values=fields.Integer())


def test_errors_of_a_list_in_a_feature_s_body_are_named_by_their_places(
    client: FlaskClient,
) -> None:
    pets = StrictBlueprint("pets", __name__, tag="Pets")

    @pets.route("/pets", methods=["POST"])
    @pets.arguments(PetsIn(many=True))
    def keep(body: object) -> str:
        return ""

    client.application.register_blueprint(pets)
    answer = client.post("/pets", json=[{"names": []}, {"names": ["Miu", 5]}])
    assert answer.status_code == 422
    assert answer.json["errors"] == {"json": {"1": {"names": {"1": ["Not a valid string."]}}}}
    answer = client.post("/pets", json=[{"ages": {"x": "y"}}])
    assert set(answer.json["errors"]["json"]["0"]["ages"]["x"]) == {"key", "value"}


def test_a_header_that_a_feature_gives_twice_arrives_twice(client: FlaskClient) -> None:
    ways = [("WWW-Authenticate", "Basic"), ("WWW-Authenticate", "Bearer")]
    client.application.add_url_rule("/who", view_func=lambda: smorest_abort(401, headers=ways))
    assert client.get("/who").headers.getlist("WWW-Authenticate") == ["Basic", "Bearer"]


def test_a_redirect_of_a_feature_is_left_alone(client: FlaskClient) -> None:
    client.application.add_url_rule("/moved", view_func=lambda: abort(redirect("/system/live")))
    answer = client.get("/moved")
    assert (answer.status_code, answer.location) == (302, "/system/live")


def test_a_body_shorter_than_announced_is_incomplete(client: FlaskClient) -> None:
    answer = client.post(
        SMOKE_TEST,
        data=b'{"ping":',
        content_type="application/json",
        environ_overrides={"CONTENT_LENGTH": "50"},
    )
    assert (answer.status_code, answer.json["code"]) == (400, "incomplete-body")


class InvalidChunkSize(Exception):
    """gunicorn's own, and no OSError."""


class BrokenInput:
    """What a server hands on where a chunk is broken, or its client is gone."""

    def __init__(self, error: type[Exception]) -> None:
        self._error = error

    def read(self, _size: int = -1) -> bytes:
        raise self._error("zz")


@pytest.mark.parametrize("error", [OSError, InvalidChunkSize])
def test_a_body_that_a_server_can_not_read_is_incomplete(
    client: FlaskClient, error: type[Exception]
) -> None:
    answer = client.post(
        SMOKE_TEST,
        content_type="application/json",
        environ_overrides={"wsgi.input": BrokenInput(error), "wsgi.input_terminated": True},
    )
    assert (answer.status_code, answer.json["code"]) == (400, "incomplete-body")


REJECTED = {
    "no view": ("/nothing", {}, 404),
    "no method": (SMOKE_TEST, {"method": "PUT"}, 405),
    "another release": (SMOKE_TEST, {"method": "POST", "headers": {"Expect-Release": "v9"}}, 412),
    "no JSON": (SMOKE_TEST, {"method": "POST", "data": "{", "content_type": JSON_MEDIA_TYPE}, 400),
    "a schema": (SMOKE_TEST, {"method": "POST", "json": {}}, 422),
    "a query's schema": ("/system/ready?a=1", {}, 422),
    "a query": (f"{SMOKE_TEST}?a=1", {"method": "POST", "json": {"ping": ""}}, 422),
}


@pytest.mark.parametrize(("path", "options", "status"), REJECTED.values(), ids=REJECTED)
def test_a_rejected_request_leaves_nothing_to_the_garbage_collector(
    client: FlaskClient, path: str, options: dict[str, Any], status: int
) -> None:
    kept: list[weakref.ref[object]] = []

    class Noted(Request):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            kept.append(weakref.ref(self))

    client.application.request_class = Noted
    gc.disable()
    try:
        assert client.open(path, **options).status_code == status
        assert [one() for one in kept] == [None]
    finally:
        gc.enable()
