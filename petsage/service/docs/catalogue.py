"""Every problem in words: when it comes, and an example that a test compares with the answer."""

import json
from dataclasses import dataclass
from typing import Any

from petsage.contract import (
    DEFAULT_MAX_BODY_BYTES,
    EXPECT_RELEASE_HEADER,
    JSON_MEDIA_TYPE,
    MAX_JSON_DEPTH,
    MAX_NUMBER_CHARACTERS,
)
from petsage.service.problems import (
    OTHER_RELEASE,
    OVER_THE_LIMIT,
    UNCLEAR_EXPECTATION,
    Problem,
)

EXAMPLE_REQUEST_ID = "7c9e6679f3b04d1e8a5b2c4d6e8f0a1b"


@dataclass(frozen=True)
class Entry:
    """A kind of problem: when it comes, and an example of it."""

    when: str
    problem: Problem


def example_of(problem: Problem) -> dict[str, Any]:
    """Return a problem as the reader of the answer has it."""
    body: dict[str, Any] = json.loads(problem.body(EXAMPLE_REQUEST_ID))
    return body


# In the order of their statuses.
_ENTRIES = (
    Entry(
        "The body is empty, is not JSON (RFC 8259), or has something after its end. `NaN`, "
        "`Infinity`, a number too large to be represented and a byte order mark are not JSON.",
        Problem("malformed-json"),
    ),
    Entry("An object names a key twice.", Problem("duplicate-key")),
    Entry(
        "The body is not valid UTF-8, or a string holds half of a surrogate pair.",
        Problem("invalid-unicode"),
    ),
    Entry(
        f"Arrays and objects nest more than {MAX_JSON_DEPTH} levels deep.",
        Problem("too-deep"),
    ),
    Entry(
        f"A number has more than {MAX_NUMBER_CHARACTERS:,} characters.",
        Problem("number-too-long"),
    ),
    Entry(
        "The body ends before its `Content-Length`, or one of its chunks is broken.",
        Problem("incomplete-body"),
    ),
    Entry(
        f"`{EXPECT_RELEASE_HEADER}` is empty or repeated, `Host` is missing or names no host, or "
        "the request is not valid HTTP.",
        Problem("bad-request", UNCLEAR_EXPECTATION),
    ),
    Entry(
        "There is nothing at the path.",
        Problem("not-found"),
    ),
    Entry(
        "The path does not answer to the method; the header `Allow` names those that it answers "
        "to.",
        Problem("method-not-allowed"),
    ),
    Entry(
        "The request did not arrive whole within 10 seconds of its first byte.",
        Problem("request-timeout"),
    ),
    Entry(
        f"`{EXPECT_RELEASE_HEADER}` names another release than the one that answers. That one "
        "may still be on its way: try again after `Retry-After` seconds. Where the operator does "
        "not disclose it, `detail` does not name the one that answers.",
        Problem("release-mismatch", OTHER_RELEASE.format(release="v43")),
    ),
    Entry(
        f"The body is larger than the service accepts: {DEFAULT_MAX_BODY_BYTES:,} bytes, unless "
        "its operator has set another limit.",
        Problem("body-too-large", OVER_THE_LIMIT.format(limit=DEFAULT_MAX_BODY_BYTES)),
    ),
    Entry(
        "The request line, which holds the path and the query, is longer than the server takes.",
        Problem("uri-too-long"),
    ),
    Entry(
        f"`Content-Type` is not `{JSON_MEDIA_TYPE}` in UTF-8, or there is a `Content-Encoding`.",
        Problem("unsupported-media-type"),
    ),
    Entry(
        "The request is well formed but does not fit its schema; `errors` names what does not, "
        "by its place and name.",
        Problem(
            "validation-error",
            errors={"json": {"ping": ["Missing data for required field."]}},
        ),
    ),
    Entry(
        "The headers of the request are more or larger than the server takes.",
        Problem("headers-too-large"),
    ),
    Entry(
        "The service made a mistake; its log tells more, under the same request id.",
        Problem("internal-error"),
    ),
    Entry(
        "A readiness check did not pass; `checks` tells which.",
        Problem(
            "not-ready",
            checks={"logging": {"status": "failed", "duration_ms": 0.021}},
        ),
    ),
    Entry(
        "The log record was not written: INFO is switched off, or the log stream fails.",
        Problem("logging-broken"),
    ),
)
CATALOGUE = {entry.problem.code: entry for entry in _ENTRIES}

# What a query does wrong differs from what a body does.
UNFIT_QUERY = Problem(
    "validation-error",
    errors={"query": {"verbose": ["Unknown field."]}},
)
