"""TLS: whom the client trusts, and what a peer that does not fit is."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.client.fleets import NEW, login, switching
from tests.client.runs import rollout, smoke_test
from tests.client.servers import Running, constant, serving

pytestmark = pytest.mark.contract

FAST = ("--consecutive", 2, "--no-bad-requests")


def context_for(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


@pytest.fixture(scope="module")
def secure(authority: trustme.CA) -> Iterator[Running]:
    with serving(NEW, tls=context_for(authority, "127.0.0.1")) as server:
        yield server


def test_an_authority_of_ones_own_is_trusted_with_cacert(
    authority: trustme.CA, secure: Running, cacert: Path
) -> None:
    assert smoke_test(secure.url, "--cacert", cacert).code == 0
    with serving(switching(5), tls=context_for(authority, "127.0.0.1")) as server:
        assert rollout(server.url, "--cacert", cacert).code == 0


def test_a_certificate_that_does_not_verify_ends_it_at_once(
    authority: trustme.CA, secure: Running, cacert: Path
) -> None:
    unknown = smoke_test(secure.url, "--wait", 600)
    with serving(NEW, tls=context_for(authority, "another.example")) as server:
        other = smoke_test(server.url, "--wait", 600, "--cacert", cacert)
    for done in (unknown, other):
        assert (done.code, done.report["pings"]["sent"]) == (9, 1)
        assert list(done.report["pings"]["failed"]) == ["tls"]
        assert "--cacert" in done.sentences


def test_a_certificate_that_does_not_verify_is_waited_out_by_a_rollout(secure: Running) -> None:
    done = rollout(secure.url, "--deadline", 0.7, "--rate", 10)
    assert (done.code, list(done.report["pings"]["failed"])) == (9, ["tls"])
    assert done.report["pings"]["sent"] > 1


def test_a_client_certificate_is_shown_where_it_is_given(
    authority: trustme.CA, cacert: Path, tmp_path: Path
) -> None:
    issued = authority.issue_cert("deploy@pets.example")
    cert, key, both = tmp_path / "cert.pem", tmp_path / "key.pem", tmp_path / "both.pem"
    issued.cert_chain_pems[0].write_to_path(cert)
    issued.private_key_pem.write_to_path(key)
    issued.private_key_and_cert_chain_pem.write_to_path(both)
    context = context_for(authority, "127.0.0.1")
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    with serving(NEW, tls=context) as server:
        asked = (server.url, "--cacert", cacert, *FAST)
        shown = smoke_test(*asked, "--cert", cert, "--key", key)
        together = smoke_test(*asked, "--cert", both)
        lacking = smoke_test(*asked, "--wait", 0.5)
        crossed = smoke_test(*asked, "--cert", cert, "--key", cacert)
    assert (shown.code, together.code, crossed.code) == (0, 0, 2)
    assert lacking.code in (3, 9)


def test_https_to_a_server_that_speaks_no_tls_is_not_reached(service: Running) -> None:
    done = smoke_test(service.url.replace("http:", "https:"), "--wait", 0.5)
    assert (done.code, list(done.report["pings"]["failed"])) == (9, ["tls"])
    assert "http://" in done.report["what_next"] + done.sentences


def test_http_to_a_server_that_speaks_tls_names_the_other_url() -> None:
    nginx = b"<center>The plain HTTP request was sent to HTTPS port</center>"
    for respond in (
        lambda *_: b"\x15\x03\x01\x00\x02\x02\x28",
        constant(400, nginx, Content_Type="text/html"),
    ):
        with serving(respond) as server:
            done = smoke_test(server.url, "--wait", 0.5)
        assert done.code == 9
        assert "https://" in done.sentences


@contextlib.contextmanager
def hanging_up() -> Iterator[str]:
    """Break off each TLS handshake; yield an https URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    connection.recv(65_536)
                    connection.close()

        threading.Thread(target=hang_up, daemon=True).start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def test_a_handshake_that_breaks_off_is_down() -> None:
    with hanging_up() as url:
        assert smoke_test(url, "--wait", 0.5).code == 3


def test_a_login_behind_tls_is_asked_once(authority: trustme.CA, cacert: Path) -> None:
    with serving(login, tls=context_for(authority, "127.0.0.1")) as server:
        done = smoke_test(server.url, "--cacert", cacert, "--wait", 600)
        assert (done.code, len(server.requests)) == (9, 1)
