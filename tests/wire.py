"""Requests as a client without PetSage sends them, and responses as it receives them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPMessage, HTTPResponse
from typing import Any

from tests.running import PATIENCE_SECONDS, Service

JSON = {"Content-Type": "application/json"}
SMOKE_TEST = "/system/smoke-test"


@dataclass(frozen=True)
class Response:
    """A response, read to its end."""

    status: int
    headers: HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def problem(self) -> tuple[int, str]:
        """Return the status and the code of a problem; anything else fails the test."""
        assert self.headers["Content-Type"] == "application/problem+json", self
        assert self.json["status"] == self.status
        return self.status, self.json["code"]


class Connection:
    """A kept-alive connection to a service."""

    def __init__(self, service: Service) -> None:
        host = "127.0.0.1"
        self._connection = HTTPConnection(host, service.port, timeout=PATIENCE_SECONDS)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Response:
        self._connection.request(method, path, body, headers or {})
        response = self._connection.getresponse()
        return Response(response.status, response.headers, response.read())

    def ping(self, body: bytes, **headers: str) -> Response:
        """POST a body to the smoke test."""
        return self.ask("POST", SMOKE_TEST, body, JSON | headers)

    def close(self) -> None:
        self._connection.close()


@contextmanager
def connected(service: Service) -> Iterator[Connection]:
    """Open a kept-alive connection for the length of the block."""
    connection = Connection(service)
    try:
        yield connection
    finally:
        connection.close()


def ask(
    service: Service,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """Send one request on a connection of its own."""
    with connected(service) as connection:
        return connection.ask(method, path, body, headers)


def get(service: Service, path: str, headers: dict[str, str] | None = None) -> Response:
    return ask(service, "GET", path, headers=headers)


def send(service: Service, sent: bytes, *, then_end: bool = False) -> Response | None:
    """Send bytes as they are; return the response, or None where the connection just ends."""
    with service.connect() as raw:
        raw.sendall(sent)
        if then_end:
            raw.shutdown(1)
        response = HTTPResponse(raw)
        try:
            response.begin()
        except ConnectionError:
            return None
        return Response(response.status, response.headers, response.read())
