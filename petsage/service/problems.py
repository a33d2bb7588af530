"""The one shape of every error: an RFC 9457 problem, made without Flask.

Whoever finds a fault raises `Problem` with a code; the status of each code stands in the contract.
"""

from collections.abc import Mapping
from typing import Any

from petsage.contract import PROBLEM_TYPE_PREFIX, PROBLEMS
from petsage.service.json_text import json_text

# An error's body stays under 2 KB whatever was sent: so many faults are named, and of the name
# of an unknown member so many bytes of its JSON form.
MAX_FAULTS = 10
MAX_NAME_BYTES = 64
_MOST_BYTES = 6  # of one character: \u0000


class Problem(Exception):
    """A request that can't be served as it is.

    Args:
        code: one of the codes of the contract.
        detail: a sentence that helps the caller; it repeats no value that the caller sent.
        headers: further headers of the answer.
        members: further members of the problem's body.

    """

    def __init__(
        self,
        code: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
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


def bounded(errors: Mapping[str, Any]) -> dict[str, Any]:
    """Return validation errors, `{location: {field: messages}}`, cut to what a body may hold."""
    return {
        location: {_cut(str(name)): fields[name] for name in list(fields)[:MAX_FAULTS]}
        if isinstance(fields, dict)
        else fields
        for location, fields in errors.items()
    }


def _cut(name: str) -> str:
    """Return the longest beginning of `name` that has at most 64 bytes in its JSON form."""
    if len(name) * _MOST_BYTES <= MAX_NAME_BYTES or len(json_text(name)) - 2 <= MAX_NAME_BYTES:
        return name
    size = 0
    for position, character in enumerate(name[: MAX_NAME_BYTES + 1]):
        size += len(json_text(character)) - 2
        if size > MAX_NAME_BYTES:
            return name[:position]
    return name
