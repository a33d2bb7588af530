"""WSGI middleware for `Expect-Release`: the expected release serves a request, or nothing does."""
# app = expect_release(app, release=os.environ.get("RELEASE"), commit=os.environ.get("GIT_SHA"))

import json
import re
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

UNCLEAR = 400, "bad-request", "Bad request", "Expect one release, in one header."
MISMATCH = 412, "release-mismatch", "Release mismatch", "Another release responds here."
VARY = ("Vary", "Expect-Release")  # so that no cache responds for another release


def expect_release(
    app: WSGIApplication, release: str | None, commit: str | None
) -> WSGIApplication:
    def matches(expected: str) -> bool:
        digits = re.fullmatch("[0-9a-f]{7,}", expected.lower())
        is_commit = bool(digits and commit and commit.lower().startswith(digits[0]))
        return expected not in ("", "unknown") and (expected == release or is_commit)

    def check(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        expected = environ.get("HTTP_EXPECT_RELEASE")
        if expected is None or matches(expected):
            return app(environ, lambda s, headers, *e: start_response(s, [*headers, VARY], *e))
        # Servers join a repeated header with a comma, which no release contains.
        status, code, title, detail = MISMATCH if expected and "," not in expected else UNCLEAR
        headers = [("Content-Type", "application/problem+json"), VARY]
        headers += [("Retry-After", "1")] if status == 412 else []
        problem = {"type": f"urn:petsage:problem:{code}", "title": title, "status": status}
        start_response(f"{status} {title}", headers)
        body = json.dumps(problem | {"detail": detail, "code": code}).encode()
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    return check
