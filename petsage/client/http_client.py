"""One HTTP request on a fresh connection, by a total deadline; redirects are never followed."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from petsage import __version__
from petsage.client.addresses import Address, Addresses, has_route, with_port
from petsage.client.clock import unix_time
from petsage.client.response import Response, printable, read_response
from petsage.client.result import Failure, Judgement, NoResponseError, Outcome

if TYPE_CHECKING:
    import ssl

    from petsage.client.proxy import Proxy
    from petsage.client.target import Target

_USER_AGENT = f"petsage/{__version__}"
_PIECE = 65_536
# One address that swallows everything must not slow down the pings to the others.
CONNECT_SECONDS = 2.0
# How a server of TLS rejects plain HTTP (RFC 8446, section 5.1), unless it only hangs up.
_TLS_ALERT = b"\x15\x03"
# What OpenSSL says, by its version, of a peer whose bytes are no TLS.
_NO_TLS = {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"}
# What a peer, or a router before it, says of a connection. Other errors are this machine's.
_OF_PEER = {errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED, errno.EHOSTUNREACH}


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
    """How one request went: the response, or why there is none.

    `began_at` is Unix time. `address` is None where the name did not resolve or a proxy chose it.
    """

    began_at: float
    elapsed_s: float
    address: str | None
    result: Response | Judgement


class _Attempt:
    """One request under way: its deadline, its address, and what it does now, for messages."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.began_at = unix_time()
        self.began = time.monotonic()
        self.address: Address | None = None
        self.doing = ""

    def left(self) -> float:
        """Return the seconds left. Raises NoResponseError where there are none."""
        left = self.began + self._seconds - time.monotonic()
        if left <= 0:
            raise self.failed(TimeoutError())
        return left

    def failed(self, error: OSError) -> NoResponseError:
        """Return what it means that a connection broke, or that the time is over."""
        if isinstance(error, TimeoutError):
            detail = f"no complete response within {self._seconds:.3g} s: {self.doing}"
            return NoResponseError(Failure.TIMEOUT, detail)
        # Only errors of ssl have these; where TLS is not used, ssl is not even loaded.
        reason: str = getattr(error, "reason", None) or ""
        if unverified := getattr(error, "verify_message", ""):
            detail = f"the certificate does not verify: {unverified.rstrip('.')}"
            remedy = "If it is from an authority of your own, pass that with --cacert FILE."
            return _not_reached(detail, remedy, permanent=True)
        if reason in _NO_TLS:
            remedy = "If it speaks plain HTTP, give the URL with http://."
            return _not_reached("what responds there does not speak TLS", remedy)
        if "CERTIFICATE_REQUIRED" in reason:
            remedy = "Pass one with --cert FILE."
            return _not_reached("the server asks for a client certificate", remedy)
        if reason and "EOF" not in reason:
            return NoResponseError(Failure.TLS, f"TLS failed: {reason}")
        return NoResponseError(Failure.RESET, f"the connection was reset: {self.doing}")


def _not_reached(detail: str, remedy: str, *, permanent: bool = False) -> NoResponseError:
    outcome = Outcome.NOT_REACHED
    return NoResponseError(Failure.TLS, detail, outcome, remedy, permanent=permanent)


def tls_context(
    cacert: str | None = None, cert: str | None = None, key: str | None = None
) -> ssl.SSLContext:
    """Return the TLS settings.

    Trusted are the system's authorities, or those in the file `cacert` alone. `cert` is the file
    of a client certificate, `key` that of its key where it is another. Raises OSError
    (ssl.SSLError is one) where a file is missing or does not hold what it should.
    """
    import ssl

    def no_passphrase() -> str:
        # OpenSSL would ask the terminal for it.
        raise OSError(errno.EINVAL, "its key has a passphrase; petsage needs one without")

    if cacert == "":
        # Python would trust the system's authorities then: --cacert "$UNSET" must not.
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    context = ssl.create_default_context(cafile=cacert)
    # Python 3.13 alone rejects authorities without a key usage; curl, browsers and 3.12 don't.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.set_alpn_protocols(["http/1.1"])
    if cert is not None:
        context.load_cert_chain(cert, key, no_passphrase)
    return context


