"""ASGI middleware for `Expect-Release`: the expected release serves a request, or nothing does."""
# app = expect_release(app, release=os.environ.get("RELEASE"), commit=os.environ.get("GIT_SHA"))

import json
import re
from typing import Any

UNCLEAR = 400, "bad-request", "Bad request", "Expect one release, in one header."
MISMATCH = 412, "release-mismatch", "Release mismatch", "Another release responds here."
VARY = (b"vary", b"Expect-Release")  # so that no cache responds for another release


def expect_release(app: Any, release: str | None, commit: str | None) -> Any:
    def matches(expected: str) -> bool:
        digits = re.fullmatch("[0-9a-f]{7,}", expected.lower())
        is_commit = bool(digits and commit and commit.lower().startswith(digits[0]))
        return expected not in ("", "unknown") and (expected == release or is_commit)

    async def check(scope: dict[str, Any], receive: Any, send: Any) -> Any:
        async def respond(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), VARY]
            await send(message)

        given = [value for name, value in scope.get("headers", ()) if name == b"expect-release"]
        expected = b",".join(given).decode("latin-1")
        if not given or matches(expected):
            return await app(scope, receive, respond)
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close"})  # the handshake gets a 403
        status, code, title, detail = MISMATCH if expected and "," not in expected else UNCLEAR
        headers = [(b"content-type", b"application/problem+json")]
        headers += [(b"retry-after", b"1")] if status == 412 else []
        problem = {"type": f"urn:petsage:problem:{code}", "title": title, "status": status}
        await respond({"type": "http.response.start", "status": status, "headers": headers})
        body = json.dumps(problem | {"detail": detail, "code": code}).encode()
        return await send({"type": "http.response.body", "body": body})

    return check
