"""The service's own work on a ping without Flask: middleware, strict JSON, schema and response.

No routing, no other status than 200: what is left is what strictness, ids and headers cost.
"""

import os
from collections.abc import Iterable
from time import time
from typing import TYPE_CHECKING

from petsage.contract import JSON_MEDIA_TYPE, SMOKE_TEST_MESSAGE, STATUS_OK
from petsage.service import strict_json
from petsage.service.json_logs import rfc3339
from petsage.service.middleware import Middleware
from petsage.service.problems import json_bytes
from petsage.service.schemas import SmokeTestIn
from petsage.service.settings import load_settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

schema = SmokeTestIn()


def smoke_test(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    ping = schema.load(strict_json.loads(environ["wsgi.input"].read()))["ping"]
    body = json_bytes(
        {
            "status": STATUS_OK,
            "message": SMOKE_TEST_MESSAGE,
            "pong": ping,
            "timestamp": rfc3339(time()),
        }
    )
    start_response(
        "200 OK", [("Content-Type", JSON_MEDIA_TYPE), ("Content-Length", str(len(body)))]
    )
    return [body]


app = Middleware(load_settings(os.environ)).wrap(smoke_test)
# Called on the event loop, as the service is.
app.runs_inline = lambda _environ: True  # type: ignore[attr-defined]
