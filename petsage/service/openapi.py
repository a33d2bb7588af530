"""The OpenAPI document: what the routes say of themselves, completed with what all of them share.

A view names its schemas, and a problem of its own by its code (`alt_response(503, response=CODE)`).
"""

import json
from collections.abc import Collection
from contextlib import suppress
from http import HTTPStatus
from inspect import cleandoc, isclass
from typing import Any

from apispec import APISpec, BasePlugin
from flask import Flask
from flask_smorest import Api, Blueprint
from marshmallow import Schema

from petsage import __version__, contract
from petsage.contract import PROBLEMS
from petsage.service.problems import (
    MAX_NAMES,
    OTHER_RELEASE,
    OVER_THE_LIMIT,
    UNCLEAR_EXPECTATION,
    Problem,
)

DESCRIPTION = f"""\
Is the release that you shipped the one that responds, everywhere and strictly? Send a ping: the \
response carries it back, and its headers name the release, the commit, the instance and the \
worker that responded.

Add `{contract.EXPECT_RELEASE_HEADER}: v43` to any request to be served by that release or not at \
all.

Every path responds with and without a slash at its end, never with a redirect. `HEAD` works where \
`GET` does, and `OPTIONS` names the methods of a path.

Every error has one shape, `{contract.PROBLEM_MEDIA_TYPE}` (RFC 9457): `code` is for programs, \
`detail` for people, and the log tells the rest under `request_id`. Any request may get these, so \
that no operation lists them: 404 `not-found`, 405 `method-not-allowed`, 408 `request-timeout`, \
414 `uri-too-long`, 431 `headers-too-large`, 501 `not-implemented`."""

EXAMPLE_REQUEST_ID = "7c9e6679f3b04d1e8a5b2c4d6e8f0a1b"
# A problem of each code, as the service responds with it; the tests compare them.
_EXAMPLES = {code: Problem(code) for code in PROBLEMS} | {
    problem.code: problem
    for problem in (
        Problem("malformed-json", "The body is not valid JSON: see line 1, column 10."),
        Problem("duplicate-key", 'An object names the key "ping" twice.'),
        Problem("bad-request", UNCLEAR_EXPECTATION),
        Problem("method-not-allowed", "Use POST."),
        Problem("release-mismatch", OTHER_RELEASE.format(release="v43")),
        Problem("body-too-large", OVER_THE_LIMIT.format(limit=contract.DEFAULT_MAX_BODY_BYTES)),
        Problem(
            "validation-error", errors={"json": {"ping": ["Missing data for required field."]}}
        ),
        Problem("not-ready", checks={"logging": {"status": "failed", "duration_ms": 0.021}}),
    )
}
_BAD_QUERY = Problem("validation-error", errors={"query": {"verbose": ["Unknown field."]}})


def example_of(problem: Problem) -> dict[str, Any]:
    """Return a problem as the reader of the response has it."""
    body: dict[str, Any] = json.loads(problem.body(EXAMPLE_REQUEST_ID))
    return body


def _header(description: str, example: object, *, required: bool, **schema: str) -> dict[str, Any]:
    return {
        "description": description,
        "required": required,
        "schema": {"type": "string", **schema},
        "example": example,
    }


_UNLESS_DISCLOSED = "Absent where the operator does not disclose it."
_HEADERS = {
    contract.REQUEST_ID_HEADER: _header(
        "The id of the request: yours if it was well formed, else a new one.",
        EXAMPLE_REQUEST_ID,
        required=True,
        pattern=f"^{contract.REQUEST_ID_PATTERN}$",
    ),
    contract.RELEASE_HEADER: _header(
        f"The release that responds, or `{contract.UNKNOWN_RELEASE}`. {_UNLESS_DISCLOSED}",
        "v43",
        required=False,
    ),
    contract.COMMIT_HEADER: _header(
        f"The commit of the release, or `{contract.UNKNOWN_RELEASE}`. {_UNLESS_DISCLOSED}",
        "8c5a1f0e2d3b4c5d6e7f8091a2b3c4d5e6f70819",
        required=False,
    ),
    contract.INSTANCE_HEADER: _header(
        f"The instance that responds. {_UNLESS_DISCLOSED}", "web.1", required=False
    ),
    contract.WORKER_HEADER: _header(
        "The worker process that responds: random, and new after a restart.",
        "9f86d081884c",
        required=True,
    ),
    "Server-Timing": _header(
        "How long the app took, in milliseconds.", "app;dur=0.213", required=True
    ),
}
_RETRY_AFTER = _header("After how many seconds to try again.", 1, required=True, type="integer")

# Without examples: Swagger UI fills them in, and then each trial would expect release v43.
_PARAMETERS: dict[str, dict[str, Any]] = {
    contract.EXPECT_RELEASE_HEADER: {
        "description": "The release that must serve this request, such as `v43`; or its commit, "
        f"or at least the first {contract.COMMIT_PREFIX_MIN_DIGITS} digits of it.",
        "schema": {"type": "string", "pattern": "^[^,]*[^, ][^,]*$"},
    },
    contract.REQUEST_ID_HEADER: {
        "description": "An id of yours for this request: up to 200 letters, digits and `+/=._-`. "
        "It comes back and stands in the log. Any other is replaced by a new one.",
        "schema": {"type": "string"},
    },
}


