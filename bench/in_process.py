"""Requests to a WSGI app in this process: what one costs, and a log that goes nowhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, Any

from bench.traffic import PING
from petsage.service import json_logs
from petsage.service.json_logs import LogStream
from petsage.service.settings import Release, Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

REQUESTS_A_ROUND = 40
ENVIRON: dict[str, Any] = {
    "REQUEST_METHOD": "POST",
    "SCRIPT_NAME": "",
    "PATH_INFO": "/system/smoke-test",
    "QUERY_STRING": "",
    "REQUEST_URI": "/system/smoke-test",
    "CONTENT_TYPE": "application/json",
    "CONTENT_LENGTH": str(len(PING)),
    "SERVER_NAME": "127.0.0.1",
    "SERVER_PORT": "8000",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_HOST": "127.0.0.1:8000",
    "REMOTE_ADDR": "127.0.0.1",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
    "wsgi.input_terminated": True,
}


def _start_response(*_: object) -> Callable[[bytes], None]:
    return lambda _: None


def microseconds_of(app: WSGIApplication) -> float:
    """Return what one of a round of requests to `app` took."""
    began = time.perf_counter()
    for _ in range(REQUESTS_A_ROUND):
        body = app(ENVIRON | {"wsgi.input": BytesIO(PING)}, _start_response)
        b"".join(body)
        if hasattr(body, "close"):
            body.close()
    return (time.perf_counter() - began) / REQUESTS_A_ROUND * 1e6


def log_to_nowhere(level: str) -> Callable[[], object]:
    """Return what sends the log of this process to nowhere, at a level."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    settings = Settings(release=Release("v43"), log_level=level)
    return lambda: json_logs.install(settings, LogStream(nowhere))
