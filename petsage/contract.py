"""The wire: paths, header names, problem codes and messages that both halves hold to.

It imports only the standard library: the service and the client both know this file, and never
each other.
"""

from __future__ import annotations

import string
from typing import NamedTuple

# Routes (each also answers with a trailing slash).
SMOKE_TEST_PATH = "/system/smoke-test"
SMOKE_TEST_V1_PATH = "/api/v1/system/smoke-test"
BACKEND_SMOKE_TEST_PATH = "/api/v1/smoke-test"
LOGGING_SMOKE_TEST_PATH = "/smoke-test"
API_HEALTH_PATH = "/api/v1/health"
SYSTEM_HEALTH_PATH = "/system/health"
LIVE_PATH = "/system/live"
READY_PATH = "/system/ready"
VERSION_PATH = "/system/version"
WELCOME_PATH = "/"
DOCS_PATH = "/docs"
REDOC_PATH = "/redoc"
OPENAPI_PATH = "/openapi.json"

# Headers.
REQUEST_ID_HEADER = "X-Request-ID"
REQUEST_ID_PATTERN = r"[A-Za-z0-9+/=._-]{1,200}"
RELEASE_HEADER = "PetSage-Release"
COMMIT_HEADER = "PetSage-Commit"
INSTANCE_HEADER = "PetSage-Instance"
WORKER_HEADER = "PetSage-Worker"
EXPECT_RELEASE_HEADER = "Expect-Release"
# What the release and commit headers say where no variable tells them.
UNKNOWN_RELEASE = "unknown"
# A commit may be expected by its beginning, of at least so many hex digits.
COMMIT_PREFIX_MIN_DIGITS = 7

# Messages of the 200 answers.
STATUS_OK = "ok"
SMOKE_TEST_MESSAGE = "PetSage system is operational."
BACKEND_SMOKE_TEST_MESSAGE = "PetSage Backend is operational."
BACKEND_SMOKE_TEST_FEATURE = "smoke_test"
LOGGING_SMOKE_TEST_MESSAGE = "PetSage service is running and logging is active."
LOGGING_SMOKE_TEST_RECORD = "PetSage smoke test endpoint executed successfully. Logging verified."
API_HEALTH_MESSAGE = "PetSage API is purring!"
SYSTEM_HEALTH_MESSAGE = "PetSage system is alive and purring!"
WELCOME_MESSAGE = "Welcome to the PetSage API!"
EXAMPLE_PING = "Hello, PetSage!"

JSON_MEDIA_TYPE = "application/json"
PROBLEM_MEDIA_TYPE = "application/problem+json"
PROBLEM_TYPE_PREFIX = "urn:petsage:problem:"

DEFAULT_PORT = 8000

# Limits of what a request may hold.
DEFAULT_MAX_BODY_BYTES = 65_536
MAX_JSON_DEPTH = 64
MAX_NUMBER_CHARACTERS = 1_000


class ProblemType(NamedTuple):
    """One kind of problem.

    `detail` is the sentence of a problem that carries no better one; `when` says in Markdown
    when it comes, for the documents.
    """

    status: int
    title: str
    detail: str
    when: str


