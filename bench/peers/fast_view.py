"""What the bare WSGI callable does, as a view behind the service's shortcuts and nothing else.

The limit of what a view of Flask can reach: no schema, no ids, no headers, no strictness.
"""

import json
from datetime import UTC, datetime

from flask import Response, request

from petsage.service.fast_path import FastFlask, json_response

app = FastFlask(__name__, precondition=lambda _environ: None)


@app.post("/system/smoke-test")
def smoke_test() -> Response:
    return json_response(
        {
            "status": "ok",
            "message": "PetSage system is operational.",
            "pong": json.loads(request.environ["wsgi.input"].read())["ping"],
            "timestamp": datetime.now(UTC).isoformat(),
        }
    )


app.serve(app.wsgi_app, inline={"smoke_test"})
