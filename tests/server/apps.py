"""WSGI apps that gunicorn runs under the service's own settings, in place of the service."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import Any


def slow(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer at once, or after the seconds that the path names, blocking meanwhile."""
    seconds = environ["PATH_INFO"].strip("/")
    if seconds.replace(".", "").isdigit():
        time.sleep(float(seconds))
    body = f"{os.getpid()}".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def prints(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Fail in every way that tempts a server to print something."""
    import warnings

    warnings.warn("a warning\nof two lines", stacklevel=1)
    environ["wsgi.errors"].write("an error\nof two lines\n")
    raise RuntimeError("a failure\nof two lines")
