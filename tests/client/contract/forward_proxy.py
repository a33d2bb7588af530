"""A real forward proxy on loopback: CONNECT and requests in absolute form, by names of its own."""

from __future__ import annotations

import base64
import contextlib
import select
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class ForwardProxy:
    """A proxy at work: its URL, and the first line of each request that it got."""

    port: int
    resolves: Mapping[str, tuple[str, int]]
    credentials: str | None = None
    lines: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def handle(self, client: socket.socket) -> None:
        head, rest = _head(client)
        if not head:
            return
        first, *lines = head.split("\r\n")
        self.lines.append(first)
        fields = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
        if not self._lets_in(lines):
            client.sendall(
                b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n"
                b'Proxy-Authenticate: Basic realm="pets"\r\nConnection: close\r\n\r\n'
            )
            return
        method, target, version = first.split(" ")
        tunnel = method == "CONNECT"
        asked = urlsplit(f"//{target}" if tunnel else target)
        place = self.resolves.get(f"{asked.hostname}")
        if place is None:
            client.sendall(b"HTTP/1.1 502 No such host\r\nContent-Length: 0\r\n\r\n")
            return
        with socket.create_connection(place) as server:
            if tunnel:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                server.sendall(rest)
            else:
                assert fields["host"] == asked.netloc.lower()
                kept = [line for line in lines if not line.lower().startswith("proxy-")]
                origin = "\r\n".join([f"{method} {asked.path} {version}", *kept, "", ""])
                server.sendall(origin.encode("latin-1") + rest)
            _splice(client, server)

    def _lets_in(self, lines: list[str]) -> bool:
        if self.credentials is None:
            return True
        basic = base64.b64encode(self.credentials.encode()).decode()
        return any(line.lower().startswith("proxy-auth") and basic in line for line in lines)


def _head(client: socket.socket) -> tuple[str, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = client.recv(65_536)
        if not piece:
            return "", b""
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    return head.decode("latin-1"), rest


def _splice(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until one side closes."""
    to = {one: other, other: one}
    while True:
        for ready in select.select(list(to), [], [])[0]:
            piece = ready.recv(65_536)
            if not piece:
                return
            to[ready].sendall(piece)


@contextmanager
def forward_proxy(
    resolves: Mapping[str, tuple[str, int]], credentials: str | None = None
) -> Iterator[ForwardProxy]:
    """Run a proxy that knows these names, and lets in whoever has these credentials."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        proxy = ForwardProxy(listener.getsockname()[1], resolves, credentials)

        def serve(client: socket.socket) -> None:
            with contextlib.suppress(OSError), client:
                proxy.handle(client)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    threading.Thread(target=serve, args=(client,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)
