"""One request: what goes out, how it fails, and that it ends by its deadline."""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from petsage import __version__
from petsage.client import http_client
from petsage.client.addresses import Address, Addresses, address_from
from petsage.client.http_client import Exchange, HttpClient, Request
from petsage.client.response import Response
from petsage.client.result import Failure, Outcome
from petsage.client.target import target_from
from tests.client.servers import http, resets, serving, serving_at, silent, swallowing
from tests.running import free_port

GET = Request("GET", "/")


def asked(url: str, request: Request = GET, timeout: float = 20.0, **more: Any) -> Exchange:
    return HttpClient(target_from(url), **more).request(request, timeout)


def test_a_response_with_its_address_and_times() -> None:
    with serving(lambda *_: http(200, b"hello")) as server:
        exchange = asked(server.url)
    assert isinstance(exchange.result, Response)
    assert (exchange.result.status, exchange.result.body) == (200, b"hello")
    assert exchange.address == server.address
    assert exchange.elapsed_s > 0
    assert abs(exchange.began_at - time.time()) < 60


def test_what_goes_out() -> None:
    request = Request("POST", "/x", (("X-A", "1"), ("Accept", "text/plain")), b"abc")
    given = (("accept", "*/*"), ("User-Agent", "me"), ("X-B", "é"), ("Host", "app.example"))
    with serving(lambda *_: http(200)) as server:
        plain = HttpClient(target_from(f"{server.url}/pets/"))
        plain.request(request, 20)
        HttpClient(target_from(server.url, given)).request(request, 20)
        plain.request(Request("POST", "", body=b"abc", announced=2), 20)
        plain.request(GET, 20)
        first, second, announced, get = server.requests
    assert (first.method, first.path, first.body) == ("POST", "/pets/x", b"abc")
    assert first.headers == {
        "host": f"127.0.0.1:{server.port}",
        "user-agent": f"petsage/{__version__}",
        "accept-encoding": "identity",
        "x-a": "1",
        "accept": "text/plain",
        "content-length": "3",
        "connection": "close",
    }
    changed = {"host": "app.example", "user-agent": "me", "accept": "*/*", "x-b": "é"}
    assert second.headers == first.headers | changed
    assert announced.headers["content-length"] == "2"
    assert "content-length" not in get.headers


def test_a_redirect_is_not_followed() -> None:
    with serving(lambda *_: http(302, Location="/elsewhere")) as server:
        exchange = asked(server.url)
        assert len(server.requests) == 1
    assert isinstance(exchange.result, Response)
    assert exchange.result.status == 302


@pytest.mark.parametrize(
    ("sent", "failure", "outcome"),
    [
        (b"", Failure.RESET, Outcome.DOWN),
        (b"HTTP/1.1 200 OK\r\nContent-Le", Failure.RESET, Outcome.DOWN),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", Failure.RESET, Outcome.DOWN),
        (b"SSH-2.0-OpenSSH_9.9\r\n", Failure.NOT_THE_SERVICE, Outcome.NOT_REACHED),
        (b"HTTP/2 200\r\n\r\n", Failure.NOT_THE_SERVICE, Outcome.NOT_REACHED),
    ],
    ids=["nothing", "half a head", "half a body", "SSH", "HTTP/2"],
)
def test_what_is_no_whole_response(sent: bytes, failure: Failure, outcome: Outcome) -> None:
    with serving(lambda *_: sent) as server:
        exchange = asked(server.url)
    assert (exchange.result.failure, exchange.result.outcome) == (failure, outcome)
    assert exchange.result.detail


def test_html_without_a_line_end_is_told_at_once() -> None:
    def respond(_request: Any, connection: socket.socket) -> None:
        connection.sendall(b"<html>")
        connection.recv(1)

    with serving(respond) as server:
        exchange = asked(server.url, timeout=300)
    assert (exchange.result.failure, exchange.result.outcome) == (
        Failure.NOT_THE_SERVICE,
        Outcome.NOT_REACHED,
    )


def test_a_reset() -> None:
    with serving(resets) as server:
        exchange = asked(server.url)
    assert (exchange.result.failure, exchange.result.outcome) == (Failure.RESET, Outcome.DOWN)


def test_nothing_that_listens() -> None:
    exchange = asked(f"http://127.0.0.1:{free_port()}")
    assert (exchange.result.failure, exchange.result.outcome) == (Failure.REFUSED, Outcome.DOWN)
    assert exchange.address is not None


def test_a_connection_that_never_comes_about_takes_its_share_of_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_client, "CONNECT_SECONDS", 0.05)
    port = free_port()
    with swallowing("127.0.0.1", port):
        exchange = asked(f"http://127.0.0.1:{port}", timeout=300)
    assert (exchange.result.failure, exchange.result.outcome) == (Failure.TIMEOUT, Outcome.DOWN)
    assert exchange.result.detail == "no connection within 0.05 s"


