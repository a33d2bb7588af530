"""openapi: the document is valid, complete, and says nothing that the service does not do."""

import builtins
import inspect
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from flask.views import MethodView
from jsonschema import Draft202012Validator, FormatChecker
from marshmallow import Schema, fields
from openapi_spec_validator import validate
from werkzeug.test import TestResponse

from petsage import __version__, create_app
from petsage.contract import PROBLEMS
from petsage.service.blueprint import StrictBlueprint
from petsage.service.openapi import EXAMPLE_REQUEST_ID
from petsage.service.settings import Release, Settings
from tests.service.conftest import ClientOf

Document = dict[str, Any]
POST = "/system/smoke-test"
PATHS = {
    "/system/smoke-test": "post",
    "/api/v1/system/smoke-test": "post",
    "/api/v1/smoke-test": "get",
    "/smoke-test": "get",
    "/api/v1/health": "get",
    "/system/health": "get",
    "/system/live": "get",
    "/system/ready": "get",
    "/system/version": "get",
    "/": "get",
}
ANY_REQUEST = {"200", "400", "412", "500"}
FURTHER = {
    "/system/smoke-test": {"413", "415", "422"},
    "/api/v1/system/smoke-test": {"413", "415", "422"},
    "/smoke-test": {"503"},
    "/system/ready": {"422", "503"},
}


@pytest.fixture(scope="module")
def document() -> Document:
    found: Document = create_app().test_client().get("/openapi.json").json
    return found


def operation_at(document: Document, path: str) -> Document:
    found: Document = document["paths"][path][PATHS[path]]
    return found


def followed(document: Document, holder: Document) -> Document:
    if "$ref" in holder:
        _, _, kind, name = holder["$ref"].split("/")
        return document["components"][kind][name]
    return holder


def fits(document: Document, schema: Document, value: object) -> None:
    # References are looked up from the root of the schema, so the components go along.
    whole = {**schema, "components": document["components"]}
    Draft202012Validator(whole, format_checker=FormatChecker()).validate(value)


def answers(document: Document) -> Iterator[tuple[str, str, Document]]:
    for path in PATHS:
        for status, answer in operation_at(document, path)["responses"].items():
            yield path, status, followed(document, answer)


def nodes(value: object) -> Iterator[Document]:
    if isinstance(value, dict):
        yield value
        for member in value.values():
            yield from nodes(member)
    elif isinstance(value, list):
        for member in value:
            yield from nodes(member)


def test_the_document_is_valid_openapi_3_1(document: Document) -> None:
    assert document["openapi"].startswith("3.1.")
    validate(document)


def test_it_says_what_it_is_about(document: Document) -> None:
    assert document["info"]["title"] == "PetSage API"
    assert document["info"]["version"] == __version__
    assert "Expect-Release" in document["info"]["description"]
    assert [tag["name"] for tag in document["tags"]] == ["System Health"]
    assert document["tags"][0]["description"]
    assert document["servers"] == [{"url": "/"}]


def test_it_lists_the_json_routes_and_no_others(document: Document) -> None:
    listed = {path: list(methods) for path, methods in document["paths"].items()}
    assert listed == {path: [method] for path, method in PATHS.items()}


def test_each_operation_has_an_id_a_summary_and_the_tag(document: Document) -> None:
    operations = [operation_at(document, path) for path in PATHS]
    assert len({operation["operationId"] for operation in operations}) == len(PATHS)
    assert all(operation["summary"].endswith(".") for operation in operations)
    assert all(operation["tags"] == ["System Health"] for operation in operations)


@pytest.mark.parametrize("path", PATHS)
def test_every_status_that_a_route_can_give_is_there_and_no_default(
    document: Document, path: str
) -> None:
    statuses = operation_at(document, path)["responses"]
    assert set(statuses) == ANY_REQUEST | FURTHER.get(path, set())


def test_every_component_is_used(document: Document) -> None:
    used = {node["$ref"] for node in nodes(document) if "$ref" in node}
    components = {
        f"#/components/{kind}/{name}"
        for kind, named in document["components"].items()
        for name in named
    }
    assert components == used


def test_every_schema_is_closed_and_requires_all_its_members(document: Document) -> None:
    for name, schema in document["components"]["schemas"].items():
        assert schema["additionalProperties"] is False, name
        optional = {"errors", "checks"} if name == "Problem" else set()
        assert set(schema["required"]) == set(schema["properties"]) - optional, name


def test_what_no_view_gives_is_described_once(document: Document) -> None:
    for code in ("request-timeout", "uri-too-long", "headers-too-large", "not-implemented"):
        assert f"`{code}`" in document["info"]["description"]
        assert code in document["x-problems"]
    for path in PATHS:
        assert not {"408", "414", "431", "501"} & set(operation_at(document, path)["responses"])


def test_the_summaries_say_which_route_to_use(document: Document) -> None:
    other = operation_at(document, "/api/v1/system/smoke-test")["summary"]
    assert "/system/smoke-test" in other
    assert operation_at(document, POST)["summary"] != other
    for path in ("/system/health", "/api/v1/health"):
        assert "/system/live" in operation_at(document, path)["summary"]


