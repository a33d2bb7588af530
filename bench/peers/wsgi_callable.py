"""The smoke test as a bare WSGI callable: the limit of what any WSGI app can reach."""

import json
import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bench.peers.request_log import start_request_log

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

log = logging.getLogger("bench.request")
LOGS = start_request_log()


def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    ping = json.loads(environ["wsgi.input"].read())["ping"]
    body = json.dumps(
        {
            "status": "ok",
            "message": "PetSage system is operational.",
            "pong": ping,
            "timestamp": datetime.now(UTC).isoformat(),
        }
    ).encode()
    start_response(
        "200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    )
    if LOGS:
        log.info(
            '%s "%s %s" 200',
            *(environ["REMOTE_ADDR"], environ["REQUEST_METHOD"], environ["PATH_INFO"]),
        )
    return [body]


# Called on the event loop, as the service is.
app.runs_inline = lambda _environ: True  # type: ignore[attr-defined]
