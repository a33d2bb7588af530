"""The head of one request, read strictly: bytes in, a WSGI environ or a refusal out.

It knows no socket. gunicorn_h1c splits the lines; what it lets through and HTTP does not
(each case seen by running 0.6.9) is refused here.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Any
from urllib.parse import unquote_to_bytes

from gunicorn_h1c import (
    IncompleteError,
    LimitRequestHeaders,
    LimitRequestLine,
    parse_request,
    parse_request_fast,
)

from petsage.contract import PROBLEMS

Environ = dict[str, Any]

# A head longer than this is refused whatever its lines look like: gunicorn limits lines and their
# number, which lets through 800 kB.
MAX_HEAD_BYTES = 65_536
# The parser gives up past 256 fields, without saying why.
MAX_FIELDS = 255
# More digits overflow the parser's integer: 18446744073709551621 would count as 5.
MAX_LENGTH_DIGITS = 18

_HOST = re.compile(rb"(?:[A-Za-z0-9._~-]+|\[(?P<ipv6>[0-9A-Fa-f:.]+)\])(?::(?P<port>[0-9]{0,5}))?")
_ABSOLUTE_TARGET = re.compile(rb"(?i:https?)://([^/?#]*)([^#]*)")
# Visible ASCII, without the fragment that no request may carry (RFC 9112, section 3.2).
_TARGET = re.compile(rb"[!\"$-~]+")


class RefusedError(Exception):
    """A request that the server answers itself: the code of the problem, and a sentence."""

    def __init__(self, code: str, detail: str, environ: Environ | None = None) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.environ = environ


class Request:
    """What a head says: the environ, and how the body and the connection go on.

    `length` is the announced length of the body in bytes, or None where it comes in chunks.
    """

    __slots__ = ("environ", "expects_continue", "keep_alive", "length")

    def __init__(
        self, environ: Environ, length: int | None, *, keep_alive: bool, expects_continue: bool
    ) -> None:
        self.environ = environ
        self.length = length
        self.keep_alive = keep_alive
        self.expects_continue = expects_continue


@lru_cache(maxsize=256)
def is_host(value: bytes) -> bool:
    """Tell whether `value` is a host with or without a port (RFC 9110, section 7.2)."""
    match = _HOST.fullmatch(value)
    if match is None or int(match["port"] or 0) > 65_535:
        return False
    if match["ipv6"] is not None:
        try:
            IPv6Address(match["ipv6"].decode())
        except ValueError:
            return False
    return True


@lru_cache(maxsize=1024)
def _environ_key(name: bytes) -> str | None:
    """Return the CGI name of a header; None for one that another header could be taken for."""
    if b"_" in name:
        return None
    upper = name.decode("latin-1").upper().replace("-", "_")
    return upper if upper in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{upper}"


class HeadReader:
    """Reads heads under the limits of gunicorn's settings, where 0 sets no limit of its own."""

    def __init__(self, *, request_line: int, fields: int, field_size: int) -> None:
        self._request_line = request_line or MAX_HEAD_BYTES
        self._fields = min(fields or MAX_FIELDS, MAX_FIELDS)
        self._limits = {
            "limit_request_line": self._request_line,
            "limit_request_fields": self._fields,
            "limit_request_field_size": field_size or MAX_HEAD_BYTES,
        }

    def check_beginning(self, data: bytes) -> None:
        """Refuse the beginning of a head that no end could make good.

        So a broken line is answered at once, and not when the client gives up.
        """
        if b"\n" not in data and len(data) > self._request_line:
            raise RefusedError("uri-too-long", _TOO_LONG_LINE)
        if len(data) > MAX_HEAD_BYTES:
            raise RefusedError("headers-too-large", _TOO_LARGE_HEADERS)
        self._refuse_bare_newlines(data)
        try:
            parse_request(data, **self._limits)
        except IncompleteError:
            return
        except ValueError as fault:
            raise self._refusal(fault, data) from None

    def read(self, head: bytes, base: Mapping[str, Any]) -> Request:
        """Read a whole head, from the request line to the empty line.

        `base` is what the environ holds before the request adds to it. Raises RefusedError.
        """
        self._refuse_bare_newlines(head)
        try:
            parsed = parse_request_fast(head, **self._limits)
        # Not ValueError alone: "GET / H\r\n\r\n" is too short for the parser to say what is
        # wrong, and the class of that error is none that the package exports.
        except Exception as fault:
            raise self._refusal(fault, head) from None
        if len(head) > MAX_HEAD_BYTES:
            raise RefusedError("headers-too-large", _TOO_LARGE_HEADERS)
        method, target, minor = parsed.method, parsed.path, parsed.minor_version
        if not head.lstrip(b"\r\n").startswith(b"%b %b HTTP/" % (method, target)):
            raise RefusedError("bad-request", "The request line has more than single spaces in it.")
        environ = dict(base)
        environ["REQUEST_METHOD"] = method.decode("latin-1")
        environ["SERVER_PROTOCOL"] = "HTTP/1.1" if minor else "HTTP/1.0"
        _add_target(environ, target)
        hosts = _add_headers(environ, parsed.headers)
        _check_framing(environ)
        _check_host(environ, hosts, required=minor == 1)
        if not target.startswith(b"/"):
            _resolve_target(environ, target)
        expects = minor == 1 and environ.get("HTTP_EXPECT", "").lower() == "100-continue"
        return Request(
            environ,
            None if parsed.has_chunked else max(parsed.content_length, 0),
            keep_alive=parsed.connection_close == 0
            or (minor == 1 and parsed.connection_close != 1),
            expects_continue=expects,
        )

    def _refuse_bare_newlines(self, head: bytes) -> None:
        # A proxy in front may not take a lone LF for the end of a line (RFC 9112, section 2.2).
        if head.count(b"\n") != head.count(b"\r\n"):
            raise RefusedError("bad-request", "Each line of the head must end in CR LF.")

    def _refusal(self, fault: Exception, head: bytes) -> RefusedError:
        if isinstance(fault, LimitRequestLine):
            return RefusedError("uri-too-long", _TOO_LONG_LINE)
        # Past 256 fields the parser gives up without saying which limit it was.
        if isinstance(fault, LimitRequestHeaders) or head.count(b"\n") > self._fields + 2:
            return RefusedError("headers-too-large", _TOO_LARGE_HEADERS)
        return RefusedError("bad-request", "This is no valid HTTP/1.1 request.")


