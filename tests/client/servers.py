"""Servers on loopback that respond as a test wants: as PetSage would, or in whatever wrong way."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from petsage import contract
from tests.running import free_port


@dataclass(frozen=True)
class Received:
    """One request as the server got it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def expects(self) -> str | None:
        return self.headers.get("expect-release")

    @property
    def request_id(self) -> str:
        return self.headers.get("x-request-id", "none")

    def with_header(self, name: str, value: str) -> Received:
        return replace(self, headers={**self.headers, name: value})


Respond = Callable[[Received, socket.socket], bytes | None]


def is_ping(request: Received) -> bool:
    """Return whether this is a well-formed ping, whose nonce nobody can guess."""
    nonce = re.fullmatch(rb'\{"ping": ?"([^"]+)"\}', request.body)
    return (
        request.method == "POST"
        and request.path.endswith(contract.SMOKE_TEST_PATH)
        and request.headers.get("content-type") == contract.JSON_MEDIA_TYPE
        and nonce is not None
        and len(nonce[1]) > 16
    )


@dataclass
class Running:
    """A server at work, and the requests that it has seen."""

    url: str
    host: str
    port: int
    listener: socket.socket
    requests: list[Received] = field(default_factory=list)

    @property
    def address(self) -> str:
        """The address as reports name it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def pings(self) -> list[Received]:
        return [one for one in self.requests if is_ping(one)]

    def close(self) -> None:
        """Refuse connections from now on."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def _received(connection: socket.socket) -> Received | None:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65_536)
        if not piece:
            return None
        data += piece
        if data[0] == 0x16:
            # A TLS hello on a plain port: servers respond to it in plain text.
            connection.sendall(http(400))
            return None
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    length = int(headers.get("content-length", 0))
    while len(body) < length < 1_000_000:
        piece = connection.recv(65_536)
        if not piece:
            break
        body += piece
    return Received(method, path, headers, body)


