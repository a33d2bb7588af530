"""The service's own work on a ping without Flask: envelope, strict JSON, schema and answer.

No routing, no other status than 200: what is left is what strictness, ids and headers cost.
"""

import os
from collections.abc import Iterable
from time import time
from typing import TYPE_CHECKING

from petsage.contract import JSON_MEDIA_TYPE
from petsage.service import diagnostics, strict_json
from petsage.service.doorstep import settings_or_exit
from petsage.service.envelope import Envelope
from petsage.service.json_text import json_text
from petsage.service.schemas import SmokeTestIn

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

schema = SmokeTestIn()


def smoke_test(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    ping = schema.load(strict_json.loads(environ["wsgi.input"].read()))["ping"]
    body = json_text(diagnostics.smoke_test(ping, time()))
    start_response(
        "200 OK", [("Content-Type", JSON_MEDIA_TYPE), ("Content-Length", str(len(body)))]
    )
    return [body]


app = Envelope(settings_or_exit(os.environ)).wrap(smoke_test)
# Called on the event loop, as the service is.
app.never_blocks = lambda _environ: True  # type: ignore[attr-defined]
