"""The OpenAPI document: what the routes say of themselves, completed with what all of them do.

A view names its schemas, and a problem of its own by its code (`alt_response(503, response=CODE)`).
"""

from collections.abc import Collection
from contextlib import suppress
from http import HTTPStatus
from inspect import cleandoc, isclass
from typing import Any

from apispec import APISpec, BasePlugin
from flask import Flask
from flask_smorest import Api, Blueprint
from marshmallow import Schema

from petsage import __version__
from petsage.contract import EXPECT_RELEASE_HEADER, PROBLEM_MEDIA_TYPE
from petsage.service.docs.catalogue import CATALOGUE, example_of
from petsage.service.docs.components import (
    ANSWERS,
    ANSWERS_TO_A_BODY,
    ANSWERS_TO_A_QUERY,
    ANSWERS_TO_ANY_REQUEST,
    HEADERS,
    HEADERS_OF_EVERY_ANSWER,
    PARAMETERS,
    SCHEMAS,
)

TITLE = "PetSage API"
DESCRIPTION = f"""\
Is the release that you shipped the one that answers, everywhere and strictly? Send a ping: the \
answer carries it back, and its headers name the release, the commit, the instance and the worker \
that answered.

Add `{EXPECT_RELEASE_HEADER}: v43` to any request to be served by that release or not at all.

Every path answers with and without a slash at its end, never with a redirect. `HEAD` works where \
`GET` does, and `OPTIONS` names the methods of a path. Any other method is 405 \
`method-not-allowed`, any other path 404 `not-found`.

Every error has one shape, `{PROBLEM_MEDIA_TYPE}` (RFC 9457): `code` is for programs, `detail` for \
people, and the log tells the rest under `request_id`."""


class StrictApi(Api):
    """A flask-smorest Api for an app that has its own handlers of errors."""

    ERROR_SCHEMA = "Problem"
    DEFAULT_ERROR_RESPONSE_NAME = None

    def __init__(self, app: Flask) -> None:
        super().__init__(
            app,
            spec_kwargs={
                "title": TITLE,
                "version": __version__,
                "openapi_version": "3.1.0",
                "info": {
                    "description": DESCRIPTION,
                    "license": {"name": "MIT", "identifier": "MIT"},
                },
                "tags": [],
                "x-problems": {
                    code: {
                        "status": entry.problem.status,
                        "title": entry.problem.title,
                        "description": entry.when,
                        "example": example_of(entry.problem),
                    }
                    for code, entry in CATALOGUE.items()
                },
                "extra_plugins": [Completion()],
            },
        )
        # smorest registers this one whether or not an answer comes in pages.
        self._pagination = self.spec.components.schemas.pop("PaginationMetadata")

    def register_blueprint(
        self, blp: Blueprint, *, parameters: list[Any] | None = None, **options: Any
    ) -> None:
        """Register a blueprint, and the tag under which its routes stand."""
        super().register_blueprint(blp, parameters=parameters, **options)
        if "PAGINATION" in self.spec.components.headers:
            self.spec.components.schemas["PaginationMetadata"] = self._pagination
        # smorest lists the name of the blueprint, also where its routes have another tag.
        tag = {"name": getattr(blp, "tag", blp.name), "description": blp.description}
        tags = self.spec.options["tags"]
        if tag["name"] not in {listed["name"] for listed in tags}:
            tags.append(tag)

    def handle_http_exception(self, error: Any) -> Any:
        """Leave errors to the app."""
        return error