@contextmanager
def serving(
    respond: Respond,
    tls: ssl.SSLContext | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
) -> Iterator[Running]:
    """Serve each connection one request: `respond` returns the response, or writes it itself."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family, backlog=128) as listener:
        number = listener.getsockname()[1]
        scheme = "https" if tls else "http"
        running = Running(scheme, host, number, listener)
        running.url = f"{scheme}://{running.address}"

        def handle(connection: socket.socket) -> None:
            with contextlib.suppress(OSError), connection:
                connection.settimeout(15)
                if tls:
                    connection = tls.wrap_socket(connection, server_side=True)
                request = _received(connection)
                if request is None:
                    return
                running.requests.append(request)
                data = respond(request, connection)
                if data is not None:
                    connection.sendall(data)
                connection.close()

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=handle, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield running
        finally:
            running.close()
            thread.join(5)


@contextmanager
def serving_at(
    responds: Mapping[str, Respond], tls: ssl.SSLContext | None = None
) -> Iterator[dict[str, Running]]:
    """Serve on several hosts at one port; yield the servers by host."""
    for _ in range(50):
        port = free_port()
        with ExitStack() as stack:
            try:
                servers = {
                    host: stack.enter_context(serving(respond, tls, host=host, port=port))
                    for host, respond in responds.items()
                }
            except OSError:
                continue
            yield servers
            return
    raise AssertionError("no port is free on all of these hosts")


@contextmanager
def swallowing(host: str, port: int) -> Iterator[None]:
    """Let no connection to this port come about: its queue is full, so that SYNs are dropped."""
    with (
        socket.create_server((host, port), backlog=0),
        socket.create_connection((host, port)),
    ):
        yield


def http(status: int, body: bytes = b"", **headers: str) -> bytes:
    """Return a complete HTTP response; a header's underscores stand for hyphens."""
    fields = {"Content-Length": str(len(body)), "Connection": "close"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def constant(status: int, body: bytes = b"", **headers: str) -> Respond:
    """Return a server of the same response to everything."""
    return lambda _request, _connection: http(status, body, **headers)


def silent(_request: Received, connection: socket.socket) -> None:
    """Say nothing until the client has gone."""
    connection.recv(1)


def resets(_request: Received, connection: socket.socket) -> None:
    """Close the connection with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")


@dataclass(frozen=True)
class Instance:
    """One worker of one instance, which responds as PetSage does; each field makes it differ."""

    release: str | None = "v43"
    commit: str | None = "unknown"
    instance: str | None = "web.1"
    worker: str = "w1"
    hidden: bool = False
    ignores_expect: bool = False
    clock_ahead: float = 0.0

    def named(self, **changes: Any) -> Instance:
        return replace(self, **changes)

    def headers(self, request: Received) -> dict[str, str]:
        named = {
            "PetSage_Worker": self.worker,
            "X_Request_ID": request.request_id,
            "Cache_Control": "no-store",
        }
        if not self.hidden:
            named |= {
                "PetSage_Release": self.release or "unknown",
                "PetSage_Commit": self.commit or "unknown",
                "PetSage_Instance": self.instance or "host",
            }
        return named

    def problem(self, request: Received, code: str) -> bytes:
        kind = contract.PROBLEMS[code]
        body = {
            "type": contract.PROBLEM_TYPE_PREFIX + code,
            "title": kind.title,
            "status": kind.status,
            "detail": kind.detail,
            "code": code,
            "request_id": request.request_id,
        }
        extra = {"Retry_After": "1"} if kind.status == 412 else {}
        return http(
            kind.status,
            json.dumps(body).encode(),
            **self.headers(request),
            Content_Type=contract.PROBLEM_MEDIA_TYPE,
            **extra,
        )

    def broken(self, request: Received, _connection: socket.socket | None = None) -> bytes:
        """Respond with the service's own 500."""
        return self.problem(request, "internal-error")

    def pong(self, request: Received, ping: str) -> bytes:
        now = datetime.now(UTC) + timedelta(seconds=self.clock_ahead)
        body = {
            "status": "ok",
            "message": contract.SMOKE_TEST_MESSAGE,
            "pong": ping,
            "timestamp": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
        return self.ok(request, body)

    def ok(self, request: Received, body: Any) -> bytes:
        return http(
            200,
            json.dumps(body).encode(),
            **self.headers(request),
            Content_Type=contract.JSON_MEDIA_TYPE,
        )

    def __call__(self, request: Received, _connection: socket.socket | None = None) -> bytes:
        code = self._rejection(request)
        if code:
            return self.problem(request, code)
        return self.pong(request, json.loads(request.body)["ping"])

    def _rejection(self, request: Received) -> str | None:
        if not request.path.endswith(contract.SMOKE_TEST_PATH):
            return "not-found"
        if request.method != "POST":
            return "method-not-allowed"
        heeded = None if self.ignores_expect else request.expects
        if heeded is not None and not contract.release_matches(heeded, self.release, self.commit):
            return "release-mismatch"
        if int(request.headers.get("content-length", 0)) > contract.DEFAULT_MAX_BODY_BYTES:
            return "body-too-large"
        if request.headers.get("content-type") != contract.JSON_MEDIA_TYPE:
            return "unsupported-media-type"
        try:
            pairs = json.loads(request.body.decode(), object_pairs_hook=list)
        except UnicodeDecodeError:
            return "invalid-unicode"
        except ValueError:
            return "malformed-json"
        if len(dict(pairs)) != len(pairs):
            return "duplicate-key"
        if [name for name, _ in pairs] != ["ping"] or not isinstance(pairs[0][1], str):
            return "validation-error"
        return None


class Fleet:
    """A load balancer over instances: `pick`, given the number of the ping, says who responds.

    `counts` says which requests have a number of their own; any other goes with the next ping.
    """

    def __init__(
        self, pick: Callable[[int], Respond], counts: Callable[[Received], bool] = is_ping
    ) -> None:
        self._pick = pick
        self._counts = counts
        self._count = 0
        self._lock = threading.Lock()

    def __call__(self, request: Received, connection: socket.socket) -> bytes | None:
        with self._lock:
            number = self._count
            self._count += self._counts(request)
        return self._pick(number)(request, connection)
