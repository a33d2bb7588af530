"""Reads one HTTP/1 response, strictly and up to a cap (RFC 9112), from any `recv`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from petsage.client.result import Failure, NoResponseError, Outcome

MAX_BODY_BYTES = 262_144
MAX_HEAD_BYTES = 65_536
MAX_INTERIM_RESPONSES = 20
_START = b"HTTP/"
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: .*)?")
# The blanks around a value are stripped elsewhere: a pattern that does it takes quadratic time.
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):(.*)")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,12})[ \t]*(?:;.*)?")


@dataclass(frozen=True, slots=True)
class Response:
    """One response. `complete` is false where the body is over the cap and its rest unread."""

    status: int
    headers: dict[str, str]
    body: bytes
    complete: bool = True

    def header(self, name: str) -> str | None:
        """Return the field's value, or None; of a repeated field, its different values."""
        return self.headers.get(name.lower())


def printable(text: str, limit: int = 200) -> str:
    """Return what a peer sent as text that colours no terminal and starts no line."""
    if len(text) <= limit and text.isprintable():
        return text
    shown = "".join(char if char.isprintable() else "?" for char in text[: limit + 1])
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"


def _not_http(detail: str) -> NoResponseError:
    return NoResponseError(Failure.NOT_THE_SERVICE, detail, Outcome.NOT_REACHED)


def _cut(detail: str) -> NoResponseError:
    return NoResponseError(Failure.RESET, f"the connection was closed {detail}")


class _Reader:
    def __init__(self, recv: Callable[[], bytes]) -> None:
        self._recv = recv
        self._buffer = bytearray()
        self._head_left = MAX_HEAD_BYTES

    def _more(self) -> bool:
        piece = self._recv()
        self._buffer += piece
        return bool(piece)

    def _take(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def check_start(self) -> None:
        """Wait for the first bytes only: what is not HTTP may never end its first line."""
        while True:
            if not _START.startswith(self._buffer[: len(_START)]):
                raise _not_http("what responds there does not speak HTTP")
            if len(self._buffer) >= len(_START):
                return
            if not self._more():
                raise _cut("without a response")

    def line(self) -> bytes:
        """Return the next line without its end. All lines together have one limit."""
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if searched > self._head_left:
                raise _not_http(f"the response's head is over {MAX_HEAD_BYTES} bytes")
            if not self._more():
                raise _cut("within the response")
        self._head_left -= end + 1
        if self._head_left < 0:
            raise _not_http(f"the response's head is over {MAX_HEAD_BYTES} bytes")
        return self._take(end + 1).rstrip(b"\r\n")

    def exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            if not self._more():
                raise _cut("within the response's body")
        return self._take(count)

    def to_the_end(self) -> tuple[bytes, bool]:
        while len(self._buffer) <= MAX_BODY_BYTES:
            if not self._more():
                return self._take(len(self._buffer)), True
        return self._take(MAX_BODY_BYTES), False


def read_response(recv: Callable[[], bytes], *, method: str = "POST") -> Response:
    """Return the response that `recv` yields piece by piece; b"" is the connection's end.

    Interim (1xx) responses are skipped. Raises NoResponseError where it is cut short or is no
    HTTP/1 response, and whatever `recv` does.
    """
    reader = _Reader(recv)
    reader.check_start()
    for _ in range(MAX_INTERIM_RESPONSES):
        status, fields = _head(reader)
        if status >= 200:
            body, complete = _body(reader, method, status, fields)
            headers = {name: ", ".join(dict.fromkeys(values)) for name, values in fields.items()}
            return Response(status, headers, body, complete)
        if status == 101:
            raise _not_http("the response switches protocols, which nobody asked for")
    raise _not_http(f"over {MAX_INTERIM_RESPONSES} interim responses came")


def _head(reader: _Reader) -> tuple[int, dict[str, list[str]]]:
    match = _STATUS_LINE.fullmatch(reader.line())
    if not match:
        raise _not_http("what responds there does not speak HTTP/1")
    fields: dict[str, list[str]] = {}
    while line := reader.line():
        field = _FIELD.fullmatch(line)
        if not field:
            raise _not_http("the response's head has a line that is no header")
        name, value = field[1].decode("ascii").lower(), field[2].strip(b" \t").decode("latin-1")
        fields.setdefault(name, []).append(value)
    return int(match[1]), fields


def _body(
    reader: _Reader, method: str, status: int, fields: dict[str, list[str]]
) -> tuple[bytes, bool]:
    """Read the body as RFC 9112, section 6.3 frames it."""
    if method in ("HEAD", "CONNECT") or status in (204, 304):
        return b"", True
    if "transfer-encoding" in fields:
        codings = ",".join(fields["transfer-encoding"]).lower().replace(" ", "")
        if codings != "chunked":
            raise _not_http("the response has a transfer coding other than chunked")
        return _chunks(reader)
    if "content-length" in fields:
        lengths = {part.strip() for value in fields["content-length"] for part in value.split(",")}
        length = lengths.pop()
        if lengths or not re.fullmatch("[0-9]{1,18}", length):
            raise _not_http("the response's Content-Length is no number")
        return reader.exactly(min(int(length), MAX_BODY_BYTES)), int(length) <= MAX_BODY_BYTES
    return reader.to_the_end()


def _chunks(reader: _Reader) -> tuple[bytes, bool]:
    body = bytearray()
    while True:
        size_line = _CHUNK_SIZE.fullmatch(reader.line())
        if not size_line:
            raise _not_http("the response's chunks are malformed")
        size = int(size_line[1], 16)
        if not size:
            break
        if len(body) + size > MAX_BODY_BYTES:
            body += reader.exactly(MAX_BODY_BYTES - len(body))
            return bytes(body), False
        body += reader.exactly(size)
        if reader.line():
            raise _not_http("the response's chunks are malformed")
    while reader.line():
        pass  # trailers
    return bytes(body), True
