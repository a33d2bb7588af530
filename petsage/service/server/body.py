"""The body of one request as it arrives, by length or in chunks: bytes in, bytes out.

It knows no socket. The chunks are read here and not by gunicorn_h1c, whose sizes wrap around at
64 bits (so that two servers in a row see two bodies) and whose cost is quadratic in small chunks.
"""

import re
from io import RawIOBase
from typing import NoReturn

from werkzeug.exceptions import RequestEntityTooLarge

from petsage.service.problems import OVER_THE_LIMIT

# Framing that a body of chunks may have for each byte of data, and on top of that: a chunk of
# one byte takes five. What exceeds it is a way of keeping the server busy.
FRAMING_PER_BYTE = 8
FRAMING_BYTES = 8_192

# RFC 9112, section 7.1, without the blanks of 7.1.1 that no client sends.
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,8})(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?\r\n")
_TRAILER_LINE = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\x00-\x08\x0a-\x1f\x7f]*)?\r\n")


class BrokenBodyError(ValueError):
    """The chunks of a body break the rules of RFC 9112, section 7.1."""


class UnreceivedBody(RawIOBase):
    """The input of a request whose body is larger than what is received: it can't be read.

    An app that knows the limit refuses such a request by its length; no other may take a body that
    was thrown away for one that is empty.
    """

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def readable(self) -> bool:
        """Say that somebody may try."""
        return True

    def readinto(self, _buffer: object) -> NoReturn:
        """Raise what Flask answers with a 413."""
        raise RequestEntityTooLarge(OVER_THE_LIMIT.format(limit=self._limit))


class MeasuredBody:
    """A body whose length was announced."""

    def __init__(self, length: int) -> None:
        self.data = bytearray()
        self._length = length

    def feed(self, data: bytes) -> bytes | None:
        """Take in `data`; return what follows the body once it is whole, None before."""
        missing = self._length - len(self.data)
        self.data += data[:missing]
        return data[missing:] if len(data) >= missing else None


class ChunkedBody:
    """A body in chunks; past `limit` bytes it counts as whole, one byte over the limit."""

    def __init__(self, limit: int) -> None:
        self.data = bytearray()
        self.too_large = False
        self._limit = limit
        self._framing = 0
        self._rest = b""
        self._missing = 0  # bytes of the chunk that is being read, with its CR LF
        self._trailers = False

    def feed(self, data: bytes) -> bytes | None:
        """Take in `data`; return what follows the body once it is whole, None before.

        Raises BrokenBodyError.
        """
        data = self._rest + data
        at = 0
        while True:
            if self._missing > 2:
                part = data[at : at + self._missing - 2]
                self.data += part
                at += len(part)
                self._missing -= len(part)
                if len(self.data) > self._limit:
                    del self.data[self._limit + 1 :]
                    self.too_large = True
                    return b""
                if self._missing > 2:
                    break
            if self._missing:
                if len(data) - at < 2:
                    break
                if data[at : at + 2] != b"\r\n":
                    raise BrokenBodyError
                at += 2
                self._missing = 0
            end = data.find(b"\n", at) + 1
            if not end:
                break
            self._spend(end - at)
            if self._trailers:
                if _TRAILER_LINE.fullmatch(data, at, end) is None:
                    raise BrokenBodyError
                if end - at == 2:
                    return data[end:]
            else:
                match = _SIZE_LINE.fullmatch(data, at, end)
                if match is None:
                    raise BrokenBodyError
                size = int(match[1], 16)
                self._trailers = not size
                self._missing = size + 2 if size else 0
            at = end
        self._rest = data[at:]
        if not self._missing and len(self._rest) > FRAMING_BYTES:
            raise BrokenBodyError
        return None

    def _spend(self, framing: int) -> None:
        self._framing += framing
        if self._framing > FRAMING_BYTES + FRAMING_PER_BYTE * len(self.data):
            raise BrokenBodyError
