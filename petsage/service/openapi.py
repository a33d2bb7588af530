"""The OpenAPI document: what the routes say of themselves, completed with what all of them share.

A view names its schemas, and a problem of its own by its code (`alt_response(503, response=CODE)`).
"""

import json
from contextlib import suppress
from http import HTTPStatus
from importlib.resources import files
from typing import Any

from apispec import APISpec, BasePlugin
from flask import Flask
from flask_smorest import Api, Blueprint

from petsage import __version__, contract
from petsage.contract import PROBLEMS
from petsage.service.problems import Problem

_WEB = files("petsage.service") / "web"
# Parts of OpenAPI in its own language: headers, parameters, the schema of a problem, and what
# examples of problems say.
_COMPONENTS = json.loads((_WEB / "components.json").read_text())
_COMPONENTS["schemas"]["Problem"]["properties"]["code"]["enum"] = list(PROBLEMS)
# The headers of every response, each a reference to the component of its name.
_OF_EVERY_RESPONSE = {name: name for name in _COMPONENTS["headers"] if name != "Retry-After"}
EXAMPLE_REQUEST_ID = "7c9e6679f3b04d1e8a5b2c4d6e8f0a1b"
# A problem of each code, as the service responds with it; the tests compare them.
_EXAMPLES = {code: Problem(code, **_COMPONENTS["examples"].get(code, {})) for code in PROBLEMS}
_BAD_QUERY = Problem("validation-error", errors={"query": {"verbose": ["Unknown field."]}})


def example_of(problem: Problem) -> dict[str, Any]:
    """Return a problem as the reader of the response has it."""
    body: dict[str, Any] = json.loads(problem.body(EXAMPLE_REQUEST_ID))
    return body


def _response(description: str, *examples: Problem) -> dict[str, Any]:
    headers = dict(_OF_EVERY_RESPONSE)
    if examples[0].code == "release-mismatch":
        headers["Retry-After"] = "Retry-After"
    shown = {one.code: {"summary": one.title, "value": example_of(one)} for one in examples}
    return {
        "description": description,
        "headers": headers,
        "content": {contract.PROBLEM_MEDIA_TYPE: {"schema": "Problem", "examples": shown}},
    }


# Each response by its id, which is the code of the problem where it is but one.
_RESPONSES = {
    code: _response(PROBLEMS[code].when, example) for code, example in _EXAMPLES.items()
} | {
    "bad-request-or-body": _response(
        "The request or its body can't be read.",
        *(example for example in _EXAMPLES.values() if example.status == 400),
    ),
    "bad-query": _response(PROBLEMS["validation-error"].when, _BAD_QUERY),
}
_TO_ANY_REQUEST = {"400": "bad-request", "412": "release-mismatch", "500": "internal-error"}
_TO_A_BODY = {
    "400": "bad-request-or-body",
    "413": "body-too-large",
    "415": "unsupported-media-type",
    "422": "validation-error",
}


class StrictApi(Api):
    """A flask-smorest Api for an app that has its own handlers of errors."""

    ERROR_SCHEMA = "Problem"
    DEFAULT_ERROR_RESPONSE_NAME = None

    def __init__(self, app: Flask) -> None:
        super().__init__(
            app,
            spec_kwargs={
                "title": "PetSage API",
                "version": __version__,
                "openapi_version": "3.1.0",
                "info": {
                    "description": (_WEB / "about.md").read_text(),
                    "license": {"name": "MIT", "identifier": "MIT"},
                },
                "tags": [],
                "x-problems": {
                    code: {
                        "status": example.status,
                        "title": example.title,
                        "description": PROBLEMS[code].when,
                        "example": example_of(example),
                    }
                    for code, example in _EXAMPLES.items()
                },
                "extra_plugins": [Completion()],
            },
        )
        # smorest registers this one whether or not a response comes in pages.
        self._pagination = self.spec.components.schemas.pop("PaginationMetadata")

    def register_blueprint(self, blp: Blueprint, **options: Any) -> None:
        """Register a blueprint, and the tag under which its routes stand."""
        super().register_blueprint(blp, **options)
        if "PAGINATION" in self.spec.components.headers:
            self.spec.components.schemas["PaginationMetadata"] = self._pagination
        # smorest lists the name of the blueprint, also where its routes have another tag.
        tag = {"name": getattr(blp, "tag", blp.name), "description": blp.description}
        tags = self.spec.options["tags"]
        if tag["name"] not in {listed["name"] for listed in tags}:
            tags.append(tag)


class Completion(BasePlugin):
    """Adds to each operation what it shares with all: its id, headers, examples and errors."""

    def init_spec(self, spec: APISpec) -> None:
        """Register what operations can refer to; what none refers to stays out of the document."""
        super().init_spec(spec)
        self._components = spec.components
        self._ids: set[str] = set()
        for name, schema in _COMPONENTS["schemas"].items():
            spec.components.schema(name, schema, lazy=True)
        for name, header in _COMPONENTS["headers"].items():
            spec.components.header(name, header, lazy=True)
        for name, parameter in _COMPONENTS["parameters"].items():
            spec.components.parameter(name, "header", parameter, lazy=True)
        for name, response in _RESPONSES.items():
            spec.components.response(name, response, lazy=True)

    def operation_helper(
        self, path: str | None = None, operations: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        """Complete the operations of a path."""
        del path
        for method, operation in (operations or {}).items():
            endpoint = kwargs["rule"].endpoint
            operation.setdefault("operationId", self._operation_id(method, endpoint))
            own = {
                str(int(status)) if isinstance(status, int) else status: response
                for status, response in operation.get("responses", {}).items()
                # what smorest says of each schema, in words of its own
                if response != HTTPStatus.UNPROCESSABLE_ENTITY.name
            }
            for response in own.values():
                if isinstance(response, dict):
                    response.setdefault("headers", {}).update(_OF_EVERY_RESPONSE)
                    self._add_examples(response)
            shared = dict(_TO_ANY_REQUEST)
            if operation.get("parameters"):
                shared["422"] = "bad-query"
            if "requestBody" in operation:
                self._add_examples(operation["requestBody"])
                shared |= _TO_A_BODY
            operation["responses"] = dict(sorted((shared | own).items()))
            operation.setdefault("parameters", []).extend(_COMPONENTS["parameters"])

    def _operation_id(self, method: str, endpoint: str) -> str:
        """Return the name of the view; with its method and its blueprint if that name is taken."""
        name = endpoint.rpartition(".")[2]
        if name in self._ids:
            name = f"{method}_{endpoint.replace('.', '_')}"
        self._ids.add(name)
        return name

    def _add_examples(self, holder: dict[str, Any]) -> None:
        for content in holder.get("content", {}).values():
            if "schema" in content and not {"example", "examples"} & set(content):
                # A feature's schema may bring no examples, or hold itself.
                with suppress(LookupError, RecursionError):
                    content["example"] = self._example(content["schema"])

    def _example(self, schema: Any) -> Any:
        """Return the example of a schema, made of those of its members."""
        schema = self._resolved(schema)
        if "examples" in schema:
            return schema["examples"][0]
        if "anyOf" in schema:
            return self._example(schema["anyOf"][0])
        return {name: self._example(member) for name, member in schema["properties"].items()}

    def _resolved(self, schema: Any) -> dict[str, Any]:
        if not isinstance(schema, dict):
            return {}  # `true` is a schema too
        name = schema.get("$ref", "").rpartition("/")[2]
        found: dict[str, Any] = self._components.schemas.get(name, schema)
        return found