def _text(description: str, **keywords: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **keywords}


_PROBLEM_MEMBERS: dict[str, Any] = {
    "type": _text("The URI of this kind of problem.", pattern=f"^{contract.PROBLEM_TYPE_PREFIX}"),
    "title": _text("What this kind of problem is called."),
    "status": {"type": "integer", "description": "The status of the response."},
    "detail": _text("What is wrong, in a sentence for people."),
    "code": _text("Which problem this is, for programs.", enum=list(PROBLEMS)),
    "request_id": _text(
        f"The `{contract.REQUEST_ID_HEADER}` of this request. It stands in the log too.",
        pattern=f"^{contract.REQUEST_ID_PATTERN}$",
    ),
}


def _problem_schema(description: str, **further: Any) -> dict[str, Any]:
    members = _PROBLEM_MEMBERS | further
    return {
        "type": "object",
        "description": description,
        "properties": members,
        "required": list(members),
        "additionalProperties": False,
    }


_SCHEMAS = {
    "Problem": _problem_schema("What went wrong (RFC 9457)."),
    "ValidationProblem": _problem_schema(
        "What does not fit the schema of the request.",
        errors={
            "type": "object",
            "description": "What does not fit: by place (`json` or `query`), then by name.",
            "additionalProperties": {"type": "object"},
        },
    ),
    "NotReadyProblem": _problem_schema(
        "Which readiness check did not pass.",
        checks={
            "type": "object",
            "description": f"The registered checks by their names, at most {MAX_NAMES}, those "
            "that did not pass first.",
            "additionalProperties": {"$ref": "#/components/schemas/CheckOut"},
        },
    ),
}
_SCHEMA_OF = {"validation-error": "ValidationProblem", "not-ready": "NotReadyProblem"}


def _response(description: str, *problems: Problem) -> dict[str, Any]:
    code = problems[0].code
    names = [*_HEADERS, *(["Retry-After"] if code == "release-mismatch" else [])]
    examples = {
        problem.code: {"summary": problem.title, "value": example_of(problem)}
        for problem in problems
    }
    schema = _SCHEMA_OF.get(code, "Problem")
    return {
        "description": description,
        "headers": {name: name for name in names},
        "content": {contract.PROBLEM_MEDIA_TYPE: {"schema": schema, "examples": examples}},
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
_TO_A_QUERY = {"422": "bad-query"}
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
                    "description": DESCRIPTION,
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
        for name, schema in _SCHEMAS.items():
            spec.components.schema(name, schema, lazy=True)
        for name, header in {**_HEADERS, "Retry-After": _RETRY_AFTER}.items():
            spec.components.header(name, header, lazy=True)
        for name, parameter in _PARAMETERS.items():
            spec.components.parameter(name, "header", parameter, lazy=True)
        for name, response in _RESPONSES.items():
            spec.components.response(name, response, lazy=True)

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
        for method, operation in (operations or {}).items():
            if "operationId" not in operation:
                endpoint = kwargs["rule"].endpoint
                operation["operationId"] = self._operation_id(endpoint, method, operations or {})
            self._ids.add(operation["operationId"])
            own = {
                str(int(status)) if isinstance(status, int) else status: response
                for status, response in operation.get("responses", {}).items()
                # what smorest says of each schema, in words of its own
                if response != HTTPStatus.UNPROCESSABLE_ENTITY.name
            }
            for response in own.values():
                if isinstance(response, dict):
                    self._complete_response(response)
            shared = dict(_TO_ANY_REQUEST)
            if operation.get("parameters"):
                shared |= _TO_A_QUERY
            if "requestBody" in operation:
                self._add_examples(operation["requestBody"])
                shared |= _TO_A_BODY
            operation["responses"] = dict(sorted((shared | own).items()))
            operation.setdefault("parameters", []).extend(_PARAMETERS)

    def _operation_id(self, endpoint: str, method: str, operations: Collection[str]) -> str:
        """Return the name of the view, with as much before it as makes it unique."""
        blueprint, _, name = endpoint.rpartition(".")
        if len(operations) > 1:
            name = f"{method}_{name}"
        while name in self._ids:
            name = f"{blueprint.replace('.', '_')}_{name}"
        return name

    def _complete_response(self, response: dict[str, Any]) -> None:
        response.setdefault("headers", {}).update({name: name for name in _HEADERS})
        for content in response.get("content", {}).values():
            described = self._resolved(content.get("schema", {})).get("description")
            if described and response["description"] == HTTPStatus.OK.phrase:
                response["description"] = described
        self._add_examples(response)

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
        reference = schema.get("$ref")
        if reference is None:
            return schema
        found: dict[str, Any] = self._components.schemas.get(reference.rpartition("/")[2], {})
        return found