def trickling(_request: Any, connection: socket.socket) -> None:
    """Send a head that never ends."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X: y\r\n")
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("respond", "doing"),
    [
        (silent, "waiting for the response to begin"),
        (trickling, "the response to end"),
    ],
    ids=["silence", "a byte at a time"],
)
def test_the_deadline_holds_over_every_phase(respond: Callable[..., None], doing: str) -> None:
    with serving(respond) as server:
        exchange = asked(server.url, timeout=0.2)
    assert (exchange.result.failure, exchange.result.outcome) == (Failure.TIMEOUT, Outcome.DOWN)
    assert exchange.result.detail.startswith("no complete response within 0.2 s: ")
    assert exchange.result.detail.endswith(doing)
    assert exchange.elapsed_s < 10


def test_a_request_that_nobody_reads_ends_by_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        exchange = asked(url, Request("POST", "/", body=b"x" * 50_000_000), 0.3)
    assert exchange.result.failure is Failure.TIMEOUT
    assert exchange.result.detail.endswith("sending the request")


def test_a_name_that_does_not_resolve_in_time_is_not_reached() -> None:
    release = threading.Event()

    def hang(*_: Any, **__: Any) -> list[tuple[Any, ...]]:
        release.wait(20)
        return []

    addresses = Addresses("app.example", 80, resolve=hang)
    exchange = asked("http://app.example", timeout=0.05, addresses=addresses)
    release.set()
    assert (exchange.result.failure, exchange.result.outcome) == (Failure.DNS, Outcome.NOT_REACHED)
    assert exchange.address is None


def test_no_time_is_a_timeout() -> None:
    assert asked("http://127.0.0.1:9", timeout=0.0).result.failure is Failure.TIMEOUT


def resolving_to(*hosts: str) -> Callable[..., list[tuple[Any, ...]]]:
    def resolve(_host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        return [one for host in hosts for one in socket.getaddrinfo(host, port, type=1)]

    return resolve


def test_each_address_has_its_turn_and_the_host_stays_the_urls() -> None:
    respond = lambda *_: http(200)  # noqa: E731
    with serving_at({"127.0.0.1": respond, "127.0.0.2": respond}) as servers:
        port = servers["127.0.0.1"].port
        addresses = Addresses("app.example", port, resolve=resolving_to(*servers))
        client = HttpClient(target_from(f"http://app.example:{port}"), addresses=addresses)
        used = [client.request(GET, 20).address for _ in range(6)]
        assert {used.count(server.address) for server in servers.values()} == {3}
        assert set(client.addresses) == set(used)
        hosts = {one.headers["host"] for server in servers.values() for one in server.requests}
    assert hosts == {f"app.example:{port}"}


class Failing:
    """Lets connections to one host fail with this number; `tried` counts them."""

    def __init__(self, patch: pytest.MonkeyPatch, host: str, number: int) -> None:
        self.tried = 0
        connect = socket.socket.connect

        def fail(connection: socket.socket, address: Any) -> None:
            if address[0] == host and connection.type == socket.SOCK_STREAM:
                self.tried += 1
                raise OSError(number, "as the test wants")
            connect(connection, address)

        patch.setattr(socket.socket, "connect", fail)


def two_families(port: int) -> Addresses:
    """Return the addresses ::1 and 127.0.0.1, the former first."""
    return Addresses(
        "app.example",
        port,
        resolve=resolving_to("127.0.0.1", "::1"),
        shuffle=lambda _: None,
        routable=lambda _: True,
    )


def test_an_address_without_a_route_is_left_out_with_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failing = Failing(monkeypatch, "::1", errno.ENETUNREACH)
    with serving(lambda *_: http(200)) as server:
        client = HttpClient(target_from(server.url), addresses=two_families(server.port))
        exchanges = [client.request(GET, 20) for _ in range(3)]
    assert {one.address for one in exchanges} == {server.address}
    assert failing.tried == 1
    assert client.addresses == (server.address,)
    (warning,) = client.warnings
    assert warning.startswith(f"[::1]:{server.port} is left out: ")


@pytest.mark.parametrize(
    ("number", "outcome"),
    [
        (errno.EHOSTUNREACH, Outcome.DOWN),
        (errno.ECONNREFUSED, Outcome.DOWN),
        (errno.ENETUNREACH, Outcome.NOT_REACHED),
        (errno.EPERM, Outcome.NOT_REACHED),
        (errno.EMFILE, Outcome.NOT_REACHED),
    ],
    ids=lambda value: errno.errorcode.get(value, str(value)),
)
def test_whose_fault_a_connection_is(
    number: int, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    Failing(monkeypatch, "127.0.0.1", number)
    exchange = asked("http://127.0.0.1:9")
    assert (exchange.result.failure, exchange.result.outcome) == (Failure.REFUSED, outcome)
    assert exchange.result.detail == "no connection: as the test wants"


def test_a_host_that_is_unreachable_without_a_route_is_not_reached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Failing(monkeypatch, "127.0.0.1", errno.EHOSTUNREACH)
    monkeypatch.setattr(http_client, "has_route", lambda _: False)
    assert asked("http://127.0.0.1:9").result.outcome is Outcome.NOT_REACHED


def test_localhost_is_one_machine_that_may_listen_on_one_of_its_addresses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Failing(monkeypatch, "::1", errno.ECONNREFUSED)
    with serving(lambda *_: http(200)) as server:
        port = server.port
        local = HttpClient(target_from(f"http://localhost:{port}"), addresses=two_families(port))
        named = HttpClient(target_from(f"http://app.example:{port}"), addresses=two_families(port))
        assert {local.request(GET, 20).address for _ in range(4)} == {server.address}
        assert (local.addresses, local.warnings) == ((server.address,), [])
        refused, served = (named.request(GET, 20).result for _ in range(2))
        assert refused.failure is Failure.REFUSED
        assert isinstance(served, Response)
        assert len(named.addresses) == 2


def test_the_warnings_of_the_url_are_among_the_clients() -> None:
    target = target_from("http://127.0.0.1/system/smoke-test")
    fixed: list[Address] = [address_from("127.0.0.1", 80)]
    client = HttpClient(target, addresses=Addresses("127.0.0.1", 80, fixed=fixed))
    assert client.warnings == list(target.warnings)
