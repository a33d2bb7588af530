"""The OpenAPI document as a reader wants it: references followed, members and examples in lists.

Total over any valid document: what a feature leaves out is left out here too.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from markupsafe import Markup, escape

from petsage.contract import PROBLEM_MEDIA_TYPE
from petsage.service.docs.members import Document, Row, description, kind, members, resolved

# What else stands beside them at a path is no operation (OpenAPI 3.1, section 4.8.9).
_METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}


@dataclass(frozen=True)
class Example:
    """An example of a body, with the answer's or the problem's name."""

    name: str
    meaning: str
    body: str


@dataclass(frozen=True)
class Answer:
    """What an operation may answer with one status."""

    status: str
    meaning: str
    headers: list[Row]
    members: list[Row]
    examples: list[Example]


@dataclass(frozen=True)
class Operation:
    """One operation of the document."""

    id: str
    method: str
    path: str
    summary: str
    description: str
    parameters: list[Row]
    members: list[Row]
    examples: list[Example]
    answers: list[Answer]


def operations(document: Document) -> list[Operation]:
    """Return the operations of an OpenAPI document, in its order."""
    return [
        _operation(document, path, method, operation, item.get("parameters", []))
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in _METHODS
    ]


def problem_members(document: Document) -> list[Row]:
    """Return the members that a problem may have, those of every problem first."""
    schemas = [
        content.get("schema")
        for answer in document["components"]["responses"].values()
        for media_type, content in answer.get("content", {}).items()
        if media_type == PROBLEM_MEDIA_TYPE
    ]
    found = {row.name: row for schema in schemas for row in members(document, schema)}
    return list(found.values())


def _operation(
    document: Document, path: str, method: str, operation: Document, shared: list[Document]
) -> Operation:
    body = resolved(document, operation.get("requestBody"))
    parameters = [
        resolved(document, parameter) for parameter in shared + operation.get("parameters", [])
    ]
    return Operation(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation.get("summary", ""),
        description=operation.get("description", ""),
        # An operation may say again what its path says, and is then right.
        parameters=list(
            {
                (parameter["in"], parameter["name"]): _parameter(document, parameter)
                for parameter in parameters
            }.values()
        ),
        members=list(_members_of_content(document, body)),
        examples=_examples(document, body),
        answers=[
            _answer(document, status, resolved(document, answer))
            for status, answer in operation["responses"].items()
        ],
    )


def _parameter(document: Document, parameter: Document) -> Row:
    need = "required" if parameter.get("required") else "optional"
    return Row(
        parameter["name"],
        f"{parameter['in']}, {_kind_of(document, parameter)}, {need}",
        parameter.get("description", ""),
    )


def _kind_of(document: Document, named: Document) -> str:
    """Return the type of a parameter or a header: of its schema, or of its one content."""
    contents = named.get("content", {}).values()
    inner = next((content.get("schema") for content in contents), None)
    return kind(document, named.get("schema", inner))


def _answer(document: Document, status: str, answer: Document) -> Answer:
    return Answer(
        status=status,
        meaning=answer.get("description", ""),
        headers=[
            Row(name, _kind_of(document, resolved(document, header)), description(document, header))
            for name, header in answer.get("headers", {}).items()
        ],
        members=list(_members_of_content(document, answer)),
        examples=_examples(document, answer),
    )


def _examples(document: Document, holder: Document) -> list[Example]:
    found = []
    for content_type, content in holder.get("content", {}).items():
        if "example" in content:
            found.append(Example(content_type, "", pretty(content["example"])))
        for name, named in content.get("examples", {}).items():
            example = resolved(document, named)
            meanings = (
                example.get("description"),
                holder.get("description"),
                example.get("summary"),
            )
            found.append(
                Example(
                    name,
                    next(filter(None, meanings), ""),
                    # One may stand elsewhere: then the reader gets its address.
                    pretty(example["value"])
                    if "value" in example
                    else str(example.get("externalValue", "")),
                )
            )
    return found


def _members_of_content(document: Document, holder: Document) -> Iterator[Row]:
    for content in holder.get("content", {}).values():
        yield from members(document, content.get("schema"))


def pretty(value: Any) -> str:
    """Return a value as JSON for people."""
    return json.dumps(value, ensure_ascii=False, indent=2, default=_as_json)


def _as_json(value: object) -> object:
    # The limits of a feature's schema may be dates or Decimals.
    return float(value) if isinstance(value, Decimal) else str(value)


def prose(text: str) -> Markup:
    """Return a description as HTML: backticks make code, an empty line ends a paragraph."""
    paragraphs = (
        re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(paragraph)))
        for paragraph in text.split("\n\n")
    )
    return Markup("\n".join(f"<p>{paragraph}</p>" for paragraph in paragraphs))  # noqa: S704 - escaped above