def test_every_body_has_an_example_that_fits_its_schema(document: Document) -> None:
    bodies = [answer for _, _, answer in answers(document)]
    bodies += [
        operation_at(document, path)["requestBody"] for path in PATHS if PATHS[path] == "post"
    ]
    for body in bodies:
        for content in body["content"].values():
            examples = [example["value"] for example in content.get("examples", {}).values()]
            examples += [content["example"]] if "example" in content else []
            assert examples
            for example in examples:
                fits(document, content["schema"], example)


def test_the_example_ping_is_a_friendly_one(document: Document) -> None:
    content = operation_at(document, POST)["requestBody"]["content"]["application/json"]
    assert content["example"] == {"ping": "Hello, PetSage!"}


@pytest.mark.parametrize("path", PATHS)
def test_what_a_route_answers_fits_its_schema_and_looks_like_its_example(
    document: Document, client: FlaskClient, path: str
) -> None:
    body = {"json": {"ping": "Hello, PetSage!"}} if PATHS[path] == "post" else {}
    answer = client.open(path, method=PATHS[path].upper(), **body)
    content = operation_at(document, path)["responses"]["200"]["content"]["application/json"]
    fits(document, content["schema"], answer.json)
    assert set(answer.json) == set(content["example"])
    for same in {"status", "message", "pong", "feature", "docs", "name"} & set(answer.json):
        assert answer.json[same] == content["example"][same]


def test_every_error_is_a_problem_whose_examples_bear_its_status(document: Document) -> None:
    for _, status, answer in answers(document):
        if status == "200":
            continue
        assert list(answer["content"]) == ["application/problem+json"]
        examples = answer["content"]["application/problem+json"]["examples"]
        for code, example in examples.items():
            assert example["value"]["code"] == code
            assert example["value"]["status"] == PROBLEMS[code].status == int(status)
            assert example["value"]["title"] == example["summary"] == PROBLEMS[code].title


def test_each_400_of_a_body_stands_as_a_named_example(document: Document) -> None:
    answer = followed(document, operation_at(document, POST)["responses"]["400"])
    examples = answer["content"]["application/problem+json"]["examples"]
    assert set(examples) == {code for code, known in PROBLEMS.items() if known.status == 400}


def test_the_list_of_problems_has_each_code_of_the_contract(document: Document) -> None:
    assert list(document["x-problems"]) == list(PROBLEMS)
    for code, problem in document["x-problems"].items():
        assert (problem["status"], problem["title"]) == PROBLEMS[code][:2]
        assert problem["description"] == PROBLEMS[code].when


def broken(_: ClientOf) -> TestResponse:
    app = create_app()
    app.add_url_rule("/broken", view_func=lambda: 1 / 0)
    return app.test_client().get("/broken")


def not_ready(_: ClientOf) -> TestResponse:
    app = create_app()
    app.extensions["petsage"].readiness.add("database", lambda: False)
    return app.test_client().get("/system/ready")


def posted(body: bytes) -> Callable[[ClientOf], TestResponse]:
    return lambda client_of: client_of().post(POST, data=body, content_type="application/json")


def asked(path: str, method: str = "GET", **given: Any) -> Callable[[ClientOf], TestResponse]:
    return lambda client_of: client_of().open(path, method=method, **given)


# How to bring each problem about. Those of the server itself are in tests/end_to_end.
PROVOKED: dict[str, Callable[[ClientOf], TestResponse]] = {
    "malformed-json": posted(b"{"),
    "duplicate-key": posted(b'{"ping":"a","ping":"b"}'),
    "invalid-unicode": posted(b'{"ping":"\xff"}'),
    "too-deep": posted(b"[" * 65),
    "number-too-long": posted(b"1" * 1001),
    "bad-request": asked("/system/live", headers={"Expect-Release": ""}),
    "not-found": asked("/nothing"),
    "method-not-allowed": asked(POST, "DELETE"),
    "release-mismatch": lambda client_of: client_of(release=Release("v43")).get(
        "/system/live", headers={"Expect-Release": "v44"}
    ),
    "body-too-large": posted(b"1" * 65_537),
    "unsupported-media-type": asked(POST, "POST", data=b"{}", content_type="text/plain"),
    "validation-error": posted(b"{}"),
    "internal-error": broken,
    "not-ready": not_ready,
    "logging-broken": lambda client_of: client_of(log_level="WARNING").get("/smoke-test"),
}


@pytest.mark.parametrize("code", PROVOKED)
def test_each_example_of_a_problem_is_what_the_service_answers(
    document: Document, client_of: ClientOf, code: str
) -> None:
    answer = PROVOKED[code](client_of)
    assert answer.content_type == "application/problem+json"
    example = document["x-problems"][code]["example"]
    varying = {"request_id": EXAMPLE_REQUEST_ID}
    if code == "not-ready":  # which checks there are, and how long they take
        varying["checks"] = example["checks"]
    assert list(answer.json) == list(example)
    assert answer.json | varying == example


