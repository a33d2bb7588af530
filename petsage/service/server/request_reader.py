"""The input of one connection, cut into whole requests: bytes in, requests out.

It knows no socket and no time.
"""

from __future__ import annotations

import re
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO, cast

from petsage.contract import PROBLEMS
from petsage.service.server.body import BrokenBodyError, ChunkedBody, MeasuredBody, UnreceivedBody
from petsage.service.server.head import RefusedError

if TYPE_CHECKING:
    from petsage.service.server.head import Environ, HeadReader, Request

# What some clients send after a body, and what is no part of the next request (RFC 9112,
# section 2.2).
_EMPTY_LINES = re.compile(rb"(?:\r\n)+")


class RequestReader:
    """Reads the requests of one connection, one after the other.

    Args:
        heads: reads the heads.
        base: what each environ starts from.
        body_bytes: the largest body that is received.

    Attributes:
        input: what has been fed and belongs to no request yet.

    """

    def __init__(self, heads: HeadReader, base: Environ, body_bytes: int) -> None:
        self.input = b""
        self._heads = heads
        self._base = base
        self._body_bytes = body_bytes
        self._request: Request | None = None  # the one whose body is being read
        self._body: MeasuredBody | ChunkedBody | None = None

    @property
    def has_begun(self) -> bool:
        """Whether anything of the next request is there: what may be an empty line is nothing."""
        return self._request is not None or bool(self.input.strip(b"\r\n"))

    @property
    def method(self) -> str:
        """The method of a head that can't be read, where the answer depends on it."""
        return "HEAD" if self.input.startswith(b"HEAD ") else "-"

    def feed(self, data: bytes) -> None:
        """Take in more of the input."""
        self.input = self.input + data if self.input else data

    def next(self) -> tuple[Request, BinaryIO] | None:
        """Return the next request with its body once it is whole, None before.

        A body larger than allowed is not received, and can't be read: its request is the last of
        the connection. Raises RefusedError.
        """
        if self._body is not None:
            return self._read_body(self._body)
        data = self.input
        if data.startswith(b"\r\n"):
            data = self.input = _EMPTY_LINES.sub(b"", data, count=1)
        end = data.find(b"\r\n\r\n") + 4
        if end < 4:
            self._heads.check_beginning(data)
            return None
        request = self._heads.read(data[:end], self._base)
        length = request.length
        if length is None:
            return self._begin_body(request, ChunkedBody(self._body_bytes), data[end:])
        if length > self._body_bytes:
            self.input = b""
            return self._unreceived(request)
        if len(data) - end < length:
            return self._begin_body(request, MeasuredBody(length), data[end:])
        self.input = data[end + length :]
        return request, BytesIO(data[end : end + length])

    def wants_continue(self) -> bool:
        """Tell whether the client waits for a 100 before it sends the body; once at most."""
        if self._request is None or not self._request.expects_continue:
            return False
        self._request.expects_continue = False
        return True

    def refusal(self, code: str, detail: str) -> RefusedError:
        """Return the refusal of the request that is being read."""
        return RefusedError(code, detail, self._request.environ if self._request else None)

    def incomplete(self) -> RefusedError:
        """Return the refusal of a request whose rest will never come."""
        if self._request is None:
            return self.refusal("bad-request", "The request ends within its head.")
        return self.refusal("incomplete-body", PROBLEMS["incomplete-body"].detail)

    def _begin_body(
        self, request: Request, body: MeasuredBody | ChunkedBody, beginning: bytes
    ) -> tuple[Request, BinaryIO] | None:
        self._request, self._body, self.input = request, body, beginning
        if not beginning:
            return None
        # A client that sends the body already waits for nothing.
        request.expects_continue = False
        return self._read_body(body)

    def _unreceived(self, request: Request) -> tuple[Request, BinaryIO]:
        request.keep_alive = False
        return request, cast(BinaryIO, UnreceivedBody(self._body_bytes))

    def _read_body(self, body: MeasuredBody | ChunkedBody) -> tuple[Request, BinaryIO] | None:
        request = self._request
        if request is None:
            raise AssertionError("a body without its head")
        data, self.input = self.input, b""
        try:
            rest = body.feed(data)
        except BrokenBodyError:
            raise self.refusal("incomplete-body", "A chunk of the body is broken.") from None
        if rest is None:
            return None
        self._request = self._body = None
        self.input = rest
        if isinstance(body, ChunkedBody):
            # The coding is gone, so the environ says what any app understands.
            request.environ["CONTENT_LENGTH"] = str(len(body.data))
            if body.too_large:
                return self._unreceived(request)
        return request, BytesIO(body.data)
