"""Services as a deploy may meet them, and what may stand in front of one."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable

from tests.client.servers import (
    Fleet,
    Instance,
    Received,
    Respond,
    Running,
    http,
    is_ping,
    resets,
    silent,
)

__all__ = ["resets"]

NEW = Instance()
OLD = Instance(release="v42", worker="w0")
HIDDEN = NEW.named(hidden=True)
HIDDEN_OLD = OLD.named(hidden=True)

hangs = silent


def switching(at: int, between: Respond | None = None) -> Fleet:
    """Return a fleet that goes over to v43 at ping `at`, where `between` responds once."""
    return Fleet(
        lambda number: OLD if number < at else between if number == at and between else NEW
    )


def then(at: int, before: Respond, after: Respond) -> Fleet:
    """Return a fleet in which `after` responds from ping `at` on."""
    return Fleet(lambda number: before if number < at else after)


def alternating(*members: Respond) -> Fleet:
    """Return a fleet whose members respond in turn."""
    return Fleet(lambda number: members[number % len(members)])


class Crashing:
    """A service that responds to so many pings and then refuses connections: set `server`."""

    def __init__(self, at: int, respond: Respond) -> None:
        self.server: Running | None = None
        self._fleet = then(at, respond, self._crash)

    def _crash(self, request: Received, connection: socket.socket) -> None:
        if self.server:
            self.server.close()
        resets(request, connection)

    def __call__(self, request: Received, connection: socket.socket) -> bytes | None:
        return self._fleet(request, connection)


def page(_request: Received, _connection: socket.socket) -> bytes:
    """Respond as a parked domain does."""
    return http(404, b"<h1>parked</h1>", Content_Type="text/html")


def login(_request: Received, _connection: socket.socket) -> bytes:
    """Respond as something that wants credentials."""
    return http(401, b"who are you?", Content_Type="text/plain", WWW_Authenticate="Bearer")


def status_of(response: bytes) -> int:
    return int(response.split(b" ", 2)[1])


def behind(respond: Respond, change: Callable[[Received, bytes], bytes]) -> Respond:
    """Return a service behind something that changes its responses."""

    def changed(request: Received, connection: socket.socket) -> bytes | None:
        response = respond(request, connection)
        return None if response is None else change(request, response)

    return changed


def without_header(respond: Respond, pattern: bytes) -> Respond:
    """Return a service behind a proxy that removes the headers whose names fit."""
    line = re.compile(rb"\r\n(?:" + pattern + rb"): [^\r]*", re.IGNORECASE)

    def remove(_request: Received, response: bytes) -> bytes:
        head, end, body = response.partition(b"\r\n\r\n")
        return line.sub(b"", head) + end + body

    return behind(respond, remove)


def stripped(respond: Respond) -> Respond:
    """Return a service behind a proxy that removes every `PetSage-*` header."""
    return without_header(respond, rb"petsage-[a-z]+")


def own_ids(respond: Respond) -> Respond:
    """Return a service behind a proxy that gives each request an id of its own, as Envoy does."""
    return lambda request, connection: respond(
        request.with_header("x-request-id", f"envoy-{request.request_id[-12:]}"), connection
    )


def firewalled(respond: Respond, block: Respond) -> Respond:
    """Return a service behind a firewall that lets well-formed pings through and nothing else."""
    return lambda request, connection: (respond if is_ping(request) else block)(request, connection)
