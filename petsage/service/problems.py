"""The one shape of every error: an RFC 9457 problem, made without Flask.

Whoever finds a fault raises `Problem` with a code; the status of each code stands in the contract.
"""

import math
from collections.abc import Mapping
from itertools import islice
from typing import Any

from petsage.contract import (
    EXPECT_RELEASE_HEADER,
    JSON_MEDIA_TYPE,
    MAX_JSON_DEPTH,
    MAX_NUMBER_CHARACTERS,
    PROBLEM_TYPE_PREFIX,
    PROBLEMS,
)
from petsage.service.json_text import json_text

# An error's body stays under 2 KB whatever was sent: so many faults are named, of the name of an
# unknown member so many bytes of its JSON form, and as much of what a feature's own schema says.
MAX_FAULTS = 10
MAX_NAME_BYTES = 64
MAX_FAULTS_BYTES = 1_200
MAX_DETAIL_BYTES = 400
_LEAST_BYTES = 24  # of what is said of a fault: a number has room in them
_LEAST_NUMBER_CUT = 10**_LEAST_BYTES  # nor is NaN less, which is no JSON
_MOST_BYTES = 6  # of one character: \u0000


# What each problem says where its finder knows nothing more of it.
DETAILS = {
    "malformed-json": "The body is not valid JSON (RFC 8259).",
    "duplicate-key": "An object names a key twice.",
    "invalid-unicode": "The body is not valid UTF-8.",
    "too-deep": f"Arrays and objects nest more than {MAX_JSON_DEPTH} levels deep.",
    "number-too-long": f"A number has more than {MAX_NUMBER_CHARACTERS:,} characters.",
    "incomplete-body": "The body ends before it is whole.",
    "bad-request": "The request is not valid HTTP.",
    "not-found": "There is nothing at this path; /openapi.json lists what there is.",
    "method-not-allowed": (
        "This path does not answer to this method; Allow names those that it answers to."
    ),
    "request-timeout": "The request did not arrive whole in time.",
    "release-mismatch": "Another release than the expected one answers here.",
    "body-too-large": "The body is larger than this service accepts.",
    "uri-too-long": "The request line is longer than this server takes.",
    "unsupported-media-type": f"Send Content-Type: {JSON_MEDIA_TYPE}.",
    "validation-error": "The request does not fit its schema; see errors.",
    "headers-too-large": "The headers are more or larger than this server takes.",
    "internal-error": "The service made a mistake. Its log tells more, under this request_id.",
    "not-ready": "A readiness check did not pass; the log tells why.",
    "logging-broken": (
        "The log record was not written: INFO is switched off, or the log stream fails."
    ),
}
# What is said where more is known.
UNCLEAR_EXPECTATION = f"{EXPECT_RELEASE_HEADER} must name exactly one release or commit."
OTHER_RELEASE = "This is {release}, another release than the expected one."
OVER_THE_LIMIT = "The body is larger than this service accepts: {limit:,} bytes at most."


class Problem(Exception):
    """A request that can't be served as it is.

    Args:
        code: one of the codes of the contract.
        detail: a sentence that helps the caller; it repeats no value that the caller sent.
            What `DETAILS` says, where it is left out.
        headers: further headers of the answer.
        members: further members of the problem's body.

    """

    def __init__(
        self,
        code: str,
        detail: str | None = None,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        self.code = code
        self.detail = detail or DETAILS[code]
        super().__init__(self.detail)
        self.headers = dict(headers or {})
        self.members = members

    @property
    def status(self) -> int:
        """The HTTP status of this problem."""
        return PROBLEMS[self.code][0]

    @property
    def title(self) -> str:
        """What this kind of problem is called."""
        return PROBLEMS[self.code][1]

    def body(self, request_id: str) -> bytes:
        """Return the problem as JSON (RFC 9457, section 3)."""
        return problem_body(
            self.code, self.status, self.title, self.detail, request_id, **self.members
        )


def problem_body(
    code: str, status: int, title: str, detail: str, request_id: str, **members: Any
) -> bytes:
    """Return the JSON of a problem, of a code of the contract or of a feature's own."""
    return json_text(
        {
            "type": PROBLEM_TYPE_PREFIX + code,
            "title": title,
            "status": status,
            "detail": detail,
            "code": code,
            "request_id": request_id,
            **members,
        }
    )


def bounded(faults: Mapping[str, Any]) -> dict[str, Any]:
    """Return faults, such as `{location: {name: anything}}`, cut to what an error's body may hold.

    Each object and array keeps its first ten, and all of it together its first 1,200 bytes.
    """
    if _most_bytes_of(faults) <= MAX_FAULTS_BYTES:
        return dict(faults)
    kept: dict[str, Any] = _kept(faults, MAX_FAULTS_BYTES)
    return kept


def _most_bytes_of(value: Any) -> float:
    """Return a limit of what `value` takes as JSON, found without making any.

    It is endless where more has to be looked at. Most refusals are small, and need no more.
    """
    kind = type(value)
    if kind is str:
        return len(value) * _MOST_BYTES + len('"",')
    size = float(len("{},"))
    if kind is dict and len(value) <= MAX_FAULTS:
        for name, inner in value.items():
            # The faults of a list are named by their places in it.
            if type(name) is not str or len(name) * _MOST_BYTES > MAX_NAME_BYTES:
                return math.inf
            size += MAX_NAME_BYTES + len('"":') + _most_bytes_of(inner)
        return size
    if kind is list and len(value) <= MAX_FAULTS:
        for inner in value:
            size += _most_bytes_of(inner)
        return size
    return math.inf


def _kept(value: Any, room: int) -> Any:
    """Return the beginning of `value` that has at most so many bytes of JSON."""
    if isinstance(value, Mapping):
        members: dict[str, Any] = {}
        for key in islice(value, MAX_FAULTS):
            name = cut(str(key))
            left = room - len(json_text({**members, name: ""})) + len('""')
            if left < _LEAST_BYTES:
                break
            members[name] = _kept(value[key], left)
        return members
    if isinstance(value, list | tuple):
        items: list[Any] = []
        for item in value[:MAX_FAULTS]:
            left = room - len(json_text([*items, ""])) + len('""')
            if left < _LEAST_BYTES:
                break
            items.append(_kept(item, left))
        return items
    if value is None or (isinstance(value, int | float) and abs(value) < _LEAST_NUMBER_CUT):
        return value
    return cut(str(value), room - len('""'))


def cut(text: str, most: int = MAX_NAME_BYTES) -> str:
    """Return the longest beginning of `text` that has at most so many bytes in its JSON form."""
    if len(text) * _MOST_BYTES <= most or len(json_text(text)) - len('""') <= most:
        return text
    size = 0
    for position, character in enumerate(text[: most + 1]):
        size += len(json_text(character)) - len('""')
        if size > most:
            return text[:position]
    return text
