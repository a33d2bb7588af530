"""Apps that serve every request, bare and behind the examples' middleware.

The environment names their release and commit, as EXAMPLE_RELEASE and EXAMPLE_COMMIT. The body of
each response is the release, a space, and the body of the request. As a command, this serves `wsgi`
with the standard library's server, which leaves everything to the app.
"""

import os
from collections.abc import Iterable
from typing import Any
from wsgiref.simple_server import make_server
from wsgiref.types import StartResponse, WSGIEnvironment

from examples import expect_release_asgi, expect_release_wsgi

RELEASE = os.environ.get("EXAMPLE_RELEASE")
COMMIT = os.environ.get("EXAMPLE_COMMIT")


def bare(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{RELEASE} ".encode() + body]


async def bare_asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": f"{RELEASE} ".encode() + body})


wsgi = expect_release_wsgi.expect_release(bare, release=RELEASE, commit=COMMIT)
asgi = expect_release_asgi.expect_release(bare_asgi, release=RELEASE, commit=COMMIT)

if __name__ == "__main__":
    make_server("127.0.0.1", int(os.environ["PORT"]), wsgi).serve_forever()
