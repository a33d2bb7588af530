"""A schema as a reader wants it: its members in a list, each with its type in words.

Whatever JSON Schema allows is read: references in a circle too, and `true` for a schema.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

Document = dict[str, Any]

# More values than this are no longer listed beside a name.
_FEW = 5


@dataclass(frozen=True)
class Row:
    """A member, a parameter or a header: its name, its type in words, and what it means."""

    name: str
    kind: str
    meaning: str


def members(
    document: Document, schema: Any, within: str = "", above: tuple[Document, ...] = ()
) -> Iterator[Row]:
    """Yield the members of a schema, and those of the objects in it under `outer.inner`."""
    schema = resolved(document, schema)
    if any(schema is outer for outer in above):
        return  # it holds itself
    above = (*above, schema)
    for name, member in schema.get("properties", {}).items():
        place = f"{within}.{name}" if within else name
        yield Row(place, kind(document, member), description(document, member))
        yield from members(document, member, place, above)
    for word in ("allOf", "anyOf", "oneOf"):
        for part in schema.get(word, []):
            yield from members(document, part, within, above)
    if "items" in schema:
        yield from members(document, schema["items"], f"{within}[]", above)
    if "additionalProperties" in schema:
        place = f"{within}.<name>" if within else "<name>"
        yield from members(document, schema["additionalProperties"], place, above)


def kind(document: Document, schema: Any, above: tuple[Document, ...] = ()) -> str:
    """Return the type of a schema in words, such as `string or null` or `one of "ok", "failed"`."""
    schema = resolved(document, schema)
    if any(schema is outer for outer in above):
        return "any"
    above = (*above, schema)
    for word, joint in (("anyOf", " or "), ("oneOf", " or "), ("allOf", " and ")):
        if word in schema:
            # Once each: of two objects a reader learns no more than of one.
            return joint.join(dict.fromkeys(kind(document, part, above) for part in schema[word]))
    values = [schema["const"]] if "const" in schema else schema.get("enum", [])
    if 0 < len(values) <= _FEW:
        listed = ", ".join(json.dumps(value, ensure_ascii=False) for value in values)
        return f"one of {listed}" if len(values) > 1 else listed
    kinds = schema.get("type", "any")
    words = " or ".join(kinds) if isinstance(kinds, list) else kinds
    if words == "array" and "items" in schema:
        return f"array of {kind(document, schema['items'], above)}"
    return f"{words} ({schema['format']})" if "format" in schema else words


def description(document: Document, holder: Document) -> str:
    """Return what is said where something is named; else what it says of itself."""
    own = holder if isinstance(holder, dict) else {}
    found: str = own.get("description") or resolved(document, holder).get("description", "")
    return found


def resolved(document: Document, holder: Any) -> Document:
    """Return what is referred to; nothing where that is not an object of this document."""
    followed: list[str] = []
    while isinstance(holder, dict) and "$ref" in holder and holder["$ref"] not in followed:
        followed.append(holder["$ref"])
        holder = _at(document, followed[-1])
    return holder if isinstance(holder, dict) else {}


def _at(document: Document, reference: str) -> Any:
    """Return what a JSON pointer (RFC 6901) in a fragment leads to."""
    root, *tokens = reference.split("/")
    found: Any = document if root == "#" else None
    for token in tokens:
        name = unquote(token).replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, dict) else None
    return found
