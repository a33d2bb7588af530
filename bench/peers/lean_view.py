"""What the bare WSGI callable does, as a view behind the service's shortcuts and nothing else.

The limit of what a view of Flask can reach: no schema, no ids, no headers, no strictness.
"""

import json
from datetime import UTC, datetime

from flask import Response, request

from petsage.service.lean import LeanFlask, never_blocks
from petsage.service.messages import as_json

app = LeanFlask(__name__, static_folder=None)


@app.post("/system/smoke-test")
@never_blocks
def smoke_test() -> Response:
    return as_json(
        {
            "status": "ok",
            "message": "PetSage system is operational.",
            "pong": json.loads(request.environ["wsgi.input"].read())["ping"],
            "timestamp": datetime.now(UTC).isoformat(),
        }
    )


app.serve_by(app.wsgi_app)
