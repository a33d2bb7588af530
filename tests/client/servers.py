"""Servers on loopback that answer as a test wants: as PetSage would, or in whatever wrong way."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from petsage import contract


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


Respond = Callable[[Received, socket.socket], bytes | None]


@dataclass
class Running:
    """A server at work, and the requests that it has seen."""

    url: str
    port: int
    requests: list[Received] = field(default_factory=list)

    @property
    def pings(self) -> list[Received]:
        return [one for one in self.requests if is_ping(one)]


def is_ping(request: Received) -> bool:
    return b'"ping-' in request.body


def _received(connection: socket.socket) -> Received | None:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65_536)
        if not piece:
            return None
        data += piece
        if data[0] == 0x16:
            # A TLS hello on a plain port: servers answer it in plain text.
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
def serving(respond: Respond, tls: ssl.SSLContext | None = None) -> Iterator[Running]:
    """Serve each connection one request: `respond` returns the answer, or writes it itself."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        port = listener.getsockname()[1]
        running = Running(f"{'https' if tls else 'http'}://127.0.0.1:{port}", port)

        def answer(connection: socket.socket) -> None:
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
            while not stop.is_set():
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield running
        finally:
            stop.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def http(status: int, body: bytes = b"", **headers: str) -> bytes:
    """Return a whole HTTP answer; a header's underscores stand for hyphens."""
    fields = {"Content-Length": str(len(body)), "Connection": "close"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def silent(_request: Received, connection: socket.socket) -> None:
    """Say nothing until the client has gone."""
    connection.recv(1)


@dataclass(frozen=True)
class Instance:
    """One worker of one instance, which answers as PetSage does; each field makes it differ."""

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
        status, title = contract.PROBLEMS[code]
        body = {
            "type": contract.PROBLEM_TYPE_PREFIX + code,
            "title": title,
            "status": status,
            "detail": "It is so.",
            "code": code,
            "request_id": request.request_id,
        }
        extra = {"Retry_After": "1"} if status == 412 else {}
        return http(
            status,
            json.dumps(body).encode(),
            **self.headers(request),
            Content_Type=contract.PROBLEM_MEDIA_TYPE,
            **extra,
        )

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

    def bears(self, expected: str) -> bool:
        commit = (self.commit or "").lower()
        return expected == self.release or (
            len(expected) >= 7 and commit.startswith(expected.lower())
        )

    def __call__(self, request: Received, _connection: socket.socket | None = None) -> bytes:
        code = self._refusal(request)
        if code:
            return self.problem(request, code)
        return self.pong(request, json.loads(request.body)["ping"])

    def _refusal(self, request: Received) -> str | None:
        if not request.path.endswith(contract.SMOKE_TEST_PATH):
            return "not-found"
        if request.method != "POST":
            return "method-not-allowed"
        heeded = None if self.ignores_expect else request.expects
        if heeded is not None and not self.bears(heeded):
            return "release-mismatch"
        if int(request.headers.get("content-length", 0)) > 65_536:
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
    """A load balancer over instances: `pick`, given the number of the ping, says who answers."""

    def __init__(self, pick: Callable[[int], Respond]) -> None:
        self._pick = pick
        self._count = 0
        self._lock = threading.Lock()

    def __call__(self, request: Received, connection: socket.socket) -> bytes | None:
        with self._lock:
            number = self._count
            self._count += is_ping(request)
        return self._pick(number)(request, connection)
