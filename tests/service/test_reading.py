"""reading, members: whatever flask-smorest can document stands in the reading view too."""

import datetime
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from flask.views import MethodView
from marshmallow import Schema, fields, validate
from openapi_spec_validator import validate as validate_document

from petsage import create_app
from petsage.service.docs import reading
from petsage.service.docs.members import kind, members, resolved
from petsage.service.docs.reading import Operation
from petsage.service.strict_blueprint import StrictBlueprint


class OwnerOut(Schema):
    """Whose pet it is."""

    name = fields.String(required=True)


class PetOut(Schema):
    """A pet."""

    name = fields.String(required=True)
    owner = fields.Nested(OwnerOut, metadata={"description": "Its owner."})
    born = fields.Date(validate=validate.Range(min=datetime.date(2000, 1, 1)))
    price = fields.Decimal(validate=validate.Range(min=Decimal("0.5")))
    mother = fields.Nested(lambda: PetOut())
    kittens = fields.List(fields.Nested(lambda: PetOut()))


class PhotoIn(Schema):
    photo = fields.Raw(required=True, metadata={"type": "string", "format": "binary"})


Register = Callable[[StrictBlueprint], None]


def tagged(pets: StrictBlueprint) -> None:
    @pets.route("/pet")
    @pets.etag
    @pets.response(200, PetOut)
    def pet() -> dict[str, str]:
        return {"name": "Miu"}


def in_pages(pets: StrictBlueprint) -> None:
    @pets.route("/pet")
    @pets.response(200, PetOut(many=True))
    @pets.paginate()
    def list_pets(pagination_parameters: object) -> list[dict[str, str]]:
        return []


def with_examples(pets: StrictBlueprint) -> None:
    @pets.route("/pet", methods=["POST"])
    @pets.arguments(OwnerOut, examples={"a": {"summary": "Short.", "value": {"name": "Ann"}}})
    @pets.response(
        200,
        OwnerOut,
        examples={
            "b": {"summary": "s", "value": {}},
            "c": {"externalValue": "https://b.example"},
        },
    )
    @pets.alt_response(409, schema=OwnerOut, description="There is another.")
    def add(owner: object) -> object:
        return owner


def with_a_file(pets: StrictBlueprint) -> None:
    @pets.route("/pet", methods=["POST"])
    @pets.arguments(PhotoIn, location="files")
    @pets.response(201)
    def upload(files: object) -> None:
        """Keep a photo.

        It is kept for a year.
        """


ONE_OF: dict[str, Any] = {
    "oneOf": [
        {"type": "object", "properties": {"cat": {"type": "string"}}},
        {"type": "object", "properties": {"dog": {"allOf": [{"type": "boolean"}]}}},
    ]
}


def with_one_of(pets: StrictBlueprint) -> None:
    about = {"in": "path", "name": "number", "description": "The number of the pet."}

    @pets.route("/pet/<int:number>", parameters=[about])
    class Pet(MethodView):
        @pets.response(200, ONE_OF)
        @pets.doc(
            parameters=[
                {"in": "query", "name": "by", "content": {"application/json": {"schema": True}}}
            ]
        )
        def get(self, number: int) -> object:
            return {}

        @pets.response(204)
        @pets.doc(requestBody={"content": {"text/plain": {"schema": True}, "image/png": {}}})
        def patch(self, number: int) -> None: ...


def elsewhere(pets: StrictBlueprint) -> None:
    @pets.route("/pet")
    @pets.response(200, headers={"X-A": {"content": {"text/plain": {}}}})
    @pets.alt_response(303, description="Elsewhere.")
    def pet() -> None: ...


FEATURES = {
    one.__name__: one
    for one in (tagged, in_pages, with_examples, with_a_file, with_one_of, elsewhere)
}


