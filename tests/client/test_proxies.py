"""Forward proxies: which one is used, and what it means where one fails or responds itself."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import pytest
import trustme

from petsage.client.addresses import Addresses
from petsage.client.http_client import Exchange, HttpClient, Request, tls_context
from petsage.client.proxy import Proxy, proxy_for
from petsage.client.response import Response
from petsage.client.result import Failure, Outcome
from petsage.client.target import target_from
from tests.client.contract.forward_proxy import forward_proxy
from tests.client.servers import Respond, Running, constant, resets, serving, silent
from tests.running import free_port

GET = Request("GET", "/ping")
HTTP, HTTPS = "http://app.pets.example", "https://app.pets.example"


def chosen(url: str, environ: dict[str, str], option: str | None = None) -> str | None:
    proxy = proxy_for(target_from(url), environ, option)
    return None if proxy is None else str(proxy)


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        (HTTPS, {}, None),
        (HTTPS, {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        (HTTPS, {"https_proxy": "p:1", "HTTPS_PROXY": "q:1"}, "http://p:1"),
        (HTTPS, {"https_proxy": "", "HTTPS_PROXY": "q:1"}, "http://q:1"),
        (HTTPS, {"http_proxy": "p:1"}, None),
        (HTTP, {"http_proxy": "p:1"}, "http://p:1"),
        (HTTP, {"HTTP_PROXY": "p:1"}, None),
        (HTTP, {"HTTPS_PROXY": "p:1"}, None),
        (HTTP, {"ALL_PROXY": "p:1"}, "http://p:1"),
        (HTTPS, {"all_proxy": "p:1", "ALL_PROXY": "q:1"}, "http://p:1"),
        (HTTPS, {"HTTPS_PROXY": "p:1", "ALL_PROXY": "q:1"}, "http://p:1"),
        (HTTPS, {"HTTPS_PROXY": "http://p"}, "http://p:1080"),
        (HTTPS, {"HTTPS_PROXY": "http://[::1]:3128/"}, "http://[::1]:3128"),
    ],
)
def test_which_variable_is_heeded(url: str, environ: dict[str, str], proxy: str | None) -> None:
    assert chosen(url, environ) == proxy


def test_the_option_overrides_the_environment_and_an_empty_one_switches_it_off() -> None:
    environ = {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}
    assert chosen(HTTPS, environ, "http://q:2") == "http://q:2"
    assert chosen(HTTPS, environ, "") is None
    assert chosen(HTTPS, {"HTTPS_PROXY": "socks5://p"}, "") is None


@pytest.mark.parametrize(
    ("excluded", "host", "direct"),
    [
        ("*", "app.pets.example", True),
        ("app.pets.example", "app.pets.example", True),
        ("pets.example", "app.pets.example", True),
        (".pets.example", "app.pets.example", True),
        ("other, PETS.example.", "app.pets.example", True),
        ("other pets.example", "app.pets.example", True),
        ("ets.example", "app.pets.example", False),
        ("app.pets.example.com", "app.pets.example", False),
        (" , ", "app.pets.example", False),
        (".", "app.pets.example", False),
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.0/24", "192.0.2.1", True),
        ("192.0.3.0/24", "192.0.2.1", False),
        ("2.1", "192.0.2.1", False),
        ("192.0.2.0/33, 192.0.2.1", "192.0.2.1", True),
        ("2001:db8::/32", "[2001:db8::1]", True),
        ("[2001:db8::1]", "[2001:db8::1]", True),
        ("192.0.2.0/24", "[2001:db8::1]", False),
    ],
)
def test_no_proxy_has_names_addresses_and_networks(excluded: str, host: str, direct: bool) -> None:
    environ = {"http_proxy": "p:1", "NO_PROXY": excluded}
    assert (chosen(f"http://{host}", environ) is None) is direct
    assert (chosen(f"http://{host}:81", environ | {"no_proxy": "none"}) is None) is False


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("socks5://me:secret@p:1", "only http:// is possible"),
        ("socks5h://p:1", "only http:// is possible"),
        ("https://p:1", "only http:// is possible"),
        ("http://", "is no URL of a proxy"),
        ("http://p:0", "is no URL of a proxy"),
        ("http://me:secret@p:x", "is no URL of a proxy"),
        ("http://[::1", "is no URL of a proxy"),
        ("http://p q:1", "is no URL of a proxy"),
    ],
)
def test_a_proxy_of_no_use_is_an_error_and_never_a_direct_connection(value: str, why: str) -> None:
    for environ, option, source in (
        ({}, value, "--proxy"),
        ({"HTTPS_PROXY": value}, None, "HTTPS_PROXY"),
    ):
        with pytest.raises(ValueError, match=why) as caught:
            chosen(HTTPS, environ, option)
        assert str(caught.value).startswith(source)
        assert "secret" not in str(caught.value)


def test_credentials_are_decoded_and_never_shown() -> None:
    proxy = proxy_for(target_from(HTTPS), {}, "http://me:s%C3%A4cret%40@p:1")
    assert proxy is not None
    # "me:säcret@" in UTF-8.
    assert proxy.authorization == "Basic bWU6c8OkY3JldEA="
    assert "bWU6" not in repr(proxy) + str(proxy)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def secure(authority: trustme.CA) -> Iterator[Running]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("app.pets.example").configure_cert(context)
    with serving(constant(200, b"secure"), tls=context) as server:
        yield server


def through(proxy: str, url: str, authority: trustme.CA | None = None) -> Exchange:
    target = target_from(url)
    context = tls_context() if target.tls else None
    if context and authority:
        authority.configure_trust(context)
    client = HttpClient(target, proxy=proxy_for(target, {}, proxy), context=context)
    assert client.addresses == ()
    return client.request(GET, 20)


def test_https_goes_through_a_tunnel_to_a_name_that_the_proxy_resolves(
    secure: Running, authority: trustme.CA
) -> None:
    with forward_proxy({"app.pets.example": (secure.host, secure.port)}) as proxy:
        exchange = through(proxy.url, HTTPS, authority)
    assert proxy.lines == ["CONNECT app.pets.example:443 HTTP/1.1"]
    assert isinstance(exchange.result, Response)
    assert exchange.result.body == b"secure"
    assert exchange.address is None


def test_http_is_asked_for_in_absolute_form() -> None:
    with (
        serving(constant(200, b"plain")) as server,
        forward_proxy({"app.pets.example": (server.host, server.port)}, "me:secret") as proxy,
    ):
        url = proxy.url.replace("//", "//me:secret@")
        exchange = through(url, f"{HTTP}:8080/pets")
        assert "proxy-authorization" not in server.requests[0].headers
    assert proxy.lines == ["GET http://app.pets.example:8080/pets/ping HTTP/1.1"]
    assert isinstance(exchange.result, Response)


@pytest.mark.parametrize("url", [HTTP, HTTPS])
def test_a_proxy_that_wants_credentials_is_not_reached_and_permanent(url: str) -> None:
    with forward_proxy({}, "me:secret") as proxy:
        exchange = through(proxy.url.replace("//", "//me:wrong@"), url)
    assert (exchange.result.failure, exchange.result.outcome) == (
        Failure.OTHER_STATUS,
        Outcome.NOT_REACHED,
    )
    assert exchange.result.permanent
    assert f"the proxy {proxy.url} responded itself: 407" in exchange.result.detail
    assert "--proxy" in exchange.result.remedy
    assert "wrong" not in exchange.result.detail + exchange.result.remedy


@pytest.mark.parametrize("url", [HTTP, HTTPS])
def test_a_proxy_that_is_gone_is_not_reached_and_named(url: str) -> None:
    gone = f"http://127.0.0.1:{free_port()}"
    exchange = through(gone, url)
    assert (exchange.result.failure, exchange.result.outcome) == (
        Failure.REFUSED,
        Outcome.NOT_REACHED,
    )
    assert exchange.result.detail.startswith(f"the proxy {gone} can't be reached: ")


@pytest.mark.parametrize(
    ("respond", "failure"),
    [
        (constant(502), Failure.OTHER_STATUS),
        (constant(302, Location="http://login.example"), Failure.OTHER_STATUS),
        (resets, Failure.RESET),
        (lambda *_: b"SSH-2.0\r\n", Failure.NOT_THE_SERVICE),
        (lambda *_: b"", Failure.RESET),
    ],
    ids=["502", "302", "reset", "no HTTP", "nothing"],
)
def test_a_proxy_that_makes_no_tunnel_is_not_reached_and_named(
    respond: Respond, failure: Failure
) -> None:
    with serving(respond) as server:
        exchange = through(server.url, HTTPS)
    assert (exchange.result.failure, exchange.result.outcome) == (failure, Outcome.NOT_REACHED)
    assert exchange.result.detail.startswith(f"the proxy {server.url} ")


def test_a_proxy_that_never_makes_the_tunnel_ends_by_the_deadline() -> None:
    with serving(silent) as server:
        target = target_from(HTTPS)
        client = HttpClient(target, proxy=proxy_for(target, {}, server.url))
        exchange = client.request(GET, 0.1)
    assert (exchange.result.failure, exchange.result.outcome) == (
        Failure.TIMEOUT,
        Outcome.NOT_REACHED,
    )
    assert "waiting for the proxy" in exchange.result.detail


def test_squids_own_page_is_the_proxys() -> None:
    with serving(constant(503, X_Squid_Error="ERR_DNS_FAIL 0")) as server:
        exchange = through(server.url, HTTP)
    assert (exchange.result.failure, exchange.result.outcome) == (
        Failure.OTHER_STATUS,
        Outcome.NOT_REACHED,
    )
    assert "responded itself: 503 ERR_DNS_FAIL 0" in exchange.result.detail


def test_the_proxys_name_is_the_one_that_is_looked_up() -> None:
    def resolve(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        assert (host, port) == ("proxy.example", 3128)
        raise OSError(1, "no such name")

    proxy = Proxy("proxy.example", 3128)
    addresses = Addresses(proxy.host, proxy.port, resolve=resolve)
    exchange = HttpClient(target_from(HTTP), addresses=addresses, proxy=proxy).request(GET, 20)
    assert (exchange.result.failure, exchange.result.outcome) == (Failure.DNS, Outcome.NOT_REACHED)
    assert "'proxy.example' does not resolve" in exchange.result.detail
