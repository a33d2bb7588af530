"""What operations share in the OpenAPI document: headers, parameters, and the answers to errors."""

from typing import Any

from petsage.contract import (
    COMMIT_HEADER,
    COMMIT_PREFIX_MIN_DIGITS,
    EXPECT_RELEASE_HEADER,
    INSTANCE_HEADER,
    PROBLEM_MEDIA_TYPE,
    PROBLEM_TYPE_PREFIX,
    PROBLEMS,
    RELEASE_HEADER,
    REQUEST_ID_HEADER,
    REQUEST_ID_PATTERN,
    UNKNOWN_RELEASE,
    WORKER_HEADER,
)
from petsage.service.docs.catalogue import CATALOGUE, EXAMPLE_REQUEST_ID, UNFIT_QUERY, example_of
from petsage.service.problems import MAX_FAULTS, Problem

HEADERS_OF_EVERY_ANSWER: dict[str, dict[str, Any]] = {
    REQUEST_ID_HEADER: {
        "description": "The id of the request: yours if it was well formed, else a new one.",
        "required": True,
        "schema": {"type": "string", "pattern": f"^{REQUEST_ID_PATTERN}$"},
        "example": EXAMPLE_REQUEST_ID,
    },
    RELEASE_HEADER: {
        "description": f"The release that answers, or `{UNKNOWN_RELEASE}`. "
        "Absent where the operator does not disclose it.",
        "schema": {"type": "string"},
        "example": "v43",
    },
    COMMIT_HEADER: {
        "description": f"The commit of the release, or `{UNKNOWN_RELEASE}`. "
        "Absent where the operator does not disclose it.",
        "schema": {"type": "string"},
        "example": "8c5a1f0e2d3b4c5d6e7f8091a2b3c4d5e6f70819",
    },
    INSTANCE_HEADER: {
        "description": "The instance that answers. Absent where the operator does not disclose it.",
        "schema": {"type": "string"},
        "example": "web.1",
    },
    WORKER_HEADER: {
        "description": "The worker process that answers: random, and new after a restart.",
        "required": True,
        "schema": {"type": "string"},
        "example": "9f86d081884c",
    },
    "Server-Timing": {
        "description": "How long the app took, in milliseconds.",
        "required": True,
        "schema": {"type": "string"},
        "example": "app;dur=0.213",
    },
}
_RETRY_AFTER = {
    "description": "After how many seconds to try again.",
    "required": True,
    "schema": {"type": "integer"},
    "example": 1,
}
HEADERS = {**HEADERS_OF_EVERY_ANSWER, "Retry-After": _RETRY_AFTER}

# Without examples: Swagger UI fills them in, and then each trial would expect release v43.
PARAMETERS: dict[str, dict[str, Any]] = {
    EXPECT_RELEASE_HEADER: {
        "description": "The release that must serve this request, such as `v43`; or its commit, "
        f"or at least the first {COMMIT_PREFIX_MIN_DIGITS} digits of it.",
        "schema": {"type": "string", "pattern": "^[^,]*[^, ][^,]*$"},
    },
    REQUEST_ID_HEADER: {
        "description": "An id of yours for this request: up to 200 letters, digits and `+/=._-`. "
        "It comes back and stands in the log. Any other is replaced by a new one.",
        "schema": {"type": "string"},
    },
}


def _text(description: str, **keywords: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **keywords}


_MEMBERS_OF_EVERY_PROBLEM: dict[str, Any] = {
    "type": _text("The URI of this kind of problem.", pattern=f"^{PROBLEM_TYPE_PREFIX}"),
    "title": _text("What this kind of problem is called."),
    "status": {"type": "integer", "description": "The status of the answer."},
    "detail": _text("What is wrong, in a sentence for people."),
    "code": _text("Which problem this is, for programs.", enum=list(PROBLEMS)),
    "request_id": _text(
        f"The `{REQUEST_ID_HEADER}` of this request. It stands in the log too.",
        pattern=f"^{REQUEST_ID_PATTERN}$",
    ),
}


def _problem_schema(description: str, further: dict[str, Any]) -> dict[str, Any]:
    members = _MEMBERS_OF_EVERY_PROBLEM | further
    return {
        "type": "object",
        "description": description,
        "properties": members,
        "required": list(members),
        "additionalProperties": False,
    }


SCHEMAS = {
    "Problem": _problem_schema("What went wrong (RFC 9457).", {}),
    "ValidationProblem": _problem_schema(
        "What does not fit the schema of the request.",
        {
            "errors": {
                "type": "object",
                "description": "What does not fit: by place (`json` or `query`), then by name. "
                "Only in a `validation-error`.",
                "additionalProperties": {"type": "object"},
            }
        },
    ),
    "NotReadyProblem": _problem_schema(
        "Which readiness check did not pass.",
        {
            "checks": {
                "type": "object",
                "description": "The registered checks by their names, at most "
                f"{MAX_FAULTS}, those that did not pass first. Only in `not-ready`.",
                "additionalProperties": {"$ref": "#/components/schemas/CheckOut"},
            }
        },
    ),
}
_SCHEMA_OF = {"validation-error": "ValidationProblem", "not-ready": "NotReadyProblem"}


def _answer(description: str, *problems: Problem) -> dict[str, Any]:
    examples = {
        problem.code: {"summary": problem.title, "value": example_of(problem)}
        for problem in problems
    }
    if len(problems) > 1:  # else the description of the answer says it
        for code, example in examples.items():
            example["description"] = CATALOGUE[code].when
    names = list(HEADERS_OF_EVERY_ANSWER)
    if problems[0].code == "release-mismatch":
        names.append("Retry-After")
    return {
        "description": description,
        "headers": {name: name for name in names},
        "content": {
            PROBLEM_MEDIA_TYPE: {
                "schema": _SCHEMA_OF.get(problems[0].code, "Problem"),
                "examples": examples,
            }
        },
    }


# Each answer by its id, which is the code of the problem where it is but one.
ANSWERS = {code: _answer(entry.when, entry.problem) for code, entry in CATALOGUE.items()} | {
    "unreadable": _answer(
        "The request can't be read.",
        *(CATALOGUE[code].problem for code in ("bad-request", "incomplete-body")),
    ),
    "unreadable-body": _answer(
        "The request or its body can't be read.",
        *(entry.problem for entry in CATALOGUE.values() if entry.problem.status == 400),
    ),
    "unfit-query": _answer(CATALOGUE["validation-error"].when, UNFIT_QUERY),
}

ANSWERS_TO_ANY_REQUEST = {
    "400": "unreadable",
    "408": "request-timeout",
    "412": "release-mismatch",
    "414": "uri-too-long",
    "431": "headers-too-large",
    "500": "internal-error",
}
ANSWERS_TO_A_QUERY = {"422": "unfit-query"}
ANSWERS_TO_A_BODY = {
    "400": "unreadable-body",
    "413": "body-too-large",
    "415": "unsupported-media-type",
    "422": "validation-error",
}