class Completion(BasePlugin):
    """Adds to each operation what it shares with all: its id, headers, examples and errors."""

    def init_spec(self, spec: APISpec) -> None:
        """Register what operations can refer to; what none refers to stays out of the document."""
        super().init_spec(spec)
        self._components = spec.components
        self._ids: set[str] = set()
        for name, schema in SCHEMAS.items():
            spec.components.schema(name, schema, lazy=True)
        for name, header in HEADERS.items():
            spec.components.header(name, header, lazy=True)
        for name, parameter in PARAMETERS.items():
            spec.components.parameter(name, "header", parameter, lazy=True)
        for name, answer in ANSWERS.items():
            spec.components.response(name, answer, lazy=True)

    def schema_helper(
        self, name: str, definition: dict[str, Any], **kwargs: Any
    ) -> dict[str, Any] | None:
        """Describe a schema by its docstring."""
        del name, definition
        schema = kwargs.get("schema")
        # Nothing else: None and dict have docstrings too, and Python's versions differ in them.
        ours = isinstance(schema, Schema) or (isclass(schema) and issubclass(schema, Schema))
        docstring = schema.__doc__ if ours else None
        return {"description": cleandoc(docstring)} if docstring else None

    def operation_helper(
        self,
        path: str | None = None,
        operations: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Complete the operations of a path."""
        del path
        operations = operations or {}
        for method, operation in operations.items():
            if "operationId" not in operation:
                endpoint = kwargs["rule"].endpoint
                operation["operationId"] = self._operation_id(endpoint, method, operations)
            self._ids.add(operation["operationId"])
            own = {
                str(int(status)) if isinstance(status, int) else status: answer
                for status, answer in operation.get("responses", {}).items()
                # what smorest says of each schema, in words of its own
                if answer != HTTPStatus.UNPROCESSABLE_ENTITY.name
            }
            for answer in own.values():
                if isinstance(answer, dict):
                    self._complete_answer(answer)
            shared = dict(ANSWERS_TO_ANY_REQUEST)
            if operation.get("parameters"):
                shared |= ANSWERS_TO_A_QUERY
            if "requestBody" in operation:
                self._add_examples(operation["requestBody"])
                shared |= ANSWERS_TO_A_BODY
            operation["responses"] = dict(sorted((shared | own).items()))
            operation.setdefault("parameters", []).extend(PARAMETERS)

    def _operation_id(self, endpoint: str, method: str, operations: Collection[str]) -> str:
        """Return the name of the view, with as much before it as makes it unique."""
        blueprint, _, name = endpoint.rpartition(".")
        if len(operations) > 1:
            name = f"{method}_{name}"
        while name in self._ids:
            name = f"{blueprint.replace('.', '_')}_{name}"
        return name

    def _complete_answer(self, answer: dict[str, Any]) -> None:
        answer.setdefault("headers", {}).update({name: name for name in HEADERS_OF_EVERY_ANSWER})
        for content in answer.get("content", {}).values():
            described = self._resolved(content.get("schema", {})).get("description")
            if described and answer["description"] == HTTPStatus.OK.phrase:
                answer["description"] = described
        self._add_examples(answer)

    def _add_examples(self, holder: dict[str, Any]) -> None:
        for content in holder.get("content", {}).values():
            if "schema" in content and not {"example", "examples"} & set(content):
                with suppress(LookupError):  # a feature's schema may bring no examples
                    content["example"] = self._example(content["schema"])

    def _example(self, schema: Any, above: tuple[dict[str, Any], ...] = ()) -> Any:
        """Return the example of a schema, made of those of its members.

        Raises:
            LookupError: a member brings none, or the schema holds itself.

        """
        schema = self._resolved(schema)
        if any(schema is outer for outer in above):
            raise LookupError
        above = (*above, schema)
        if "examples" in schema:
            return schema["examples"][0]
        if "anyOf" in schema:
            return self._example(schema["anyOf"][0], above)
        return {name: self._example(member, above) for name, member in schema["properties"].items()}

    def _resolved(self, schema: Any) -> dict[str, Any]:
        if not isinstance(schema, dict):
            return {}  # `true` is a schema too
        reference = schema.get("$ref")
        if reference is None:
            return schema
        found: dict[str, Any] = self._components.schemas.get(reference.rpartition("/")[2], {})
        return found
