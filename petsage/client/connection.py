"""A fresh connection whose every step, the name's lookup included, ends by one total deadline."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from petsage.client.fact import Failure

if TYPE_CHECKING:
    import ssl

    from petsage.client.target import Target

Resolve = Callable[..., list[tuple[Any, ...]]]
_PIECE = 65_536
# A lookup that is younger than this is shared, so that a dead resolver holds few threads.
_LOOKUP_SHARED_SECONDS = 1.0
# What OpenSSL says, by its version, of a peer whose first bytes are no TLS. Only the first is
# sure: a record that is too long, or broken, comes from a peer of TLS too.
_NO_TLS = {
    "WRONG_VERSION_NUMBER": "does not",
    "RECORD_LAYER_FAILURE": "may not",
    "PACKET_LENGTH_TOO_LONG": "may not",
}


class ExchangeError(Exception):
    """The exchange failed: in which class, a sentence on it, and whether TLS found no trust."""

    def __init__(self, failure: Failure, detail: str, *, untrusted: bool = False) -> None:
        super().__init__(detail)
        self.failure = failure
        self.detail = detail
        self.untrusted = untrusted


class Deadline:
    """The end of one exchange, and how long each of its phases took."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        self.phases: dict[str, float] = {}

    def left(self) -> float:
        """Return the seconds left. Raises ExchangeError where there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise self.missed()
        return left

    def missed(self) -> ExchangeError:
        """Return the failure of an exchange that took too long."""
        phase = next(reversed(self.phases), "dns")
        doing = {
            "dns": "looking up the name",
            "connect": "connecting",
            "tls": "shaking hands over TLS",
            "write": "sending the request",
            "wait": "waiting for the answer to begin",
            "read": "waiting for the answer to end",
        }[phase]
        return ExchangeError(
            Failure.TIMEOUT, f"no whole answer within {self._seconds:.3g} s: {doing}"
        )

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time what happens inside, also where it fails."""
        begun = time.monotonic()
        self.phases[name] = 0.0
        try:
            yield
        finally:
            self.phases[name] = time.monotonic() - begun


class _Lookup(threading.Thread):
    def __init__(self, resolve: Resolve, host: str, port: int) -> None:
        super().__init__(name="petsage-lookup", daemon=True)
        self._ask = (resolve, host, port)
        self.begun = time.monotonic()
        self.addresses: list[tuple[Any, ...]] = []
        self.fault: Exception | None = None
        self.start()

    def run(self) -> None:
        resolve, host, port = self._ask
        try:
            self.addresses = resolve(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as fault:
            self.fault = fault


class Resolver:
    """Looks up one name, time and again. getaddrinfo knows no timeout, so a thread waits for it."""

    def __init__(self, host: str, port: int, resolve: Resolve = socket.getaddrinfo) -> None:
        self._host, self._port, self._resolve = host, port, resolve
        self._lock = threading.Lock()
        self._lookup: _Lookup | None = None
        # An address needs no lookup.
        with contextlib.suppress(OSError, UnicodeError):
            flags = socket.AI_NUMERICHOST
            self._fixed = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)

    _fixed: list[tuple[Any, ...]] | None = None

    def addresses(self, deadline: Deadline) -> list[tuple[Any, ...]]:
        """Return what getaddrinfo says. Raises ExchangeError where it says nothing in time."""
        if self._fixed:
            return self._fixed
        with self._lock:
            lookup = self._lookup
            age = time.monotonic() - lookup.begun if lookup else 0.0
            if lookup is None or not lookup.is_alive() or age > _LOOKUP_SHARED_SECONDS:
                lookup = self._lookup = _Lookup(self._resolve, self._host, self._port)
        lookup.join(deadline.left())
        if lookup.is_alive():
            raise ExchangeError(Failure.DNS, f"looking up {self._host!r} took too long")
        if lookup.fault or not lookup.addresses:
            reason = getattr(lookup.fault, "strerror", None) or "it has no address"
            raise ExchangeError(Failure.DNS, f"the name {self._host!r} does not resolve: {reason}")
        return lookup.addresses


def _failed(fault: OSError, deadline: Deadline) -> ExchangeError:
    if isinstance(fault, TimeoutError):
        return deadline.missed()
    # Only an ssl.SSLError has a reason; where TLS is not used, ssl is not even loaded.
    if reason := getattr(fault, "reason", None):
        return ExchangeError(Failure.TLS, f"TLS failed: {reason}")
    if fault.errno in (errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED, errno.ENOTCONN):
        return ExchangeError(Failure.RESET, "the connection was reset")
    return ExchangeError(Failure.REFUSED, f"no connection: {fault.strerror or fault}")


def connect(addresses: list[tuple[Any, ...]], deadline: Deadline) -> socket.socket:
    """Return a connection to the first address that takes one. Raises ExchangeError."""
    failed = ExchangeError(Failure.DNS, "the name has no address")
    for index, (family, kind, protocol, _, address) in enumerate(addresses):
        # One address that swallows everything leaves the others their share of the time.
        share = deadline.left() / (len(addresses) - index)
        try:
            connection = socket.socket(family, kind, protocol)
        except OSError as fault:
            failed = _failed(fault, deadline)
            continue
        try:
            connection.settimeout(share)
            connection.connect(address)
        except OSError as fault:
            connection.close()
            failed = _failed(fault, deadline)
        except BaseException:
            connection.close()
            raise
        else:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
    raise failed


def shake_hands(
    connection: socket.socket, context: ssl.SSLContext, target: Target, deadline: Deadline
) -> socket.socket:
    """Return the connection under TLS. Raises ExchangeError; the connection is then closed."""
    import ssl

    name = target.host.partition("%")[0]
    secured = None
    try:
        # The handshake is a step of its own, so that there is something to close if it fails.
        secured = context.wrap_socket(
            connection, server_hostname=name, do_handshake_on_connect=False
        )
        secured.settimeout(deadline.left())
        secured.do_handshake()
        return secured
    except BaseException as fault:
        (secured or connection).close()
        if isinstance(fault, ssl.SSLCertVerificationError):
            detail = f"the certificate does not verify: {fault.verify_message.rstrip('.')}"
            raise ExchangeError(Failure.TLS, detail, untrusted=True) from None
        if isinstance(fault, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            detail = "the connection was closed within the TLS handshake"
            raise ExchangeError(Failure.RESET, detail) from None
        if isinstance(fault, ssl.SSLError) and fault.reason in _NO_TLS:
            detail = f"what answers there {_NO_TLS[fault.reason]} speak TLS"
            detail += "; where it is plain HTTP, try http://"
            raise ExchangeError(Failure.TLS, detail) from None
        if isinstance(fault, ssl.SSLError):
            raise ExchangeError(Failure.TLS, f"TLS failed: {fault.reason or fault}") from None
        if isinstance(fault, OSError):
            raise _failed(fault, deadline) from None
        raise


def send(connection: socket.socket, data: bytes, deadline: Deadline) -> None:
    """Send everything. A peer that has closed already may have answered: reading will tell."""
    connection.settimeout(deadline.left())
    try:
        connection.sendall(data)
    except TimeoutError:
        raise deadline.missed() from None
    except OSError:
        return


def receive(connection: socket.socket, deadline: Deadline) -> bytes:
    """Return the next piece, or b"" at the end. Raises ExchangeError."""
    connection.settimeout(deadline.left())
    try:
        return connection.recv(_PIECE)
    except OSError as fault:
        raise _failed(fault, deadline) from None
