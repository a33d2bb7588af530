"""One request and its answer, on a fresh connection, by a total deadline; no redirect followed."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from petsage import __version__
from petsage.client.clock import unix_time
from petsage.client.connection import (
    Deadline,
    ExchangeError,
    Resolve,
    Resolver,
    connect,
    receive,
    send,
    shake_hands,
)
from petsage.client.fact import Failure
from petsage.client.response import BrokenAnswerError, CutAnswerError, Response, read_response

if TYPE_CHECKING:
    import ssl

    from petsage.client.target import Target

# How a server of TLS refuses plain HTTP (RFC 8446, section 5.1), unless it only hangs up.
_TLS_ALERT = b"\x15\x03"


@dataclass(frozen=True, slots=True)
class Request:
    """What to send. `announced` is the Content-Length where it is not the body's own."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    announced: int | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """How one request went: the answer, or the class of the failure and a sentence on it.

    `began_at` is Unix time; `elapsed_s` and `phases` are in seconds.
    """

    began_at: float
    elapsed_s: float
    phases: Mapping[str, float]
    response: Response | None = None
    failure: Failure | None = None
    detail: str = ""
    untrusted: bool = False


def trust(cacert: str | None = None) -> ssl.SSLContext:
    """Return the TLS settings: the system's authorities, or those in the file `cacert` alone.

    Raises OSError (ssl.SSLError is one) where the file is missing or holds no certificate.
    """
    import ssl

    if cacert == "":
        # Python would trust the system's authorities then: --cacert "$UNSET" must not.
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    context = ssl.create_default_context(cafile=cacert)
    # Python 3.13 alone refuses authorities without a key usage; curl, browsers and 3.12 take
    # them.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.set_alpn_protocols(["http/1.1"])
    return context


class Client:
    """Makes exchanges with one service. Any number of threads may share it."""

    def __init__(
        self,
        target: Target,
        context: ssl.SSLContext | None = None,
        resolve: Resolve = socket.getaddrinfo,
    ) -> None:
        self._target = target
        self._context = context if context or not target.tls else trust()
        self._resolver = Resolver(target.host, target.port, resolve)

    def exchange(self, request: Request, timeout: float) -> Exchange:
        """Send the request and read the answer, all of it within `timeout` seconds."""
        began_at, began = unix_time(), time.monotonic()
        deadline = Deadline(timeout)
        response = failed = None
        try:
            response = self._answer(request, deadline)
        except ExchangeError as fault:
            failed = fault
        except BrokenAnswerError as fault:
            failed = ExchangeError(Failure.NOT_PETSAGE, str(fault))
        except CutAnswerError as fault:
            failed = ExchangeError(Failure.RESET, str(fault))
        return Exchange(
            began_at=began_at,
            elapsed_s=time.monotonic() - began,
            phases=deadline.phases,
            response=response,
            failure=failed.failure if failed else None,
            detail=failed.detail if failed else "",
            untrusted=failed.untrusted if failed else False,
        )

    def _answer(self, request: Request, deadline: Deadline) -> Response:
        with deadline.phase("dns"):
            addresses = self._resolver.addresses(deadline)
        with deadline.phase("connect"):
            connection = connect(addresses, deadline)
        if self._context:
            with deadline.phase("tls"):
                connection = shake_hands(connection, self._context, self._target, deadline)
        with connection:
            with deadline.phase("write"):
                send(connection, self._bytes(request), deadline)
            with deadline.phase("wait"):
                first = receive(connection, deadline)
            if not self._target.tls and first.startswith(_TLS_ALERT):
                raise ExchangeError(Failure.TLS, "the server speaks TLS there; try https://")
            with deadline.phase("read"):
                pieces = iter([first])
                return read_response(
                    lambda: next(pieces, None) or receive(connection, deadline),
                    method=request.method,
                )

    def _bytes(self, request: Request) -> bytes:
        length = len(request.body) if request.announced is None else request.announced
        fields = [
            ("Host", self._target.authority),
            ("User-Agent", f"petsage/{__version__}"),
            ("Accept", "application/json"),
            ("Accept-Encoding", "identity"),
            *self._target.headers,
            *request.headers,
            ("Content-Length", str(length)),
            ("Connection", "close"),
        ]
        # -H may replace the first ones.
        chosen = {name.lower() for name, _ in self._target.headers}
        own = {"user-agent", "accept"} & chosen
        lines = [f"{request.method} {self._target.prefix}{request.path} HTTP/1.1"]
        lines += [
            f"{name}: {value}"
            for index, (name, value) in enumerate(fields)
            if not (index in (1, 2) and name.lower() in own)
        ]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + request.body
