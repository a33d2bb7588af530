"""One call of a WSGI app, as the bytes of an HTTP/1.1 answer (PEP 3333, RFC 9112).

It knows no socket: where the bytes go is up to the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType

    from _typeshed.wsgi import WSGIApplication

    ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]

    from petsage.service.server.head import Environ

Send = Callable[[bytes], None]

# A larger part is sent as it is: where an app gives the same one to many, it is in memory once.
MOST_JOINED_BYTES = 65_536

# Between one server and the next only: the connection is this server's affair (PEP 3333).
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)

_LOOKED_AT = frozenset({"content-length", "date", "server"})


class Answer:
    """Calls the app and sends what it answers, either piece by piece or all at once.

    Args:
        send: takes the bytes of the answer.
        date: the value of the `Date` header.
        keep_alive: whether the connection may go on after this answer.
        at_once: gather the whole answer before the first byte is sent. For an app that never
            waits this gives one write, a known length, and a clean 500 where it fails late.

    Attributes:
        keep_alive: after `run`, whether the connection may go on.
        begun: whether anything has been sent.

    """

    def __init__(self, send: Send, *, date: str, keep_alive: bool, at_once: bool) -> None:
        self._send = send
        self._date = date
        self._at_once = at_once
        self.keep_alive = keep_alive
        self.begun = False
        self._environ: Environ = {}
        self._status: str | None = None
        self._headers: list[tuple[str, str]] = []
        self._parts: list[bytes] = []
        self._missing: int | None = None  # bytes of the announced length still to come
        self._bodiless = False
        self._sole = False  # the next part is the whole body
        self._chunked = False

    def run(self, app: WSGIApplication, environ: Environ) -> None:
        """Call the app, and send its whole answer. What the app raises comes through."""
        self._environ = environ
        body = app(environ, self._start_response)
        try:
            self._sole = _length_of(body) == 1
            for part in body:
                if part:
                    self._write(part)
            self._finish()
        finally:
            close = getattr(body, "close", None)
            if close is not None:
                close()

    def _start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], None]:
        if exc_info is not None:
            try:
                if self.begun and exc_info[1] is not None:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self._status is not None:
            raise RuntimeError("start_response() was called twice without exc_info")
        self._status, self._headers = status, headers
        return self._write

    def _write(self, part: bytes) -> None:
        if self._at_once:
            self._parts.append(part)
            return
        head = b"" if self.begun else self._head(len(part) if self._sole else None)
        part = self._within_length(part)
        if self._bodiless or not part:
            if head:
                self._send(head)
        elif self._chunked:
            self._send(b"%b%x\r\n%b\r\n" % (head, len(part), part))
        elif len(part) > MOST_JOINED_BYTES:
            if head:
                self._send(head)
            self._send(part)
        else:
            self._send(head + part)

    def _finish(self) -> None:
        if self._at_once:
            body = b"".join(self._parts)
            head = self._head(len(body))
            body = self._within_length(body)
            self._send(head if self._bodiless else head + body)
        elif not self.begun:
            self._send(self._head(0))
        elif self._chunked:
            self._send(b"0\r\n\r\n")
        if self._missing and not self._bodiless:
            # Fewer bytes than announced: only the end of the connection says that it is over.
            self.keep_alive = False

    def _within_length(self, part: bytes) -> bytes:
        if self._missing is None:
            return part
        part = part[: self._missing]
        self._missing -= len(part)
        return part

    def _head(self, length: int | None) -> bytes:
        """Return the head of the answer; `length` is the body's where the server knows it."""
        status = self._status
        if status is None:
            raise RuntimeError("the app has not called start_response()")
        code = status[:3]
        without_length = code in ("204", "304") or code[0] == "1"
        self._bodiless = without_length or self._environ["REQUEST_METHOD"] == "HEAD"
        lines = [f"HTTP/1.1 {status}"]
        announced = dated = named = False
        for name, value in self._headers:
            concern = _concern(name)
            if concern is not None:
                if concern in _HOP_BY_HOP:
                    if concern == "connection" and value.lower() == "close":
                        self.keep_alive = False
                    continue
                if concern == "content-length":
                    if code == "204":
                        continue
                    announced = True
                    self._missing = int(value)
                elif concern == "date":
                    dated = True
                else:
                    named = True
            lines.append(f"{name}: {value}")
        if not named:
            lines.append("Server: PetSage")
        if not dated:
            lines.append(f"Date: {self._date}")
        if not announced and not without_length:
            if length is not None:
                # A HEAD whose answer came without a body says nothing of the length of a GET's.
                if length or not self._bodiless:
                    lines.append(f"Content-Length: {length}")
            elif self._environ["SERVER_PROTOCOL"] == "HTTP/1.1":
                self._chunked = not self._bodiless
                lines.append("Transfer-Encoding: chunked")
            else:
                self.keep_alive = False
        if not self.keep_alive:
            lines.append("Connection: close")
        elif self._environ["SERVER_PROTOCOL"] == "HTTP/1.0":
            lines.append("Connection: keep-alive")
        head = "\r\n".join(lines)
        if head.count("\n") != len(lines) - 1 or head.count("\r") != len(lines) - 1 or "\0" in head:
            raise ValueError("the app's status or a header of it holds a line break")
        encoded = f"{head}\r\n\r\n".encode("latin-1")
        self.begun = True
        return encoded


@lru_cache(maxsize=256)
def _concern(name: str) -> str | None:
    """Return the lower-case name of a header that the server has to look at."""
    lower = name.lower()
    return lower if lower in _HOP_BY_HOP or lower in _LOOKED_AT else None


def _length_of(body: Iterable[Any]) -> int | None:
    try:
        return len(body)  # type: ignore[arg-type]
    except TypeError:
        return None
