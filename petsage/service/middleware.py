"""What every request and every response has: an id, a time, the standard headers, one log line.

It wraps any WSGI app, so that a response which no view has made has them too.
"""

# Also a saving: a function that is made for each request has its annotations evaluated each time.
from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextvars import copy_context
from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from petsage import contract
from petsage.service.json_logs import RequestContext, current_request, record_of
from petsage.service.problems import PROBLEM_CODE_KEY, Problem
from petsage.service.process import worker_id
from petsage.service.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger("petsage.request")

# Where in the environ the rest of the app finds the id of the request.
REQUEST_ID_KEY = "petsage.request_id"
MAX_LOGGED_PATH_CHARACTERS = 2_000

_REQUEST_ID = re.compile(contract.REQUEST_ID_PATTERN)
# W3C Trace Context, section 3.2: ff and all zeros are invalid; a version after 00 may add fields.
_TRACEPARENT = re.compile(
    r"(?!ff|00.{54})[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?"
)
_PROBES = {
    contract.LIVE_PATH,
    contract.READY_PATH,
    contract.API_HEALTH_PATH,
    contract.SYSTEM_HEALTH_PATH,
}

# Whatever a feature says of the request's id and the worker, there is one of each. Of the others
# its own counts.
_ONLY_OURS = frozenset({contract.REQUEST_ID_HEADER.lower(), contract.WORKER_HEADER.lower()})
_HEADERS = {
    "Server": "PetSage",
    "Cache-Control": "no-store",
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
    return found[1] if found else None


class Middleware:
    """Gives every response of a WSGI app its headers, and every request its log line."""

    def __init__(self, settings: Settings) -> None:
        self._log_probes = settings.log_probes
        headers = dict(_HEADERS)
        if settings.disclose_release:
            headers |= {
                contract.RELEASE_HEADER: settings.release.name or contract.UNKNOWN_RELEASE,
                contract.COMMIT_HEADER: settings.release.commit or contract.UNKNOWN_RELEASE,
                contract.INSTANCE_HEADER: settings.instance,
            }
        self._headers = [(name.lower(), (name, value)) for name, value in headers.items()]

    def wrap(self, app: WSGIApplication) -> WSGIApplication:
        """Return `app` with this middleware around it."""

        def wrapped(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            began = perf_counter()
            # It is there already where this responds in place of an app that has failed.
            request_id = environ.setdefault(REQUEST_ID_KEY, request_id_of(environ))
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
                if not _ONLY_OURS.isdisjoint(own):
                    headers = [header for header in headers if header[0].lower() not in _ONLY_OURS]
                headers += [
                    (contract.REQUEST_ID_HEADER, request_id),
                    (contract.WORKER_HEADER, worker_id()),
                    ("Server-Timing", f"app;dur={(perf_counter() - began) * 1000:.3f}"),
                ]
                headers += [header for name, header in self._headers if name not in own]
                return start_response(status_line, headers, exc_info)

            def report(size: int) -> None:
                self._log_request(environ, status, began, size)

            token = current_request.set(RequestContext(request_id, trace_id_of(environ)))
            try:
                body = app(environ, start)
                if size is None:
                    return _Body(body, report)
                self._log_request(environ, status, began, size)
                # A list is made already; what else there is may still log something.
                return body if type(body) in (list, tuple) else _Body(body)
            finally:
                current_request.reset(token)

        return wrapped

    def problem(self, code: str, detail: str | None = None) -> WSGIApplication:
        """Return a WSGI app, with this middleware, that responds with a problem of the contract.

        It is for what a server rejects before the app has seen it.
        """
        problem = Problem(code, detail)

        def reject(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            environ[PROBLEM_CODE_KEY] = code
            body = problem.body(environ[REQUEST_ID_KEY])
            headers = [("Content-Type", contract.PROBLEM_MEDIA_TYPE)]
            headers.append(("Content-Length", str(len(body))))
            start_response(f"{problem.status} {problem.title}", headers)
            return [body]

        return self.wrap(reject)

    def _log_request(self, environ: WSGIEnvironment, status: int, began: float, size: int) -> None:
        if not log.isEnabledFor(logging.INFO):
            return
        if not self._log_probes and status == 200 and _is_probe(environ):
            return
        method, path = environ["REQUEST_METHOD"], _path_as_it_came(environ)
        fields: dict[str, Any] = {
            "method": method,
            "path": path,
            "status": status,
            "duration_ms": round((perf_counter() - began) * 1000, 3),
            "bytes": size,
            "remote_addr": environ.get("REMOTE_ADDR"),
        }
        if status >= 400 and PROBLEM_CODE_KEY in environ:
            fields["code"] = environ[PROBLEM_CODE_KEY]
        message = f"{method} {path} {status}"
        log.handle(record_of(log.name, logging.INFO, message, fields=fields))


def _is_probe(environ: WSGIEnvironment) -> bool:
    return environ.get("PATH_INFO", "").removesuffix("/") in _PROBES


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
        self, body: Iterable[bytes], report: Callable[[int], None] = lambda _size: None
    ) -> None:
        self._body = body
        self._parts = iter(body)
        self._report = report
        self._context = copy_context()
        self._size = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        part = self._context.run(next, self._parts)
        self._size += len(part)
        return part

    def close(self) -> None:
        try:
            self._context.run(getattr(self._body, "close", lambda: None))
        finally:
            self._context.run(self._report, self._size)
