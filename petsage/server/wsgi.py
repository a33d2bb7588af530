"""Environ in, response out (PEP 3333): a WSGI app is called, and its response is gathered.

It knows no socket. The app may be called on the event loop or in a thread.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from io import RawIOBase, TextIOBase
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from werkzeug.exceptions import RequestEntityTooLarge

from petsage.contract import PROBLEMS
from petsage.service.json_logs import RequestContext, current_request
from petsage.service.middleware import REQUEST_ID_KEY, request_id_of, trace_id_of
from petsage.service.problems import OVER_THE_LIMIT

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

Environ = dict[str, Any]

log = logging.getLogger(__name__)

# The connection is the server's business (PEP 3333, "Other HTTP Features").
_HOP_BY_HOP = frozenset(
    ["connection", "keep-alive", "proxy-connection", "trailer", "transfer-encoding", "upgrade"]
)
_SPECIAL = _HOP_BY_HOP | {"content-length", "date", "server"}


def base_environ(address: tuple[Any, ...] | str) -> Environ:
    """Return what every environ begins with that comes in at the `address` of a listener."""
    host, port = ("localhost", "") if isinstance(address, str) else address[:2]
    return {
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SCRIPT_NAME": "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": ErrorsStream(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }


class Response(NamedTuple):
    """A response to be sent.

    Attributes:
        head: the status line and the headers, without those about the connection and without
            the empty line.
        body: what follows the head; empty where the method or the status has no body.
        keep_alive: whether the connection may be used again.

    """

    head: bytes
    body: bytes
    keep_alive: bool


class Application:
    """The WSGI app, and what responds in its place.

    Args:
        app: the WSGI app.
        problem: returns a WSGI app that responds with the problem of a code and a detail.
        is_inline: returns whether the app serves the request of an environ without waiting for
            anything, so that it may be called on the event loop.

    """

    def __init__(
        self,
        app: WSGIApplication,
        problem: Callable[[str, str], WSGIApplication],
        is_inline: Callable[[Environ], bool],
    ) -> None:
        self.is_inline = is_inline
        self._app = app
        self._problem = problem

    def respond(self, environ: Environ, date: str) -> Response:
        """Call the app. Where it fails, the response is a 500, and the log has the traceback."""
        try:
            return _call(self._app, environ, date)
        # Not Exception alone: a view may also end its thread, or be cancelled.
        except BaseException as error:
            if isinstance(error, RequestEntityTooLarge):
                # An app that knows nothing of werkzeug has read what was not received.
                return self.reject("body-too-large", str(error.description), environ, date)
            _log_failure(error, environ)
            return self.reject("internal-error", PROBLEMS["internal-error"].detail, environ, date)

    def reject(self, code: str, detail: str, environ: Environ, date: str) -> Response:
        """Return the response to a request that the app does not see."""
        return _call(self._problem(code, detail), environ, date)


def _log_failure(error: BaseException, environ: Environ) -> None:
    # The app may have been past the point where the request's id is known to its log.
    request_id = environ.setdefault(REQUEST_ID_KEY, request_id_of(environ))
    token = current_request.set(RequestContext(request_id, trace_id_of(environ)))
    log.error("The app failed.", exc_info=error)
    current_request.reset(token)


def _call(app: WSGIApplication, environ: Environ, date: str) -> Response:
    started: list[tuple[str, list[tuple[str, str]]]] = []
    parts: list[bytes] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], exc_info: object = None
    ) -> Callable[[bytes], None]:
        if started and exc_info is None:
            raise RuntimeError("start_response() was called twice without exc_info")
        started[:] = [(status, headers)]
        return parts.append

    body = app(environ, start_response)
    try:
        for part in body:
            parts.append(part)
    finally:
        close = getattr(body, "close", None)
        if close is not None:
            close()
    if not started:
        raise RuntimeError("the app has not called start_response()")
    return _response(environ["REQUEST_METHOD"], *started[0], b"".join(parts), date)


def _response(
    method: str, status: str, headers: Iterable[tuple[str, str]], body: bytes, date: str
) -> Response:
    code = status[:3]
    without_length = code in ("204", "304") or code[0] == "1"
    without_body = without_length or method == "HEAD"
    seen: dict[str, str] = {}
    lines = [f"HTTP/1.1 {status}"]
    for name, value in headers:
        lower = name.lower()
        if lower in _SPECIAL:
            seen[lower] = value
            if lower in _HOP_BY_HOP or (lower == "content-length" and code == "204"):
                continue
        lines.append(f"{name}: {value}")
    if "server" not in seen:
        lines.append("Server: PetSage")
    if "date" not in seen:
        lines.append(f"Date: {date}")
    keep_alive = seen.get("connection", "").lower() != "close"
    if "content-length" not in seen:
        # A response to HEAD that came without a body says nothing of the length of a GET's.
        if not without_length and (body or not without_body):
            lines.append(f"Content-Length: {len(body)}")
    elif not without_body:
        # More than announced is cut. Less is complete only when the connection ends.
        length = int(seen["content-length"])
        keep_alive = keep_alive and len(body) >= length
        body = body[:length]
    head = "\r\n".join(lines)
    if head.count("\n") != len(lines) - 1 or head.count("\r") != len(lines) - 1 or "\0" in head:
        raise ValueError("the app's status or a header of it holds a line break")
    return Response(f"{head}\r\n".encode("latin-1"), b"" if without_body else body, keep_alive)


class UnreceivedBody(RawIOBase):
    """The input of a request whose body is over the limit and not received: reading it fails.

    An app that knows the limit rejects such a request by its length. No other may take a body
    that was dropped for an empty one.
    """

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def readinto(self, _buffer: object) -> NoReturn:
        """Raise what Flask turns into a 413."""
        raise RequestEntityTooLarge(OVER_THE_LIMIT.format(limit=self._limit))


class ErrorsStream(TextIOBase):
    """`wsgi.errors`: each line that an app writes to it becomes a log record."""

    def __init__(self) -> None:
        self._log = logging.getLogger("wsgi.errors")
        self._line = ""

    def write(self, text: str) -> int:
        """Log the lines that `text` ends."""
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            if line:
                self._log.error("%s", line)
        return len(text)

    def flush(self) -> None:
        """Log what has been written of a line."""
        if self._line:
            self.write("\n")


class Threads:
    """At most `limit` threads, started when they are needed, for calls that may block.

    They are daemons, so that one that hangs holds up no exit (`concurrent.futures` waits for
    its own). What waits for a free one waits without a limit: one call per connection at most.
    """

    def __init__(self, limit: int) -> None:
        self._limit = max(1, limit)
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._threads = 0
        self._unfinished = 0
        self._lock = threading.Lock()

    def run(self, call: Callable[[], None]) -> None:
        """Run `call` in a thread as soon as there is one. It must raise nothing."""
        with self._lock:
            self._unfinished += 1
            if self._threads < min(self._unfinished, self._limit):
                self._threads += 1
                threading.Thread(target=self._work, daemon=True).start()
        self._calls.put(call)

    def _work(self) -> None:
        while True:
            self._calls.get()()
            with self._lock:
                self._unfinished -= 1
