"""Services as a rollout may meet them, and the pieces they are made of."""

from __future__ import annotations

import socket

from tests.client.servers import Fleet, Instance, Received, Respond, http

NEW = Instance()


OLD = Instance(release="v42", worker="w0")


def switching(at: int, between: Respond | None = None) -> Fleet:
    """Return a fleet that goes over to v43 at ping `at`, where `between` answers once."""
    return Fleet(
        lambda number: OLD if number < at else between if number == at and between else NEW
    )


def resets(_request: Received, connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")


def hangs(_request: Received, connection: socket.socket) -> None:
    connection.recv(1)


def page(_request: Received, _connection: socket.socket) -> bytes:
    return http(404, b"<h1>parked</h1>", Content_Type="text/html")