_TOO_LONG_LINE = PROBLEMS["uri-too-long"].detail
_TOO_LARGE_HEADERS = PROBLEMS["headers-too-large"].detail


def _add_target(environ: Environ, target: bytes) -> None:
    if _TARGET.fullmatch(target) is None:
        raise RefusedError("bad-request", "The request target may hold visible ASCII only.")
    raw = target.decode("ascii")
    environ["RAW_URI"] = environ["REQUEST_URI"] = raw
    path, _, environ["QUERY_STRING"] = raw.partition("?")
    environ["PATH_INFO"] = unquote_to_bytes(path).decode("latin-1") if "%" in path else path


def _add_headers(environ: Environ, headers: tuple[tuple[bytes, bytes], ...]) -> int:
    hosts = 0
    for name, value in headers:
        if not name:
            # The parser hands an obsolete line folding over as a field without a name.
            raise RefusedError("bad-request", "A header line must not be folded.", environ)
        key = _environ_key(name)
        if key is None:
            continue
        text = value.decode("latin-1")
        if key in environ:
            hosts += key == "HTTP_HOST"
            text = f"{environ[key]},{text}"
        environ[key] = text
    return hosts


def _check_framing(environ: Environ) -> None:
    """Refuse what two servers in a row could read as two different bodies."""
    coding = environ.pop("HTTP_TRANSFER_ENCODING", None)
    if coding is not None and (coding.lower() != "chunked" or "CONTENT_LENGTH" in environ):
        raise RefusedError(
            "bad-request", "The only transfer coding is chunked, and without a length.", environ
        )
    if len(environ.get("CONTENT_LENGTH", "")) > MAX_LENGTH_DIGITS:
        raise RefusedError("bad-request", "The Content-Length is no sensible number.", environ)


def _check_host(environ: Environ, repeats: int, *, required: bool) -> None:
    host = environ.get("HTTP_HOST")
    if host is None:
        if required:
            raise RefusedError("bad-request", "The request needs a Host header.", environ)
    elif repeats or not is_host(host.encode("latin-1")):
        raise RefusedError("bad-request", "The Host header names no host.", environ)


def _resolve_target(environ: Environ, target: bytes) -> None:
    """Turn the forms of a target other than a path into one (RFC 9112, section 3.2)."""
    if target == b"*":
        # PEP 3333 has no name for the server as a whole.
        environ["PATH_INFO"] = "/"
        return
    match = _ABSOLUTE_TARGET.fullmatch(target)
    if match is None or not is_host(match[1]):
        raise RefusedError(
            "bad-request", "The request target is neither a path nor a URL.", environ
        )
    environ["HTTP_HOST"] = match[1].decode("ascii")
    path = match[2].decode("ascii").partition("?")[0] or "/"
    environ["PATH_INFO"] = unquote_to_bytes(path).decode("latin-1")
