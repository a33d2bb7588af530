"""JSON as answers carry it: UTF-8, each character as itself, no blanks."""

import json

# Made once: json.dumps would make an encoder for each value.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def json_text(value: object) -> bytes:
    """Return a value as JSON."""
    return _encode(value).encode()
