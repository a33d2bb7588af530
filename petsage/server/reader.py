"""Bytes in, requests out: HTTP/1.1 as RFC 9112 has an origin server read it.

It knows no socket and no clock. httptools (llhttp) reads the header fields. The request line and
the chunks are read here: llhttp takes several blanks and other protocols in the one, no blanks
around the `;` of an extension in the others, and has no limits.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import lru_cache
from io import BytesIO
from ipaddress import IPv6Address
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from petsage.contract import PROBLEMS
from petsage.server.wsgi import Environ, UnreceivedBody

# A larger head is rejected, whatever the limits of its lines and of their number let through.
MAX_HEAD_BYTES = 65_536
# What a chunked body may spend on sizes, extensions and trailers: so many bytes for each byte of
# data (a chunk of one byte takes five), and on top of that.
FRAMING_PER_BYTE = 8
FRAMING_BYTES = 8_192

# Greedy and not possessive: Python 3.11 before 3.11.5 matches possessive groups wrongly. Each text
# can be matched in one way only, so that none of them is slow.
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# The target is visible ASCII, without the fragment that no request may carry (section 3.2).
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([!\"$-~]+) HTTP/1\.([0-9])\r\n")
# What may still become one: three words, with a single space between them.
_LINE_BEGINNING = re.compile(rb"[!-~]*(?: [!-~]*(?: [!-~]*)?)?\r?")
# Some clients send one after a body; it is no part of the next request (section 2.2).
_EMPTY_LINES = re.compile(rb"(?:\r\n)+")
_HOST = re.compile(r"(?:[A-Za-z0-9._~-]+|\[(?P<ipv6>[0-9A-Fa-f:.]+)\])(?::(?P<port>[0-9]{0,5}))?")
_ABSOLUTE_FORM = re.compile(r"(?i:https?)://([^/?]*)([^?]*)(?:\?.*)?")
_CODING = re.compile(_TOKEN.decode())

# Sections 7.1 and 7.1.1; a quoted string is that of RFC 9110, section 5.6.4.
_QUOTED = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"'
_EXTENSION = (
    rb"[ \t]*;[ \t]*" + _TOKEN + rb"(?:[ \t]*=[ \t]*(?:" + _TOKEN + rb"|" + _QUOTED + rb"))?"
)
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:" + _EXTENSION + rb")*\r\n")
_CHUNK_END = re.compile(rb"\r\n")
_TRAILER_LINE = re.compile(rb"(?:" + _TOKEN + rb":[\t -~\x80-\xff]*)?\r\n")

# A repeated one could be read in two ways. (httptools rejects a repeated Content-Length.)
_SINGLE_FIELDS = frozenset({"CONTENT_TYPE", "HTTP_HOST"})


class Limits(NamedTuple):
    """How large a request may be.

    Attributes:
        line: bytes of the request line, without its CR LF.
        field: bytes of a header line, without its CR LF.
        fields: how many header lines there may be.
        body: bytes of a body that is received.

    """

    line: int
    field: int
    fields: int
    body: int


class Request(NamedTuple):
    """A request that has arrived completely, and whether its connection may be used again."""

    environ: Environ
    keep_alive: bool


class RejectedError(Exception):
    """A request that the server rejects: a code of the contract and a sentence.

    `environ` holds what is known of the request.
    """

    def __init__(self, code: str, detail: str | None, environ: Environ) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail or PROBLEMS[code].detail
        self.environ = environ


class RequestReader:
    """Reads the requests of one connection, one after the other.

    Args:
        limits: how large a request may be.
        base: what each environ starts from.

    Attributes:
        data: what was received and belongs to no request yet.
        expects_continue: whether the client waits for a 100 before it sends the body.

    """

    def __init__(self, limits: Limits, base: Environ) -> None:
        self.data = b""
        self._limits = limits
        self._base = base
        self._begin()

    def _begin(self) -> None:
        self._environ: Environ = {}  # of the request that is being read
        self._body: _MeasuredBody | _ChunkedBody | None = None
        self._keep_alive = False
        self.expects_continue = False
        self._is_ambiguous = False

    @property
    def has_begun(self) -> bool:
        """Whether anything of the next request is there. An empty line, or half of one, is not."""
        return self._body is not None or bool(self.data.strip(b"\r\n"))

    def feed(self, data: bytes) -> None:
        """Take in what was received."""
        self.data = self.data + data if self.data else data

    def next_request(self) -> Request | None:
        """Return the next request once it is complete, None before. Raises RejectedError.

        A body over the limit is not received and can't be read. Its request is the last one.
        """
        if self._body is None:
            if self.data.startswith(b"\r\n"):
                self.data = _EMPTY_LINES.sub(b"", self.data, count=1)
            end = self.data.find(b"\r\n\r\n") + 4
            if end < 4:
                self._check_beginning(self.data)
                return None
            self._body = self._read_head(self.data[:end])
            self.data = self.data[end:]
        return self._read_body(self._body)

    def rejection(self, code: str, detail: str | None = None) -> RejectedError:
        """Return the rejection of the request that is being read."""
        environ = self._environ
        if not environ:
            # What is not known is a dash in the log. A response to HEAD has no body.
            environ = self._base | {
                "REQUEST_METHOD": "HEAD" if self.data.startswith(b"HEAD ") else "-",
                "REQUEST_URI": "-",
                "PATH_INFO": "",
                "QUERY_STRING": "",
                "SERVER_PROTOCOL": "HTTP/1.1",
            }
        environ["wsgi.input"] = BytesIO()
        return RejectedError(code, detail, environ)

    def incomplete(self) -> RejectedError:
        """Return the rejection of a request whose rest will never come."""
        if self._body is None:
            return self.rejection("bad-request", "The request ends within its head.")
        return self.rejection("incomplete-body")

    # The head.

    def _check_beginning(self, data: bytes) -> None:
        """Reject at once what can't become a head, rather than when its time is up."""
        self._check_size(data)
        pattern = _REQUEST_LINE.match if b"\r\n" in data else _LINE_BEGINNING.fullmatch
        if pattern(data) is None or data.count(b"\n") != data.count(b"\r\n"):
            raise self.rejection("bad-request", "This is not an HTTP/1.1 request.")

    def _check_size(self, head: bytes) -> None:
        limits = self._limits
        if len(head) <= min(limits.line, limits.field) and head.count(b"\n") <= limits.fields:
            return
        line, *fields = head.rstrip(b"\r\n").split(b"\r\n")
        if len(line) > limits.line:
            raise self.rejection("uri-too-long")
        too_long = any(len(field) > limits.field for field in fields)
        if too_long or len(fields) > limits.fields or len(head) > MAX_HEAD_BYTES:
            raise self.rejection("headers-too-large")

    def _read_head(self, head: bytes) -> _MeasuredBody | _ChunkedBody:
        self._check_size(head)
        line = _REQUEST_LINE.match(head)
        if line is None:
            raise self.rejection("bad-request", "The request line is not that of HTTP/1.1.")
        method, target, minor = line[1], line[2].decode("ascii"), int(line[3])
        environ = self._environ = self._base.copy()
        environ["REQUEST_METHOD"] = method.decode("ascii")
        environ["SERVER_PROTOCOL"] = "HTTP/1.1" if minor else "HTTP/1.0"
        environ["REQUEST_URI"] = environ["RAW_URI"] = target
        path, _, environ["QUERY_STRING"] = target.partition("?")
        environ["PATH_INFO"] = _unquoted(path)
        if minor > 1:
            # Served as the highest version that is known here (RFC 9110, section 2.5).
            head = b"%b %b HTTP/1.1\r\n%b" % (method, line[2], head[line.end() :])
        self._read_fields(head)
        self._check_host(required=minor > 0)
        if not path.startswith("/"):
            self._resolve(target)
        options = _connection_options(environ.get("HTTP_CONNECTION", ""))
        self._keep_alive = "close" not in options and (minor > 0 or "keep-alive" in options)
        return self._body_of(minor)

    def _read_fields(self, head: bytes) -> None:
        try:
            HttpRequestParser(self).feed_data(head)
        except HttpParserUpgrade:
            pass  # no protocol is switched to here: the request is served as it is
        except HttpParserError as error:
            self._check_coding()
            raise self.rejection("bad-request", f"This is not valid HTTP: {error}.") from None
        if self._is_ambiguous:
            raise self.rejection("bad-request", "Host or Content-Type is there twice.")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a field to the environ; httptools calls this."""
        key = _environ_key(name)
        if key is None:
            return
        text = value.decode("latin-1").rstrip(" \t")
        if key in self._environ:
            self._is_ambiguous = self._is_ambiguous or key in _SINGLE_FIELDS
            text = f"{self._environ[key]},{text}"
        self._environ[key] = text

    def _check_host(self, *, required: bool) -> None:
        host = self._environ.get("HTTP_HOST")
        if host is None:
            if required:
                raise self.rejection("bad-request", "The request needs a Host header.")
        elif not _is_host(host):
            raise self.rejection("bad-request", "The Host header names no host.")

    def _resolve(self, target: str) -> None:
        """Turn a target that is no path into one (section 3.2)."""
        environ = self._environ
        method = environ["REQUEST_METHOD"]
        if (method == "OPTIONS" and target == "*") or (method == "CONNECT" and _is_host(target)):
            # It is about the server as a whole, which WSGI has no name for. CONNECT is 405 there.
            environ["PATH_INFO"] = "/"
            return
        absolute = _ABSOLUTE_FORM.fullmatch(target)
        if absolute is None or not _is_host(absolute[1]):
            raise self.rejection("bad-request", "The request target is neither a path nor a URL.")
        environ["HTTP_HOST"] = absolute[1]
        environ["PATH_INFO"] = _unquoted(absolute[2]) or "/"

    # The body.

    def _check_coding(self) -> bool:
        """Return whether the body is chunked. Raises RejectedError for any other coding."""
        coding = self._environ.get("HTTP_TRANSFER_ENCODING")
        if coding is None:
            return False
        codings = [one.strip(" \t").lower() for one in coding.split(",")]
        if "chunked" in codings[:-1] or not all(map(_CODING.fullmatch, codings)):
            raise self.rejection("bad-request", "The transfer coding chunked must come last, once.")
        if codings != ["chunked"]:
            raise self.rejection("not-implemented")
        return True

    def _body_of(self, minor: int) -> _MeasuredBody | _ChunkedBody:
        environ = self._environ
        if minor > 0 and environ.get("HTTP_EXPECT", "").lower() == "100-continue":
            self.expects_continue = True
        if not self._check_coding():
            return _MeasuredBody(int(environ.get("CONTENT_LENGTH") or 0), self._limits.body)
        if minor == 0:
            raise self.rejection("bad-request", "HTTP/1.0 has no transfer codings.")
        del environ["HTTP_TRANSFER_ENCODING"]
        return _ChunkedBody(self._limits.body)

    def _read_body(self, body: _MeasuredBody | _ChunkedBody) -> Request | None:
        environ = self._environ
        data, self.data = self.data, b""
        if data:
            # A client that sends the body already waits for nothing.
            self.expects_continue = False
        try:
            rest = body.feed(data)
        except ValueError:
            raise self.rejection("incomplete-body", "A chunk of the body is broken.") from None
        if rest is None:
            return None
        self.data = rest
        if isinstance(body, _ChunkedBody):
            # The coding is gone, so the environ says what any app understands.
            environ["CONTENT_LENGTH"] = str(len(body.data))
        if body.too_large:
            environ["wsgi.input"] = UnreceivedBody(self._limits.body)
        else:
            environ["wsgi.input"] = BytesIO(body.data)
        request = Request(environ, self._keep_alive and not body.too_large)
        self._begin()
        return request


class _MeasuredBody:
    """A body whose length was announced; over `limit` it counts as complete at once."""

    def __init__(self, length: int, limit: int) -> None:
        self.data = bytearray()
        self.too_large = length > limit
        self._length = 0 if self.too_large else length

    def feed(self, data: bytes) -> bytes | None:
        """Take in `data`; return what follows the body once it is complete, None before."""
        missing = self._length - len(self.data)
        self.data += data[:missing]
        return data[missing:] if len(data) >= missing else None


class _ChunkedBody:
    """A body in chunks; once it is over `limit` it counts as complete."""

    def __init__(self, limit: int) -> None:
        self.data = bytearray()
        self.too_large = False
        self._limit = limit
        self._framing = 0
        self._unread = b""
        self._missing = 0  # bytes of the chunk that is being read
        self._expected = _SIZE_LINE  # the line that comes after them

    def feed(self, data: bytes) -> bytes | None:
        """Take in `data`; return what follows the body once it is complete, None before.

        Raises ValueError where the chunks break the rules of section 7.1.
        """
        data, at = self._unread + data, 0
        while True:
            part = data[at : at + self._missing]
            self.data += part
            self._missing -= len(part)
            if len(self.data) > self._limit:
                self.too_large = True
                return b""
            at += len(part)
            end = data.find(b"\n", at) + 1
            if self._missing or not end:
                break
            line = self._expected.fullmatch(data, at, end)
            self._framing += end - at
            if line is None or self._framing > FRAMING_BYTES + FRAMING_PER_BYTE * len(self.data):
                raise ValueError("a broken chunk")
            at = end
            if self._expected is _SIZE_LINE:
                self._missing = int(line[1], 16)
                self._expected = _CHUNK_END if self._missing else _TRAILER_LINE
            elif self._expected is _CHUNK_END:
                self._expected = _SIZE_LINE
            elif line[0] == b"\r\n":
                # Trailers are dropped, as section 7.1.2 allows.
                return data[at:]
        self._unread = data[at:]
        if len(self._unread) > FRAMING_BYTES:
            raise ValueError("a broken chunk")
        return None


@lru_cache(maxsize=256)
def _is_host(value: str) -> bool:
    """Return whether `value` is a host with or without a port (RFC 9110, section 7.2)."""
    host = _HOST.fullmatch(value)
    if host is None or int(host["port"] or 0) > 65_535:
        return False
    with suppress(ValueError):
        return bool(IPv6Address(host["ipv6"] or "::"))
    return False


@lru_cache(maxsize=256)
def _connection_options(value: str) -> frozenset[str]:
    return frozenset(option.strip().lower() for option in value.split(","))


@lru_cache(maxsize=1024)
def _environ_key(name: bytes) -> str | None:
    """Return the CGI name of a header; None for one that another header could be taken for."""
    if b"_" in name:
        return None
    key = name.decode("latin-1").upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"


def _unquoted(path: str) -> str:
    # PEP 3333 hands the bytes of a path over as Latin-1.
    return unquote_to_bytes(path).decode("latin-1") if "%" in path else path
