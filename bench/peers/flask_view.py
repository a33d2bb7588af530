"""The smoke test as a bare Flask view: no schema, no ids, no headers, no strictness."""

import logging
from datetime import UTC, datetime
from typing import Any

from flask import Flask, Response, request

from bench.peers.request_log import start_request_log

app = Flask(__name__)
log = logging.getLogger("bench.request")


@app.post("/system/smoke-test")
def smoke_test() -> dict[str, Any]:
    return {
        "status": "ok",
        "message": "PetSage system is operational.",
        "pong": request.get_json()["ping"],
        "timestamp": datetime.now(UTC).isoformat(),
    }


def log_request(response: Response) -> Response:
    log.info('%s "%s %s" %s', request.remote_addr, request.method, request.path, response.status)
    return response


# Called on the event loop, as the service is.
app.runs_inline = lambda _environ: True  # type: ignore[attr-defined]
if start_request_log():
    app.after_request(log_request)
