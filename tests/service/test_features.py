"""What docs/server.md says of features, and the README of the blueprint in an app of one's own."""

from io import BytesIO
from pathlib import Path

import pytest
from flask import Blueprint, Flask, render_template, request
from flask.testing import FlaskClient
from flask_smorest import Api
from marshmallow import RAISE, Schema, fields

from petsage import create_app
from petsage.service.blueprint import StrictBlueprint
from petsage.service.routes import smoke_test_blueprint
from petsage.service.settings import Settings


class PetQuery(Schema):
    limit = fields.Integer()


@pytest.fixture
def feature(tmp_path: Path) -> FlaskClient:
    Path(tmp_path, "pet.html").write_text("<p>Miu</p>")
    pets = StrictBlueprint("pets", __name__, tag="Pets")
    web = Blueprint("web", __name__, template_folder=str(tmp_path))

    @pets.route("/json")
    @pets.response(200)
    def as_json() -> dict[str, str]:
        return {"b": "Müsli", "a": ""}

    @pets.route("/query")
    @pets.arguments(PetQuery(), location="query")
    @pets.response(200)
    def lenient(query: dict[str, int]) -> dict[str, int]:
        return query

    @pets.route("/strict")
    @pets.arguments(PetQuery(), location="query", unknown=RAISE)
    @pets.response(200)
    def strict(query: dict[str, int]) -> dict[str, int]:
        return query

    @web.get("/page")
    def page() -> str:
        return render_template("pet.html")

    @web.get("/own")
    def own() -> tuple[str, dict[str, str]]:
        return "", {"Content-Security-Policy": "img-src 'self'", "Cache-Control": "max-age=9"}

    @web.post("/form")
    def form() -> dict[str, int]:
        return {"fields": len(request.form), "files": len(request.files)}

    app = create_app(Settings(max_body_bytes=300))
    app.extensions["petsage"].api.register_blueprint(pets)
    app.register_blueprint(web)
    return app.test_client()


def test_a_page_may_load_nothing_and_is_not_kept_unless_it_says_otherwise(
    feature: FlaskClient,
) -> None:
    page, own = feature.get("/page"), feature.get("/own")
    assert (page.text, page.mimetype) == ("<p>Miu</p>", "text/html")
    assert page.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert page.headers["Cache-Control"] == "no-store"
    assert own.headers["Content-Security-Policy"] == "img-src 'self'"
    assert own.headers["Cache-Control"] == "max-age=9"


def test_forms_and_uploads_stand_under_the_limit_of_bodies(feature: FlaskClient) -> None:
    assert feature.post("/form", data={"name": "Miu"}).json == {"fields": 1, "files": 0}
    for size, status in ((1, 200), (300, 413)):
        upload = {"photo": (BytesIO(b"x" * size), "miu.png")}
        assert feature.post("/form", data=upload).status_code == status


def test_json_keeps_its_order_and_its_characters(feature: FlaskClient) -> None:
    assert feature.get("/json").data.strip() == '{"b":"Müsli","a":""}'.encode()


@pytest.mark.parametrize("path", ["/page", "/json"])
def test_a_slash_makes_no_difference(feature: FlaskClient, path: str) -> None:
    assert feature.get(path).status_code == feature.get(f"{path}/").status_code == 200


def test_a_query_is_refused_by_the_schema_alone(feature: FlaskClient) -> None:
    assert feature.get("/json?colour=red").status_code == 200
    assert feature.get("/query?colour=red").json == {}
    assert feature.get("/strict?limit=1").json == {"limit": 1}
    refused = feature.get("/strict?colour=red")
    assert refused.json["errors"] == {"query": {"colour": ["Unknown field."]}}


@pytest.fixture
def host() -> FlaskClient:
    app = Flask("somebody_elses")
    app.config.update(API_TITLE="Mine", API_VERSION="1", OPENAPI_VERSION="3.1.0")
    app.register_error_handler(422, lambda _: ({"mine": True}, 422))
    api = Api(app)
    api.register_blueprint(smoke_test_blueprint)
    app.add_url_rule("/openapi.json", view_func=api.spec.to_dict)
    return app.test_client()


def test_in_an_app_of_ones_own_the_blueprint_answers_its_refusals_itself(host: FlaskClient) -> None:
    refused = host.post("/system/smoke-test", json={})
    assert (refused.content_type, refused.json["code"]) == (
        "application/problem+json",
        "validation-error",
    )
    assert host.post("/system/smoke-test/", json={"ping": "a"}).status_code == 404


def test_in_an_app_of_ones_own_errors_are_described_as_that_app_does(host: FlaskClient) -> None:
    document = host.get("/openapi.json").json
    reference = document["paths"]["/system/smoke-test"]["post"]["responses"]["422"]["$ref"]
    answer = document["components"]["responses"][reference.rpartition("/")[2]]
    assert answer["content"]["application/json"]["schema"]["$ref"].endswith("/Error")
