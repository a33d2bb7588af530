"""Forward proxies, as curl heeds them: the proxy resolves the name and chooses the address."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.client.contract.forward_proxy import ForwardProxy, forward_proxy
from tests.client.contract.names import Names
from tests.client.fleets import NEW, OLD, switching
from tests.client.runs import petsage, rollout, smoke_test
from tests.client.servers import Running, constant, serving
from tests.running import free_port

pytestmark = pytest.mark.contract

NAME = "app.pets.example"
FAST = ("--consecutive", 3, "--no-bad-requests")


@pytest.fixture(scope="module")
def secure(authority: trustme.CA) -> Iterator[Running]:
    """v43 behind TLS, with a certificate of a name that only the proxy resolves."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(NAME).configure_cert(context)
    with serving(NEW, tls=context) as server:
        yield server


@pytest.fixture
def proxy(service: Running, secure: Running) -> Iterator[ForwardProxy]:
    places = {
        NAME: (secure.host, secure.port),
        "plain.example": (service.host, service.port),
        "127.0.0.1": (service.host, service.port),
    }
    with forward_proxy(places) as running:
        yield running


def test_https_proxy_reaches_a_name_that_only_the_proxy_resolves(
    proxy: ForwardProxy, names: Names, cacert: Path
) -> None:
    variables = {"HTTPS_PROXY": proxy.url, **names.environment}
    done = smoke_test(
        *(f"https://{NAME}", "--expect-release", "v43", "--cacert", cacert),
        **variables,
    )
    assert done.code == 0
    assert proxy.url.removeprefix("http://") in done.report["proxy"]
    assert done.report["addresses"] == {}
    assert all(one["rejected"] for one in done.report["bad_requests"])
    assert set(proxy.lines) == {f"CONNECT {NAME}:443 HTTP/1.1"}


def test_http_proxy_is_asked_in_absolute_form(proxy: ForwardProxy, names: Names) -> None:
    done = smoke_test("http://plain.example", *FAST, **names.environment, http_proxy=proxy.url)
    assert done.code == 0
    assert set(proxy.lines) == {"POST http://plain.example/system/smoke-test HTTP/1.1"}


def test_a_rollout_goes_through_a_proxy_too(names: Names) -> None:
    with (
        serving(switching(10)) as server,
        forward_proxy({NAME: (server.host, server.port)}) as running,
    ):
        done = rollout(f"http://{NAME}", "--proxy", running.url, **names.environment)
    assert (done.code, set(done.report["releases"])) == (0, {"v42", "v43"})
    assert done.report["addresses"] == {}


def asked(proxy: ForwardProxy, *arguments: object, **variables: str) -> tuple[int, bool]:
    """Return the exit code of a run, and whether it went through the proxy."""
    before = len(proxy.lines)
    done = smoke_test(*map(str, arguments), *FAST, "--wait", 0.4, **variables)
    return done.code, len(proxy.lines) > before


def test_which_variable_is_heeded(proxy: ForwardProxy, service: Running) -> None:
    url, dead = service.url, f"http://127.0.0.1:{free_port()}"
    assert asked(proxy, url, http_proxy=proxy.url) == (0, True)
    # CGI scripts get a request's header `Proxy:` as HTTP_PROXY.
    assert asked(proxy, url, HTTP_PROXY=dead) == (0, False)
    assert asked(proxy, url, HTTPS_PROXY=dead) == (0, False)
    assert asked(proxy, url, ALL_PROXY=proxy.url) == (0, True)
    assert asked(proxy, url, http_proxy=proxy.url, ALL_PROXY=dead) == (0, True)
    assert asked(proxy, url, "--proxy", proxy.url, http_proxy=dead) == (0, True)
    assert asked(proxy, url, "--proxy", "", http_proxy=dead) == (0, False)
    # An address without a scheme is that of an http proxy.
    assert asked(proxy, url, "--proxy", f"127.0.0.1:{proxy.port}") == (0, True)


