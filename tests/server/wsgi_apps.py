"""WSGI apps that keep PEP 3333 in odd ways, or break it; no tests."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Iterable, Iterator
from typing import Any

TEXT = ("Content-Type", "text/plain")


class Probe:
    """An iterable body that tells whether it was closed."""

    closed = 0

    def __init__(self, *parts: bytes) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        yield from self._parts

    def close(self) -> None:
        Probe.closed += 1


def writes(environ: Any, start_response: Any) -> Iterable[bytes]:
    write = start_response("200 OK", [TEXT])
    write(b"one ")
    write(b"")
    write(b"two ")
    return [b"three"]


def generates(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [TEXT])
    yield b"one "
    yield b""
    yield b"two"


def is_empty(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [TEXT])
    return []


def has_no_content(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("204 No Content", [])
    return []


def is_not_modified(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("304 Not Modified", [("ETag", '"x"')])
    return []


def announces_less(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [TEXT, ("Content-Length", "3")])
    return [b"ab", b"cdef"]


def announces_more(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [TEXT, ("Content-Length", "9")])
    return [b"abc"]


def changes_its_mind(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [TEXT])
    try:
        raise ValueError("too late to hide it?")
    except ValueError as error:
        start_response("418 I'm a teapot", [TEXT], (ValueError, error, None))
    return [b"no coffee"]


def is_hop_by_hop(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [TEXT, ("Connection", "close"), ("Keep-Alive", "timeout=5")])
    return [b"bye"]


def names_itself(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [TEXT, ("Server", "Own"), ("Date", "Thu, 01 Jan 1970 00:00:00 GMT")])
    return [b"x"]


def exits(environ: Any, start_response: Any) -> Iterable[bytes]:
    raise SystemExit("secret")


def is_cancelled(environ: Any, start_response: Any) -> Iterable[bytes]:
    raise CancelledError("secret")


def raises(environ: Any, start_response: Any) -> Iterable[bytes]:
    raise RuntimeError("secret")


def raises_after_start(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [TEXT])
    raise RuntimeError("secret")


def forgets_to_start(environ: Any, start_response: Any) -> Iterable[bytes]:
    return [b"x"]


def starts_twice(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [TEXT])
    start_response("200 OK", [TEXT])
    return [b"x"]


def splits_a_header(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("X", "a\r\nSet-Cookie: b")])
    return [b"x"]


def splits_a_header_softly(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("X", "a\nSet-Cookie: b")])
    return [b"x"]


def is_no_iterable(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [TEXT])
    return None


def raises_half_way(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [TEXT])
    yield b"begun"
    raise RuntimeError("secret")


def yields_text(environ: Any, start_response: Any) -> Iterable[Any]:
    start_response("200 OK", [TEXT])
    return ["secret"]
