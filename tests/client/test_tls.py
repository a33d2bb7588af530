"""TLS: whom the client trusts, and that what it does not trust is never waited out."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.client.runs import smoke_test
from tests.client.servers import Instance, Received, http, serving

PETSAGE = Instance()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def cacert(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


def test_a_certificate_that_nobody_trusts_is_3_at_once(server_tls: ssl.SSLContext) -> None:
    with serving(PETSAGE, tls=server_tls) as server:
        done = smoke_test(server.url, "--wait", 30)
    assert done.code == 3
    assert done.report["elapsed_s"] < 5
    assert set(done.report["pings"]["failed"]) == {"tls"}
    assert "does not verify" in done.report["problems"][0]


def test_a_certificate_of_another_name_is_3_at_once(authority: trustme.CA, cacert: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("another.example").configure_cert(context)
    with serving(PETSAGE, tls=context) as server:
        done = smoke_test(server.url, "--wait", 30, "--cacert", cacert)
    assert (done.code, done.report["elapsed_s"] < 5) == (3, True)


def test_an_own_authority_is_trusted_with_cacert(server_tls: ssl.SSLContext, cacert: Path) -> None:
    with serving(PETSAGE, tls=server_tls) as server:
        assert smoke_test(server.url, "--cacert", cacert).code == 0


def test_tls_that_breaks_after_the_handshake_is_a_failure_of_tls(
    server_tls: ssl.SSLContext, cacert: Path
) -> None:
    def garbling(_request: Received, connection: socket.socket) -> None:
        with socket.socket(fileno=os.dup(connection.fileno())) as below:
            below.sendall(b"\x17\x03\x03\x00\x20" + b"z" * 32)

    with serving(garbling, tls=server_tls) as server:
        done = smoke_test(server.url, "--wait", 0.7, "--cacert", cacert)
    assert done.code == 3
    assert set(done.report["pings"]["failed"]) == {"tls"}


def test_https_to_a_server_that_speaks_plain_http_is_3() -> None:
    with serving(PETSAGE) as server:
        url = server.url.replace("http:", "https:")
        done = smoke_test(url, "--wait", 1)
    assert done.code == 3
    assert set(done.report["pings"]["failed"]) == {"tls"}
    # Which of the two is for OpenSSL to say: its versions differ.
    said = r"(does|may) not speak TLS; where it is plain HTTP, try http://\."
    assert re.search(said, done.report["problems"][0])


@contextlib.contextmanager
def answering(said: bytes) -> Iterator[str]:
    """Serve the same bytes to whoever says anything, and hang up; yield an https URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    connection.recv(65_536)
                    connection.sendall(said)
                    connection.close()

        threading.Thread(target=answer, daemon=True).start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def test_a_record_that_is_too_long_need_not_come_from_a_server_of_plain_http() -> None:
    with answering(b"\x16\x03\x03\xff\xff" + b"x" * 100) as url:
        done = smoke_test(url, "--wait", 1)
    assert (done.code, list(done.report["pings"]["failed"])) == (3, ["tls"])
    assert "what answers there may not speak TLS" in done.report["problems"][0]


def test_https_to_a_server_that_hangs_up_on_it_hints_at_http() -> None:
    with answering(b"") as url:
        done = smoke_test(url, "--wait", 1)
    assert (done.code, list(done.report["pings"]["failed"])) == (3, ["reset"])
    assert "Where that port speaks plain HTTP, try http://." in done.report["problems"][0]


def test_http_to_a_server_that_speaks_tls_and_hangs_up_is_3(server_tls: ssl.SSLContext) -> None:
    with serving(PETSAGE, tls=server_tls) as server:
        done = smoke_test(server.url.replace("https:", "http:"), "--wait", 1)
    assert done.code == 3
    assert "Where that port speaks TLS, try https://." in done.report["problems"][0]


# An alert that says "unexpected message" holds a line feed, and one "handshake failure" none.
@pytest.mark.parametrize("told", [b"\x0a", b"\x28"], ids=["unexpected", "handshake"])
def test_http_to_a_server_that_answers_with_a_tls_alert_is_3(told: bytes) -> None:
    with serving(lambda *_: b"\x15\x03\x01\x00\x02\x02" + told) as server:
        done = smoke_test(server.url, "--wait", 1)
    assert (done.code, list(done.report["pings"]["failed"])) == (3, ["tls"])
    assert "the server speaks TLS there; try https://" in done.report["problems"][0]


REFUSALS_OF_PLAIN_HTTP = {
    "nginx": b"<center>The plain HTTP request was sent to HTTPS port</center>",
    "Go": b"Client sent an HTTP request to an HTTPS server.\n",
    "Apache": b"Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />",
}


@pytest.mark.parametrize("body", REFUSALS_OF_PLAIN_HTTP.values(), ids=REFUSALS_OF_PLAIN_HTTP.keys())
def test_http_to_a_server_that_says_it_wants_tls_is_1_with_the_hint(body: bytes) -> None:
    with serving(lambda *_: http(400, body, Content_Type="text/html")) as server:
        done = smoke_test(server.url, "--wait", 1)
    assert (done.code, list(done.report["pings"]["failed"])) == (1, ["not PetSage"])
    assert "the server speaks TLS there: try https://" in done.report["problems"][0]


def test_https_to_a_proxy_that_speaks_plain_http_to_tls_is_not_sent_to_https(
    server_tls: ssl.SSLContext, cacert: Path
) -> None:
    body = REFUSALS_OF_PLAIN_HTTP["nginx"]
    with serving(lambda *_: http(400, body, Content_Type="text/html"), tls=server_tls) as server:
        (told,) = smoke_test(server.url, "--wait", 1, "--cacert", cacert).report["problems"]
    assert "try https://" not in told
    assert "a proxy behind that TLS speaks plain HTTP to a port of TLS" in told


def test_bytes_like_an_alert_within_tls_are_no_alert(
    server_tls: ssl.SSLContext, cacert: Path
) -> None:
    with serving(lambda *_: b"\x15\x03\x01\x00\x02\x02\x28", tls=server_tls) as server:
        done = smoke_test(server.url, "--wait", 1, "--cacert", cacert)
    assert "tls" not in done.report["pings"]["failed"]
    assert "try https://" not in done.report["problems"][0]