def test_the_example_of_an_unknown_query_parameter_is_what_the_service_answers(
    document: Document, client: FlaskClient
) -> None:
    answer = followed(document, operation_at(document, "/system/ready")["responses"]["422"])
    example = answer["content"]["application/problem+json"]["examples"]["validation-error"]
    told = client.get("/system/ready?verbose=1").json
    assert told | {"request_id": EXAMPLE_REQUEST_ID} == example["value"]


@pytest.mark.parametrize("disclosed", [True, False], ids=["disclosed", "not disclosed"])
def test_the_documented_headers_are_those_of_the_answers(
    document: Document, client_of: ClientOf, disclosed: bool
) -> None:
    answer = client_of(disclose_release=disclosed).get("/system/live")
    documented = operation_at(document, "/system/live")["responses"]["200"]["headers"]
    headers = {name: followed(document, header) for name, header in documented.items()}
    for name, header in headers.items():
        if header.get("required") or disclosed:
            fits(document, header["schema"], answer.headers[name])
        else:
            assert name not in answer.headers


def test_a_release_mismatch_says_when_to_try_again(document: Document, client_of: ClientOf) -> None:
    answer = PROVOKED["release-mismatch"](client_of)
    documented = followed(document, operation_at(document, "/system/live")["responses"]["412"])
    assert "Retry-After" in documented["headers"]
    assert answer.headers["Retry-After"] == "1"


def test_each_operation_takes_the_two_headers_and_fills_in_neither(document: Document) -> None:
    for path in PATHS:
        parameters = [
            followed(document, parameter)
            for parameter in operation_at(document, path)["parameters"]
        ]
        headers = [parameter for parameter in parameters if parameter["in"] == "header"]
        assert [parameter["name"] for parameter in headers] == ["Expect-Release", "X-Request-ID"]
        assert not any({"example", "examples"} & set(header) for header in headers)


def test_flask_prints_the_same_document(document: Document) -> None:
    printed = create_app().test_cli_runner().invoke(args=["openapi", "print"])
    served = {name: value for name, value in document.items() if name != "servers"}
    assert json.loads(printed.stdout) == served


class PetOut(Schema):
    """A pet."""

    name = fields.String(required=True)


def test_a_feature_of_ones_own_stands_in_a_document_that_stays_valid() -> None:
    pets = StrictBlueprint("pets", __name__, tag="Pets", description="All about pets.")

    @pets.route("/pets/<int:number>")
    @pets.response(200, PetOut())
    @pets.alt_response(409, schema=PetOut(), description="There is another.")
    def pet(number: int) -> dict[str, str]:
        """Tell of a pet."""
        return {"name": str(number)}

    @pets.route("/pets")
    @pets.response(200, PetOut(many=True))
    @pets.paginate()
    def list_pets(pagination_parameters: object) -> list[dict[str, str]]:
        """List some pets."""
        return []

    @pets.route("/pets", methods=["DELETE"])
    @pets.response(204)
    def forget() -> None:
        """Forget all pets."""

    app = create_app(Settings())
    app.extensions["petsage"].api.register_blueprint(pets)
    document = app.test_client().get("/openapi.json").json
    validate(document)
    assert [tag["name"] for tag in document["tags"]] == ["System Health", "Pets"]
    operation = document["paths"]["/pets/{number}"]["get"]
    assert operation["responses"]["409"]["description"] == "There is another."
    assert set(operation["responses"]) > ANY_REQUEST
    assert "PaginationMetadata" in document["components"]["schemas"]
    assert app.test_client().get("/redoc").status_code == 200


def test_operations_have_different_ids_whatever_features_call_their_views() -> None:
    app = create_app(Settings())
    for kind in ("cats", "dogs"):
        blueprint = StrictBlueprint(kind, __name__, tag=kind)

        @blueprint.route(f"/{kind}")
        def live() -> None:
            """Share a name with a route of the service."""

        @blueprint.route(f"/{kind}/<int:number>")
        class Pet(MethodView):
            def get(self, number: int) -> None:
                """Tell of a pet."""

            def delete(self, number: int) -> None:
                """Forget a pet."""

        app.extensions["petsage"].api.register_blueprint(blueprint)
    document = app.test_client().get("/openapi.json").json
    ids = [
        operation["operationId"]
        for methods in document["paths"].values()
        for method, operation in methods.items()
        if method != "parameters"
    ]
    assert len(ids) == len(PATHS) + 6
    assert len(set(ids)) == len(ids)


def test_no_description_is_the_docstring_of_a_builtin(document: Document) -> None:
    # Python 3.13 gave None one, and with it every schema that has no class.
    docstrings = {value.__doc__ for value in vars(builtins).values() if value.__doc__}
    docstrings |= {inspect.cleandoc(docstring) for docstring in docstrings}
    docstrings.add("The type of the None singleton.")
    told = [node["description"] for node in nodes(document) if "description" in node]
    assert [words for words in told if words in docstrings] == []