def test_no_proxy_names_who_is_asked_directly(
    proxy: ForwardProxy, service: Running, names: Names
) -> None:
    names.set(NAME, ["127.0.0.1"])
    ours = {"http_proxy": proxy.url, **names.environment}
    named = f"http://{NAME}:{service.port}"
    for listed, url, direct in (
        ("*", named, True),
        ("pets.example", named, True),
        ("other.example, .pets.example", named, True),
        ("ets.example", named, False),
        ("127.0.0.1", service.url, True),
        ("127.0.0.0/8", service.url, True),
        ("10.0.0.0/8,127.0.0.2", service.url, False),
    ):
        before = len(proxy.lines)
        done = smoke_test(url, *FAST, "--wait", 0.4, **ours, NO_PROXY=listed)
        assert (len(proxy.lines) == before) is direct, listed
        assert (done.report["proxy"] is None) is direct, listed


def test_credentials_are_sent_and_not_reported(service: Running, names: Names) -> None:
    with forward_proxy({NAME: (service.host, service.port)}, "pet:s3cret") as running:
        wanted = running.url.replace("//", "//pet:s3cret@")
        done = smoke_test(f"http://{NAME}", "--proxy", wanted, *FAST, **names.environment)
        lacking = smoke_test(f"http://{NAME}", "--proxy", running.url, **names.environment)
        tunnel = smoke_test(f"https://{NAME}", "--proxy", running.url, **names.environment)
        watched = rollout(
            *(f"http://{NAME}", "--proxy", running.url, "--deadline", 0.5), **names.environment
        )
    assert done.code == 0
    assert "s3cret" not in done.out + done.err
    for refused in (lacking, tunnel, watched):
        assert refused.code == 9
        assert "407" in refused.sentences
        assert f"127.0.0.1:{running.port}" in refused.sentences


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_gone_is_not_reached_and_named(scheme: str, names: Names) -> None:
    gone = f"127.0.0.1:{free_port()}"
    done = smoke_test(
        *(f"{scheme}://{NAME}", "--proxy", f"http://{gone}", "--wait", 0.4), **names.environment
    )
    assert (done.code, gone in done.sentences) == (9, True)


def test_a_proxy_that_is_gone_is_not_reached_by_a_rollout(names: Names) -> None:
    gone = f"http://127.0.0.1:{free_port()}"
    more = ("--proxy", gone, "--deadline", 3.7, "--rate", 10)
    assert rollout(f"http://{NAME}", *more, **names.environment).code == 9


@pytest.mark.parametrize("status", [200, 403])
def test_a_proxy_that_responds_itself_is_not_reached(status: int, names: Names) -> None:
    body = b"<h1>ask your administrator</h1>"
    with serving(constant(status, body, Content_Type="text/html")) as server:
        done = smoke_test(
            *(f"http://{NAME}", "--proxy", server.url, "--wait", 0.4), **names.environment
        )
    assert done.code == 9


def test_a_proxy_that_will_not_make_a_tunnel_is_not_reached(names: Names) -> None:
    with serving(constant(502)) as server:
        done = smoke_test(
            *(f"https://{NAME}", "--proxy", server.url, "--wait", 0.4), **names.environment
        )
    assert (done.code, server.address in done.sentences) == (9, True)


def test_proxies_that_it_can_not_use_are_usage_and_never_a_direct_connection(
    proxy: ForwardProxy,
) -> None:
    with serving(OLD) as server:
        for arguments, variables in (
            (("--proxy", "socks5://127.0.0.1:1080"), {}),
            (("--proxy", "https://127.0.0.1:3129"), {}),
            ((), {"http_proxy": "socks5h://127.0.0.1:1080"}),
            ((), {"ALL_PROXY": "socks5://127.0.0.1:1080"}),
            (("--proxy", proxy.url, "--address", "127.0.0.1"), {}),
            (("--address", "127.0.0.1"), {"http_proxy": proxy.url}),
        ):
            done = petsage("smoke-test", server.url, *arguments, **variables)
            assert (done.code, done.out) == (2, ""), arguments
        assert server.requests == []
    assert proxy.lines == []
