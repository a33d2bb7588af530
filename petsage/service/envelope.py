"""What every request and every answer has: an id, a clock, the standard headers, one log line.

It wraps any WSGI app, so that also an answer which no view has made arrives in the same envelope.
"""

# Also a saving: a function that is made for each request has its annotations evaluated each time.
from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from petsage.contract import (
    API_HEALTH_PATH,
    COMMIT_HEADER,
    INSTANCE_HEADER,
    LIVE_PATH,
    PROBLEM_MEDIA_TYPE,
    READY_PATH,
    RELEASE_HEADER,
    REQUEST_ID_HEADER,
    REQUEST_ID_PATTERN,
    SYSTEM_HEALTH_PATH,
    UNKNOWN_RELEASE,
    WORKER_HEADER,
)
from petsage.service.logs import RequestContext, current_request
from petsage.service.problems import Problem
from petsage.service.process import worker_id
from petsage.service.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger("petsage.request")

# Where in the environ the rest of the app finds the id of the request.
REQUEST_ID_KEY = "petsage.request_id"
MAX_LOGGED_PATH_CHARACTERS = 2_000

_REQUEST_ID = re.compile(REQUEST_ID_PATTERN)
# W3C Trace Context, section 3.2: a later version may append fields; ff and all zeros are invalid.
_TRACEPARENT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?!0{32})(?P<trace>[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}"
    r"-[0-9a-f]{2}(?P<rest>-.*)?"
)
_PROBES = frozenset({LIVE_PATH, READY_PATH, API_HEALTH_PATH, SYSTEM_HEALTH_PATH})

# Whatever a feature says of the request's id and the worker, there is one of each.
_OURS = frozenset({REQUEST_ID_HEADER.lower(), WORKER_HEADER.lower()})
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def request_id_of(environ: WSGIEnvironment) -> str:
    """Return the caller's id of the request where it is well formed, else a new one."""
    given = environ.get("HTTP_X_REQUEST_ID")
    return given if given and _REQUEST_ID.fullmatch(given) else secrets.token_hex(16)


def trace_id_of(environ: WSGIEnvironment) -> str | None:
    """Return the trace id of a valid W3C `traceparent` header."""
    given = environ.get("HTTP_TRACEPARENT")
    found = _TRACEPARENT.fullmatch(given) if given else None
    if not found or (found["version"] == "00" and found["rest"] is not None):
        return None
    return found["trace"]


class Envelope:
    """WSGI middleware that gives every answer its headers and every request its log line."""

    def __init__(self, settings: Settings) -> None:
        self._log_probes = settings.log_probes
        headers = {"Server": "PetSage", "Cache-Control": "no-store", **SECURITY_HEADERS}
        if settings.disclose_release:
            headers |= {
                RELEASE_HEADER: settings.release.name or UNKNOWN_RELEASE,
                COMMIT_HEADER: settings.release.commit or UNKNOWN_RELEASE,
                INSTANCE_HEADER: settings.instance,
            }
        self._headers = [(name.lower(), (name, value)) for name, value in headers.items()]

    def wrap(self, app: WSGIApplication) -> WSGIApplication:
        """Return `app` in the envelope."""

        def enveloped(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            began = perf_counter()
            # It is there already where this answers in the stead of an app that has failed.
            request_id = environ.get(REQUEST_ID_KEY) or request_id_of(environ)
            environ[REQUEST_ID_KEY] = request_id
            context = RequestContext(request_id, trace_id_of(environ))
            status = 500
            size: int | None = None

            def start(
                status_line: str, headers: list[tuple[str, str]], exc_info: Any = None
            ) -> Callable[[bytes], object]:
                nonlocal status, size
                status = int(status_line[:3])
                own = {name.lower(): value for name, value in headers}
                if environ["REQUEST_METHOD"] == "HEAD":
                    size = 0
                elif "content-length" in own:
                    size = int(own["content-length"])
                if not _OURS.isdisjoint(own):
                    headers = [header for header in headers if header[0].lower() not in _OURS]
                headers += [
                    (REQUEST_ID_HEADER, request_id),
                    (WORKER_HEADER, worker_id()),
                    ("Server-Timing", f"app;dur={(perf_counter() - began) * 1000:.3f}"),
                ]
                headers += [header for name, header in self._headers if name not in own]
                return start_response(status_line, headers, exc_info)

            def report(size: int) -> None:
                self._log_request(environ, status, began, size)

            token = current_request.set(context)
            try:
                body = app(environ, start)
                if size is None:
                    return _Body(body, context, report)
                self._log_request(environ, status, began, size)
                # A list is made already; what else there is may still log something.
                return body if type(body) in (list, tuple) else _Body(body, context)
            finally:
                current_request.reset(token)

        return enveloped

    def problem(self, code: str, detail: str) -> WSGIApplication:
        """Return a WSGI app, in the envelope, that answers a problem of the contract.

        It serves what a server refuses before the app has seen it.
        """
        problem = Problem(code, detail)

        def refuse(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            body = problem.body(environ[REQUEST_ID_KEY])
            start_response(
                f"{problem.status} {problem.title}",
                [("Content-Type", PROBLEM_MEDIA_TYPE), ("Content-Length", str(len(body)))],
            )
            return [body]

        return self.wrap(refuse)

    def _log_request(self, environ: WSGIEnvironment, status: int, began: float, size: int) -> None:
        if not log.isEnabledFor(logging.INFO):
            return
        if not self._log_probes and status == 200 and _path(environ) in _PROBES:
            return
        method, path = environ["REQUEST_METHOD"], _path_as_it_came(environ)
        # Not `log.info`: that looks for the line of code which calls it, and no log line tells it.
        record = log.makeRecord(
            *(log.name, logging.INFO, __file__, 0),
            "%s %s %d",
            (method, path, status),
            None,
            extra={
                "fields": {
                    "method": method,
                    "path": path,
                    "status": status,
                    "duration_ms": round((perf_counter() - began) * 1000, 3),
                    "bytes": size,
                    "remote_addr": environ.get("REMOTE_ADDR"),
                }
            },
        )
        log.handle(record)


def _path(environ: WSGIEnvironment) -> str:
    path: str = environ.get("PATH_INFO", "")
    return path.removesuffix("/")


def _path_as_it_came(environ: WSGIEnvironment) -> str:
    # RAW_URI is gunicorn's, REQUEST_URI everybody else's; PEP 3333 itself knows only decoded paths.
    target = environ.get("REQUEST_URI") or environ.get("RAW_URI")
    if target is None:
        target = quote(
            environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""), encoding="latin-1"
        )
    path: str = target.partition("?")[0]
    return path[:MAX_LOGGED_PATH_CHARACTERS]


class _Body:
    """A body that is still being made: under its request's id, and reported when it is closed."""

    def __init__(
        self,
        body: Iterable[bytes],
        context: RequestContext,
        report: Callable[[int], None] | None = None,
    ) -> None:
        self._body = body
        self._context = context
        self._report = report
        self._size = 0

    def __iter__(self) -> Iterator[bytes]:
        parts = iter(self._body)
        while True:
            token = current_request.set(self._context)
            try:
                part = next(parts, None)
            finally:
                current_request.reset(token)
            if part is None:
                return
            self._size += len(part)
            yield part

    def close(self) -> None:
        token = current_request.set(self._context)
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            if self._report is not None:
                self._report(self._size)
            current_request.reset(token)