class HttpClient:
    """Sends requests to one service. Any number of threads may share it.

    `addresses` are where to connect to: by default the target's or, where there is one, the
    proxy's. `context` are the settings for an https target.
    """

    def __init__(
        self,
        target: Target,
        *,
        addresses: Addresses | None = None,
        proxy: Proxy | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.target = target
        self.proxy = proxy
        hop = proxy or target
        self._addresses = addresses or Addresses(hop.host, hop.port)
        self._context = (context or tls_context()) if target.tls else None

    @property
    def addresses(self) -> tuple[str, ...]:
        """The latest list of the target's addresses; none where a proxy chooses."""
        return () if self.proxy else self._addresses.latest

    @property
    def warnings(self) -> list[str]:
        """Sentences on the URL and on the addresses."""
        return [*self.target.warnings, *self._addresses.warnings]

    def request(self, request: Request, timeout: float) -> Exchange:
        """Send the request and read the response, all of it within `timeout` seconds."""
        attempt = _Attempt(timeout)
        result: Response | Judgement
        try:
            result = self._response(request, attempt)
        except NoResponseError as error:
            result = error.judgement
        elapsed_s = time.monotonic() - attempt.began
        address = None if self.proxy or not attempt.address else str(attempt.address)
        return Exchange(attempt.began_at, elapsed_s, address, result)

    def _response(self, request: Request, attempt: _Attempt) -> Response:
        with self._blamed_on_proxy("can't be reached"):
            connection = self._connect(attempt)
        try:
            if self._context:
                if self.proxy:
                    self._open_tunnel(connection, attempt)
                attempt.doing = "in the TLS handshake"
                name = self.target.host.partition("%")[0]
                connection = self._context.wrap_socket(
                    connection, server_hostname=name, do_handshake_on_connect=False
                )
                _shake_hands(connection, attempt)
            attempt.doing = "sending the request"
            _send(connection, self._bytes(request), attempt)
            attempt.doing = "waiting for the response to begin"
            first = _receive(connection, attempt)
            attempt.doing = "waiting for the response to end"
            if not self._context and first.startswith(_TLS_ALERT):
                remedy = "Give the URL with https://."
                raise _not_reached("the server speaks TLS there", remedy)
            pieces = iter([first])
            response = read_response(
                lambda: next(pieces, None) or _receive(connection, attempt), method=request.method
            )
        finally:
            connection.close()
        if self.proxy and (response.status == 407 or response.header("X-Squid-Error")):
            raise _proxy_responded(self.proxy, response)
        return response

    def _connect(self, attempt: _Attempt) -> socket.socket:
        """Return a connection to the address whose turn it is."""
        while True:
            attempt.doing = "looking up the name"
            attempt.address = address = self._addresses.next(attempt.left())
            attempt.doing = "connecting"
            limit = min(CONNECT_SECONDS, attempt.left())
            try:
                return _open(address, limit)
            except TimeoutError:
                detail = f"no connection within {limit:.3g} s"
                raise NoResponseError(Failure.TIMEOUT, detail) from None
            except OSError as error:
                if self._may_leave_out(error, address):
                    continue
                detail = f"no connection: {error.strerror or error}"
                known = error.errno in _OF_PEER and has_route(address)
                outcome = Outcome.DOWN if known else Outcome.NOT_REACHED
                raise NoResponseError(Failure.REFUSED, detail, outcome) from None

    def _may_leave_out(self, error: OSError, address: Address) -> bool:
        """Leave out an address that can't be used from here; return whether it is."""
        if error.errno == errno.ENETUNREACH:
            return self._addresses.leave_out(address, "there is no route to it from here")
        # The addresses of localhost are one machine: a server there often listens on one of them.
        local = self.target.host == "localhost" and not self.proxy
        return local and error.errno == errno.ECONNREFUSED and self._addresses.leave_out(address)

    def _open_tunnel(self, connection: socket.socket, attempt: _Attempt) -> None:
        attempt.doing = "waiting for the proxy"
        place = with_port(self.target.host, self.target.port)
        fields = [("Host", place), ("User-Agent", _USER_AGENT), *self._proxy_fields()]
        with self._blamed_on_proxy("opens no tunnel"):
            _send(connection, _head(f"CONNECT {place} HTTP/1.1", fields), attempt)
            response = read_response(lambda: _receive(connection, attempt), method="CONNECT")
        if self.proxy and not 200 <= response.status < 300:
            raise _proxy_responded(self.proxy, response)

    @contextmanager
    def _blamed_on_proxy(self, what: str) -> Iterator[None]:
        """Where there is a proxy, let a failure inside be the proxy's; `what` it does."""
        try:
            yield
        except NoResponseError as error:
            if self.proxy is None:
                raise
            failure = error.judgement.failure or Failure.RESET
            raise _proxy_error(self.proxy, failure, f"{what}: {error}") from None

    def _proxy_fields(self) -> list[tuple[str, str]]:
        authorization = self.proxy.authorization if self.proxy else None
        return [("Proxy-Authorization", authorization)] if authorization else []

    def _bytes(self, request: Request) -> bytes:
        target, path = self.target, self.target.path + request.path
        fields = [("Host", target.authority), ("User-Agent", _USER_AGENT)]
        fields += [("Accept-Encoding", "identity"), *request.headers]
        # -H replaces these.
        given = {name.lower() for name, _ in target.headers}
        fields = [field for field in fields if field[0].lower() not in given]
        fields += target.headers
        if self.proxy and not target.tls:
            path = target.url + request.path
            fields += self._proxy_fields()
        if request.method != "GET":
            length = len(request.body) if request.announced is None else request.announced
            fields.append(("Content-Length", str(length)))
        fields.append(("Connection", "close"))
        return _head(f"{request.method} {path} HTTP/1.1", fields) + request.body


def _head(first: str, fields: Iterable[tuple[str, str]]) -> bytes:
    lines = [first, *(f"{name}: {value}" for name, value in fields), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def _open(address: Address, timeout: float) -> socket.socket:
    connection = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        connection.connect(address.sockaddr)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        connection.close()
        raise
    return connection


def _shake_hands(connection: ssl.SSLSocket, attempt: _Attempt) -> None:
    connection.settimeout(attempt.left())
    try:
        connection.do_handshake()
    except OSError as error:
        raise attempt.failed(error) from None


def _send(connection: socket.socket, data: bytes, attempt: _Attempt) -> None:
    """Send everything. A peer that has closed already may have responded: reading will show."""
    connection.settimeout(attempt.left())
    try:
        connection.sendall(data)
    except TimeoutError as error:
        raise attempt.failed(error) from None
    except OSError:
        return


def _receive(connection: socket.socket, attempt: _Attempt) -> bytes:
    """Return the next piece, or b"" at the end."""
    connection.settimeout(attempt.left())
    try:
        return connection.recv(_PIECE)
    except OSError as error:
        raise attempt.failed(error) from None


def _proxy_error(proxy: Proxy, failure: Failure, what: str) -> NoResponseError:
    remedy = "Check the proxy, or connect directly with --proxy ''."
    return NoResponseError(failure, f"the proxy {proxy} {what}", Outcome.NOT_REACHED, remedy)


def _proxy_responded(proxy: Proxy, response: Response) -> NoResponseError:
    said = printable(response.header("X-Squid-Error") or "", 60)
    what = f"responded itself: {response.status} {said}".rstrip()
    if response.status != 407:
        return _proxy_error(proxy, Failure.OTHER_STATUS, what)
    return NoResponseError(
        Failure.OTHER_STATUS,
        f"the proxy {proxy} {what}",
        Outcome.NOT_REACHED,
        "Pass its user and password: --proxy http://USER:PASSWORD@HOST:PORT.",
        permanent=True,
    )
