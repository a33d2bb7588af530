"""Apps that know nothing of PetSage and tell their release, each in its own place.

The environment names the release as APP_RELEASE; an app that was not told it tells none. As a
command, this serves `wsgi` with the standard library's server.
"""

import json
import os
from collections.abc import Iterable
from typing import Any
from wsgiref.simple_server import make_server
from wsgiref.types import StartResponse, WSGIEnvironment

RELEASE = os.environ.get("APP_RELEASE")


def wsgi(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Tell the release in the JSON at /health."""
    found = environ["PATH_INFO"] == "/health"
    headers = [("Content-Type", "application/json")]
    start_response("200 OK" if found else "404 Not Found", headers)
    told = {"version": RELEASE} if RELEASE else {}
    return [json.dumps({"status": "up"} | told).encode() if found else b"{}"]


async def asgi(scope: dict[str, Any], _receive: Any, send: Any) -> None:
    """Tell the release in a header of every page."""
    assert scope["type"] == "http"
    headers = [(b"content-type", b"text/html"), (b"content-length", b"8")]
    if RELEASE:
        headers.append((b"x-app-version", RELEASE.encode()))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"Welcome!"})


if __name__ == "__main__":
    make_server("127.0.0.1", int(os.environ["PORT"]), wsgi).serve_forever()
