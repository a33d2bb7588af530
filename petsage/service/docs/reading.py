"""The OpenAPI document as a reader wants it: references followed, members and examples in lists."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from petsage.contract import PROBLEM_MEDIA_TYPE

Document = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """A member, a parameter or a header: its name, its type in words, and what it means."""

    name: str
    kind: str
    meaning: str


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
    parameters: list[Row]
    members: list[Row]
    examples: list[Example]
    answers: list[Answer]


def operations(document: Document) -> list[Operation]:
    """Return the operations of an OpenAPI document, in its order."""
    return [
        _operation(document, path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if isinstance(operation, dict)
    ]


def problem_members(document: Document) -> list[Row]:
    """Return the members that a problem may have, those of every problem first."""
    schemas = [
        content["schema"]
        for answer in document["components"]["responses"].values()
        for media_type, content in answer["content"].items()
        if media_type == PROBLEM_MEDIA_TYPE
    ]
    found = {row.name: row for schema in schemas for row in _members(document, schema)}
    return list(found.values())


def _operation(document: Document, path: str, method: str, operation: Document) -> Operation:
    body = operation.get("requestBody", {})
    parameters = [_resolved(document, parameter) for parameter in operation.get("parameters", [])]
    return Operation(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation.get("summary", ""),
        parameters=[
            Row(
                parameter["name"],
                f"{parameter['in']}, {_kind(document, parameter['schema'])}, "
                + ("required" if parameter.get("required") else "optional"),
                parameter.get("description", ""),
            )
            for parameter in parameters
        ],
        members=list(_members_of_content(document, body)),
        examples=_examples(body),
        answers=[
            _answer(document, status, _resolved(document, answer))
            for status, answer in operation["responses"].items()
        ],
    )


def _answer(document: Document, status: str, answer: Document) -> Answer:
    headers = {
        name: _resolved(document, header) for name, header in answer.get("headers", {}).items()
    }
    return Answer(
        status=status,
        meaning=answer["description"],
        headers=[
            Row(name, _kind(document, header["schema"]), header.get("description", ""))
            for name, header in headers.items()
        ],
        members=list(_members_of_content(document, answer)),
        examples=_examples(answer),
    )


def _examples(holder: Document) -> list[Example]:
    found = []
    for content_type, content in holder.get("content", {}).items():
        if "example" in content:
            found.append(Example(content_type, "", pretty(content["example"])))
        for name, example in content.get("examples", {}).items():
            found.append(
                Example(
                    name,
                    example.get("description", holder["description"]),
                    pretty(example["value"]),
                )
            )
    return found


def _members_of_content(document: Document, holder: Document) -> Iterator[Row]:
    for content in holder.get("content", {}).values():
        yield from _members(document, content.get("schema", {}))


def _members(document: Document, schema: Document, within: str = "") -> Iterator[Row]:
    """Yield the members of a schema, and those of the objects in it under `outer.inner`."""
    schema = _without_null(document, schema)
    for name, member in schema.get("properties", {}).items():
        described = _resolved(document, member)
        yield Row(
            within + name,
            _kind(document, member),
            member.get("description", described.get("description", "")),
        )
        yield from _members(document, member, f"{within}{name}.")
    further = schema.get("additionalProperties")
    if isinstance(further, dict):
        yield from _members(document, further, f"{within}<name>.")


def _kind(document: Document, schema: Document) -> str:
    """Return the type of a schema in words, such as `string or null` or `one of "ok", "failed"`."""
    schema = _resolved(document, schema)
    if "anyOf" in schema:
        return " or ".join(_kind(document, choice) for choice in schema["anyOf"])
    if "enum" in schema and len(schema["enum"]) <= _FEW:
        values = ", ".join(json.dumps(value, ensure_ascii=False) for value in schema["enum"])
        return f"one of {values}" if len(schema["enum"]) > 1 else values
    kinds = schema.get("type", "any")
    kind = " or ".join(kinds) if isinstance(kinds, list) else kinds
    if kind == "array" and "items" in schema:
        return f"array of {_kind(document, schema['items'])}"
    return f"{kind} ({schema['format']})" if "format" in schema else kind


# More values than this are no longer listed beside a name.
_FEW = 5


def _without_null(document: Document, schema: Document) -> Document:
    schema = _resolved(document, schema)
    for choice in schema.get("anyOf", []):
        if choice.get("type") != "null":
            return _without_null(document, choice)
    return schema


def _resolved(document: Document, holder: Document) -> Document:
    reference = holder.get("$ref")
    if reference is None:
        return holder
    _, _, kind, name = reference.split("/")
    found: Document = document["components"][kind][name]
    return found


def pretty(value: Any) -> str:
    """Return a value as JSON for people."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def prose(text: str) -> Markup:
    """Return a description as HTML: backticks make code, an empty line ends a paragraph."""
    paragraphs = (
        re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(paragraph)))
        for paragraph in text.split("\n\n")
    )
    return Markup("\n".join(f"<p>{paragraph}</p>" for paragraph in paragraphs))  # noqa: S704 - escaped above
