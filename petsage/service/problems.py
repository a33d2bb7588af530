"""The one shape of every error: an RFC 9457 problem, made without Flask.

Whoever finds an error raises `Problem` with a code; what else it says stands in the contract.
"""

import json
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from petsage.contract import PROBLEM_TYPE_PREFIX, PROBLEMS, ProblemType

# A problem's body stays under 2 KB whatever was sent: so many names of each object, and so many
# bytes of the JSON form of a name, of any other text of a feature, and of all errors together.
MAX_NAMES = 10
MAX_NAME_BYTES = 64
MAX_TEXT_BYTES = 400
MAX_ERRORS_BYTES = 1_200
_MOST_BYTES = 6  # of one character: \u0000

# Where in the environ the middleware finds the code of a problem, for the log.
PROBLEM_CODE_KEY = "petsage.problem_code"

UNCLEAR_EXPECTATION = "Expect-Release must name exactly one release or commit."
OTHER_RELEASE = "This is {release}, another release than the expected one."
OVER_THE_LIMIT = "The body is larger than this service accepts: {limit:,} bytes at most."

# Made once: json.dumps would make an encoder for each value.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def json_bytes(value: object) -> bytes:
    """Return a value as JSON: UTF-8, each character as itself, no blanks."""
    return _encode(value).encode(errors="replace")


class Problem(Exception):
    """A request that can't be served as it is.

    Args:
        code: one of the codes of the contract, or a feature's own.
        detail: a sentence that helps the caller, without any value that the caller sent; the one
            of its kind where it is left out.
        headers: further headers of the response.
        kind: what the contract says of the code; only a feature's own code needs one.
        members: further members of the problem's body.

    """

    def __init__(
        self,
        code: str,
        detail: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
        kind: ProblemType | None = None,
        **members: Any,
    ) -> None:
        self.code = code
        self.status, self.title, default, _ = kind or PROBLEMS[code]
        self.detail = detail or default
        super().__init__(self.detail)
        self.headers = headers
        self.members = members

    def body(self, request_id: str) -> bytes:
        """Return the problem as JSON (RFC 9457, section 3)."""
        return json_bytes(
            {
                "type": PROBLEM_TYPE_PREFIX + self.code,
                "title": self.title,
                "status": self.status,
                "detail": self.detail,
                "code": self.code,
                "request_id": request_id,
                **self.members,
            }
        )


def bounded(errors: Any) -> Any:
    """Return errors, such as `{location: {name: [message]}}`, cut to what a problem may hold.

    Of each object and array the first ten are kept; fewer where those would be too long.
    """
    for most in (MAX_NAMES, 3, 1):
        kept = _first(errors, most)
        if len(json_bytes(kept)) <= MAX_ERRORS_BYTES:
            return kept
    return {}


def _first(value: Any, most: int) -> Any:
    if isinstance(value, Mapping):
        members = islice(value.items(), most)
        return {cut(str(name)): _first(inner, most) for name, inner in members}
    if isinstance(value, list | tuple):
        return [_first(item, most) for item in value[:most]]
    return cut(str(value), MAX_TEXT_BYTES)


def cut(text: str, most: int = MAX_NAME_BYTES) -> str:
    """Return the longest beginning of `text` that has at most so many bytes in its JSON form."""
    if len(text) * _MOST_BYTES > most:
        text = text[:most]
        while len(json_bytes(text)) - len('""') > most:
            text = text[:-1]
    return text
