"""TLS: whom the client trusts, what it shows, and what a peer that does not fit means."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from petsage.client.addresses import Addresses, address_from
from petsage.client.http_client import Exchange, HttpClient, Request, tls_context
from petsage.client.response import Response
from petsage.client.result import Failure, Outcome
from petsage.client.target import target_from
from tests.client.servers import Received, constant, serving

GET = Request("GET", "/")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_context(authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


@pytest.fixture
def cacert(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


def asked(url: str, context: ssl.SSLContext | None = None, timeout: float = 20.0) -> Exchange:
    return HttpClient(target_from(url), context=context).request(GET, timeout)


@contextlib.contextmanager
def saying(data: bytes) -> Iterator[str]:
    """Serve the same bytes to each hello, and hang up; yield an https URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(65_536)
                        connection.sendall(data)

        threading.Thread(target=serve, daemon=True).start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def test_an_own_authority_is_trusted_with_cacert(authority: trustme.CA, cacert: str) -> None:
    with serving(constant(200, b"hello"), tls=server_context(authority)) as server:
        exchange = asked(server.url, tls_context(cacert))
    assert isinstance(exchange.result, Response)


def test_the_name_and_the_host_are_the_urls_whatever_the_address(
    authority: trustme.CA, cacert: str
) -> None:
    names: list[str | None] = []
    context = server_context(authority, "app.example")
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    with serving(constant(200), tls=context) as server:
        fixed = [address_from("127.0.0.1", server.port)]
        client = HttpClient(
            target_from(f"https://app.example:{server.port}"),
            addresses=Addresses("app.example", server.port, fixed=fixed),
            context=tls_context(cacert),
        )
        exchange = client.request(GET, 20)
        host = server.requests[0].headers["host"]
    assert isinstance(exchange.result, Response)
    assert exchange.address == f"127.0.0.1:{server.port}"
    assert (names, host) == (["app.example"], f"app.example:{server.port}")


@pytest.mark.parametrize("name", ["127.0.0.1", "another.example"], ids=["authority", "name"])
def test_a_certificate_that_does_not_verify_is_permanent(
    name: str, authority: trustme.CA, cacert: str
) -> None:
    context = None if name == "127.0.0.1" else tls_context(cacert)
    with serving(constant(200), tls=server_context(authority, name)) as server:
        exchange = asked(server.url, context)
    assert (exchange.result.failure, exchange.result.outcome) == (Failure.TLS, Outcome.NOT_REACHED)
    assert exchange.result.permanent
    assert exchange.result.detail.startswith("the certificate does not verify: ")
    assert "--cacert" in exchange.result.remedy


@pytest.mark.parametrize("data", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-x\r\n"])
def test_a_peer_that_speaks_no_tls_is_named(data: bytes) -> None:
    with saying(data) as url:
        exchange = asked(url)
    assert (exchange.result.failure, exchange.result.outcome) == (Failure.TLS, Outcome.NOT_REACHED)
    assert "does not speak TLS" in exchange.result.detail
    assert "http://" in exchange.result.remedy


@pytest.mark.parametrize(
    ("data", "failure"),
    [
        (b"", Failure.RESET),
        (b"\x15\x03\x03\x00\x02\x02\x28", Failure.TLS),
    ],
    ids=["hangs up", "an alert"],
)
def test_a_handshake_that_breaks_off_is_down(data: bytes, failure: Failure) -> None:
    with saying(data) as url:
        exchange = asked(url)
    assert (exchange.result.failure, exchange.result.outcome) == (failure, Outcome.DOWN)


def test_a_hello_without_a_response_ends_by_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        exchange = asked(f"https://127.0.0.1:{listener.getsockname()[1]}", timeout=0.1)
    assert (exchange.result.failure, exchange.result.outcome) == (Failure.TIMEOUT, Outcome.DOWN)
    assert exchange.result.detail.endswith("in the TLS handshake")


def test_tls_that_breaks_after_the_handshake_is_a_failure_of_tls(
    authority: trustme.CA, cacert: str
) -> None:
    def garble(_request: Received, connection: socket.socket) -> None:
        with socket.socket(fileno=os.dup(connection.fileno())) as below:
            below.sendall(b"\x17\x03\x03\x00\x20" + b"z" * 32)

    with serving(garble, tls=server_context(authority)) as server:
        exchange = asked(server.url, tls_context(cacert))
    assert (exchange.result.failure, exchange.result.outcome) == (Failure.TLS, Outcome.DOWN)


# An alert that says "unexpected message" has a line feed in it, "handshake failure" has none.
@pytest.mark.parametrize("reason", [b"\x0a", b"\x28"], ids=["unexpected", "handshake"])
def test_plain_http_to_a_server_of_tls_is_named(reason: bytes) -> None:
    with serving(lambda *_: b"\x15\x03\x01\x00\x02\x02" + reason) as server:
        exchange = asked(server.url)
    assert (exchange.result.failure, exchange.result.outcome) == (Failure.TLS, Outcome.NOT_REACHED)
    assert "https://" in exchange.result.remedy


def test_bytes_like_an_alert_within_tls_are_no_alert(authority: trustme.CA, cacert: str) -> None:
    with serving(
        lambda *_: b"\x15\x03\x01\x00\x02\x02\x28", tls=server_context(authority)
    ) as server:
        exchange = asked(server.url, tls_context(cacert))
    assert (exchange.result.failure, exchange.result.remedy) == (Failure.NOT_THE_SERVICE, "")


@pytest.fixture
def client_files(authority: trustme.CA, tmp_path: Path) -> dict[str, str]:
    """Return the paths of a client certificate, its key, both in one and an encrypted key."""
    issued = authority.issue_cert("deploy@pets.example")
    paths = {name: tmp_path / f"{name}.pem" for name in ("cert", "key", "both", "locked")}
    issued.cert_chain_pems[0].write_to_path(paths["cert"])
    issued.private_key_pem.write_to_path(paths["key"])
    issued.private_key_and_cert_chain_pem.write_to_path(paths["both"])
    key = load_pem_private_key(issued.private_key_pem.bytes(), None)
    paths["locked"].write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    )
    return {name: str(path) for name, path in paths.items()}


def test_a_client_certificate_is_shown(
    authority: trustme.CA, cacert: str, client_files: dict[str, str]
) -> None:
    context = server_context(authority)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    files = client_files
    with serving(constant(200), tls=context) as server:
        apart = asked(server.url, tls_context(cacert, files["cert"], files["key"]))
        together = asked(server.url, tls_context(cacert, files["both"]))
        without = asked(server.url, tls_context(cacert))
    assert isinstance(apart.result, Response)
    assert isinstance(together.result, Response)
    # A server that hangs up may reset the connection before its alert is read.
    assert without.result.failure in (Failure.TLS, Failure.RESET)
    if without.result.failure is Failure.TLS:
        assert without.result.outcome is Outcome.NOT_REACHED
        assert "--cert" in without.result.remedy


def test_files_of_no_use_are_errors_and_no_question_at_the_terminal(
    cacert: str, client_files: dict[str, str], tmp_path: Path
) -> None:
    empty = tmp_path / "empty.pem"
    empty.touch()
    files = client_files
    for arguments in (
        ("",),
        (str(tmp_path / "missing.pem"),),
        (str(empty),),
        (str(tmp_path),),
        (cacert, str(tmp_path / "missing.pem")),
        (cacert, files["cert"]),
        (cacert, files["cert"], cacert),
        (cacert, files["cert"], files["locked"]),
    ):
        with pytest.raises(OSError, match=r"."):
            tls_context(*arguments)
