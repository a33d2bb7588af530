"""Raw bytes over a socket, and responses read off it."""

from __future__ import annotations

import http.client
import socket
from io import BufferedReader, BytesIO


class Response:
    """One response, read from a file to its end and no further."""

    def __init__(self, file: BufferedReader | BytesIO, method: str = "GET") -> None:
        line = file.readline()
        assert line.startswith(b"HTTP/1.1 "), line
        self.status = int(line.split()[1])
        self.headers = http.client.parse_headers(file)  # type: ignore[arg-type]
        without_body = method == "HEAD" or self.status in (100, 204, 304)
        length = 0 if without_body else int(self.headers["Content-Length"])
        self.body = file.read(length)
        assert len(self.body) == length, "the response is cut"


class Client:
    """A raw connection: sends any bytes, reads responses one by one."""

    def __init__(self, port: int, timeout: float = 60.0) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self.socket.makefile("rb")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._file.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def end(self) -> None:
        """Say that nothing more will come."""
        self.socket.shutdown(socket.SHUT_WR)

    def response(self, method: str = "GET") -> Response:
        return Response(self._file, method)

    def rest(self) -> bytes:
        """Read until the server closes."""
        return self._file.read()