def described(register: Register) -> tuple[str, list[Operation]]:
    """Return the reading view with this feature in it, and the feature's operations."""
    pets = StrictBlueprint("pets", __name__, tag="Pets")
    register(pets)
    app = create_app()
    app.extensions["petsage"].api.register_blueprint(pets)
    client = app.test_client()
    document = client.get("/openapi.json").json
    validate_document(document)
    answer = client.get("/redoc")
    assert answer.status_code == 200
    found = [one for one in reading.operations(document) if one.path.startswith("/pet")]
    return answer.text, found


@pytest.mark.parametrize("register", FEATURES.values(), ids=FEATURES)
def test_a_feature_stands_in_the_reading_view_with_all_its_statuses(register: Register) -> None:
    text, operations = described(register)
    assert operations
    for operation in operations:
        section = text.split(f'<section id="{operation.id}">')[1].split("</section>")[0]
        for answer in operation.answers:
            assert answer.status in section
            assert all(f"<code>{row.name}</code>" in section for row in answer.headers)


def test_the_members_of_a_schema_that_holds_itself_are_listed_once() -> None:
    _, (operation,) = described(in_pages)
    (answer,) = [answer for answer in operation.answers if answer.status == "200"]
    assert {row.name: row.kind for row in answer.members} == {
        "[].name": "string",
        "[].owner": "object",
        "[].owner.name": "string",
        "[].born": "string (date)",
        "[].price": "number",
        "[].mother": "object",
        "[].kittens": "array of object",
    }


def test_an_example_is_shown_with_what_is_said_of_it() -> None:
    _, (operation,) = described(with_examples)
    (example,) = operation.examples
    assert (example.name, example.meaning, example.body) == (
        "a",
        "Short.",
        '{\n  "name": "Ann"\n}',
    )
    (answer,) = [answer for answer in operation.answers if answer.status == "200"]
    assert [shown.body for shown in answer.examples] == ["{}", "https://b.example"]


def test_what_a_feature_tells_at_length_is_told() -> None:
    text, (operation,) = described(with_a_file)
    assert [(row.name, row.kind) for row in operation.members] == [("photo", "string (binary)")]
    assert operation.summary == "Keep a photo."
    assert "<p>It is kept for a year.</p>" in text


def test_parameters_of_a_path_and_choices_among_schemas_are_told() -> None:
    _, (operation, _) = described(with_one_of)
    number, by = operation.parameters[:2]
    assert (number.kind, number.meaning) == ("path, integer, required", "The number of the pet.")
    assert by.kind == "query, any, optional"
    (answer,) = [answer for answer in operation.answers if answer.status == "200"]
    assert [(row.name, row.kind) for row in answer.members] == [
        ("cat", "string"),
        ("dog", "boolean"),
    ]


def test_a_redirect_is_no_error() -> None:
    text, (operation,) = described(elsewhere)
    section = text.split(f'<section id="{operation.id}">')[1].split("<h4>Errors</h4>")[0]
    assert "Answer 303" in section
    assert "Elsewhere." in section


ODD: dict[str, Any] = {
    "$defs": {
        "itself": {"$ref": "#/$defs/itself"},
        "list": {"type": "array", "items": {"$ref": "#/$defs/list"}},
        "a/b": {"const": 1},
        "number": 1,
    }
}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (True, "any"),
        (None, "any"),
        ({"$ref": "#/$defs/itself"}, "any"),
        ({"$ref": "#/$defs/list"}, "array of any"),
        ({"$ref": "#/$defs/a~1b"}, "1"),
        ({"$ref": "#/$defs/number/deeper"}, "any"),
        ({"$ref": "https://elsewhere.example/schema"}, "any"),
        ({"type": ["string", "null"]}, "string or null"),
        ({"oneOf": [{"type": "object"}, {"type": "object"}]}, "object"),
        ({"allOf": [{"type": "string"}, {"format": "uuid"}]}, "string and any (uuid)"),
    ],
)
def test_any_schema_has_a_type_in_words(schema: Any, words: str) -> None:
    assert kind(ODD, schema) == words
    assert list(members(ODD, schema)) == []
    assert isinstance(resolved(ODD, schema), dict)