PROBLEMS = {
    "malformed-json": ProblemType(
        400,
        "Malformed JSON",
        "The body is not valid JSON (RFC 8259).",
        "The body is empty, is not JSON (RFC 8259), or has something after its end. `NaN`, "
        "`Infinity`, a number too large to be represented and a byte order mark are not JSON.",
    ),
    "duplicate-key": ProblemType(
        400, "Duplicate key", "An object names a key twice.", "An object names a key twice."
    ),
    "invalid-unicode": ProblemType(
        400,
        "Invalid Unicode",
        "The body is not valid UTF-8.",
        "The body is not valid UTF-8, or a string holds half of a surrogate pair.",
    ),
    "too-deep": ProblemType(
        400,
        "JSON nested too deep",
        f"Arrays and objects nest more than {MAX_JSON_DEPTH} levels deep.",
        f"Arrays and objects nest more than {MAX_JSON_DEPTH} levels deep.",
    ),
    "number-too-long": ProblemType(
        400,
        "Number too long",
        f"A number has more than {MAX_NUMBER_CHARACTERS:,} characters.",
        f"A number has more than {MAX_NUMBER_CHARACTERS:,} characters.",
    ),
    "incomplete-body": ProblemType(
        400,
        "Incomplete body",
        "The body ends before it is complete.",
        "The body ends before its `Content-Length`, or one of its chunks is broken.",
    ),
    "bad-request": ProblemType(
        400,
        "Bad request",
        "The request is not valid HTTP.",
        f"`{EXPECT_RELEASE_HEADER}` is empty or repeated, `Host` is missing or names no host, "
        "or the request is not valid HTTP.",
    ),
    "not-found": ProblemType(
        404,
        "Not found",
        "There is nothing at this path; /openapi.json lists what there is.",
        "There is nothing at the path.",
    ),
    "method-not-allowed": ProblemType(
        405,
        "Method not allowed",
        "This path does not take this method; Allow names those that it takes.",
        "The path does not take the method; the header `Allow` names those that it takes.",
    ),
    "request-timeout": ProblemType(
        408,
        "Request timeout",
        "The request did not arrive completely in time.",
        "The request did not arrive completely within 10 seconds of its first byte.",
    ),
    "release-mismatch": ProblemType(
        412,
        "Release mismatch",
        "Another release than the expected one responds here.",
        f"`{EXPECT_RELEASE_HEADER}` names another release than the one that responds. The "
        "expected one may still be on its way: try again after `Retry-After` seconds. Where the "
        "operator does not disclose it, `detail` does not name the one that responds.",
    ),
    "body-too-large": ProblemType(
        413,
        "Body too large",
        "The body is larger than this service accepts.",
        f"The body is larger than the service accepts: {DEFAULT_MAX_BODY_BYTES:,} bytes, unless "
        "its operator has set another limit.",
    ),
    "uri-too-long": ProblemType(
        414,
        "URI too long",
        "The request line is longer than this server accepts.",
        "The request line, which holds the path and the query, is longer than the server accepts.",
    ),
    "unsupported-media-type": ProblemType(
        415,
        "Unsupported media type",
        f"Send Content-Type: {JSON_MEDIA_TYPE}.",
        f"`Content-Type` is not `{JSON_MEDIA_TYPE}` in UTF-8, or there is a `Content-Encoding`.",
    ),
    "validation-error": ProblemType(
        422,
        "Validation error",
        "The request does not fit its schema; see errors.",
        "The request is well formed but does not fit its schema; `errors` names what does not, "
        "by its place and name.",
    ),
    "headers-too-large": ProblemType(
        431,
        "Headers too large",
        "The headers are more or larger than this server accepts.",
        "The headers of the request are more or larger than the server accepts.",
    ),
    "internal-error": ProblemType(
        500,
        "Internal error",
        "The service has a bug. Its log tells more, under this request_id.",
        "The service has a bug; its log tells more, under the same request id.",
    ),
    "not-implemented": ProblemType(
        501,
        "Not implemented",
        "This server knows no transfer coding but chunked.",
        "The request has a transfer coding other than `chunked` (RFC 9112, section 6.1).",
    ),
    "not-ready": ProblemType(
        503,
        "Not ready",
        "A readiness check did not pass; the log tells why.",
        "A readiness check did not pass; `checks` tells which.",
    ),
    "logging-broken": ProblemType(
        503,
        "Logging broken",
        "The log record was not written: INFO is switched off, or the log stream fails.",
        "The log record was not written: INFO is switched off, or the log stream fails.",
    ),
}


def release_matches(expected: str, release: str | None, commit: str | None) -> bool:
    """Return whether `expected` names this release, or its commit.

    A commit is named by its beginning, in seven hexadecimal digits or more, in either case.
    `unknown` matches nothing: it is what a service says that knows no release.
    """
    if expected == UNKNOWN_RELEASE:
        return False
    if expected == release:
        return True
    return (
        commit is not None
        and len(expected) >= COMMIT_PREFIX_MIN_DIGITS
        and set(expected) <= set(string.hexdigits)
        and commit.lower().startswith(expected.lower())
    )
