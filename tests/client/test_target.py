"""URLs, headers and releases as the user writes them."""

from __future__ import annotations

import pytest

from petsage.client.target import header_from, release_from, target_from


@pytest.mark.parametrize(
    ("url", "location", "path", "tls"),
    [
        ("https://app.example", "app.example", "", True),
        ("HTTPS://APP.example:443/", "app.example", "", True),
        ("http://app.example:8080/pets/", "app.example:8080", "/pets", False),
        ("http://app.example:443", "app.example:443", "", False),
        ("http://[2001:db8::1]", "[2001:db8::1]", "", False),
        ("https://[fe80::1%25eth0]:8443/pets", "[fe80::1]:8443", "/pets", True),
        ("http://bücher.example", "xn--bcher-kva.example", "", False),
    ],
)
def test_a_base_url_in_its_parts(url: str, location: str, path: str, tls: bool) -> None:
    target = target_from(url)
    assert (target.location, target.authority) == (location, location)
    assert (target.path, target.tls, target.warnings) == (path, tls, ())


@pytest.mark.parametrize(
    ("path", "base"),
    [
        ("/system/smoke-test", ""),
        ("/system/smoke-test/", ""),
        ("/api/v1/system/smoke-test", ""),
        ("/pets/api/v1/smoke-test", "/pets"),
        ("/smoke-test", ""),
        ("/pets/system/version", "/pets"),
        ("/docs", ""),
    ],
)
def test_the_path_of_a_route_is_taken_for_the_base_with_a_warning(path: str, base: str) -> None:
    target = target_from(f"https://app.example{path}")
    assert target.path == base
    (warning,) = target.warnings
    assert path.rstrip("/") in warning


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://app.example", "/"),
        ("https://app.example/health", "/health"),
        ("https://app.example/health/", "/health/"),
        ("https://app.example/?full=1&a=b", "/?full=1&a=b"),
        ("https://app.example/system/version", "/system/version"),
    ],
)
def test_an_exact_url_keeps_its_path_and_query(url: str, path: str) -> None:
    target = target_from(url, exact=True)
    assert (target.path, target.warnings) == (path, ())


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("app.example", "does not begin with http"),
        ("ftp://app.example", "does not begin with http"),
        ("https://", "names no host"),
        ("https://app.example:0", "names no host"),
        ("https://app.example:65536", "is no URL"),
        ("https://app.example:x", "is no URL"),
        ("https://[::1", "is no URL"),
        ("https://me:secret@app.example", "has credentials in it"),
        ("https://app.example/?a=b", "leave out the query"),
        ("https://app.example/#a", "leave out the query"),
        ("https://app.example?", "leave out the query"),
        ("https://app.example/a b", "percent-encode"),
        ("https://app.example/ä", "percent-encode"),
        ("https://app.exa\nmple", "characters that a URL may not have"),
        ("https://a_b!.example", "is no host name"),
        ("https://" + "a" * 64 + ".example", "is no host name"),
    ],
)
def test_what_is_no_url_is_told_why(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        target_from(url)
    assert "secret" not in str(caught.value)


def test_an_exact_url_has_no_spaces_in_its_query() -> None:
    with pytest.raises(ValueError, match="percent-encode"):
        target_from("https://app.example/?a=b c", exact=True)


def test_a_host_header_replaces_the_authority_alone() -> None:
    target = target_from("https://app.example", (("HOST", "other.example"), ("X-A", "1")))
    assert (target.host, target.location) == ("app.example", "app.example")
    assert (target.authority, target.headers) == ("other.example", (("X-A", "1"),))


def test_a_header_option() -> None:
    assert header_from("Authorization:  Bearer a:b ") == ("Authorization", "Bearer a:b")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Authorization", "is no header"),
        ("X A: b", "is no header"),
        (": b", "is no header"),
        ("X-A: b\r\nX-B: c", "characters that no header may have"),
        ("X-A: \N{SNOWMAN}", "characters that no header may have"),
        ("expect-release: v1", "use that"),
        ("Content-Type: text/plain", "petsage sets"),
        ("content-length: 3", "petsage sets"),
        ("Transfer-Encoding: chunked", "petsage sets"),
        ("Connection: keep-alive", "petsage sets"),
        ("X-Request-Id: a", "petsage sets"),
    ],
)
def test_what_is_no_header_to_send_is_an_error(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        header_from(text)


def test_a_release_to_expect() -> None:
    assert release_from("v43") == "v43"
    assert release_from("!" * 200) == "!" * 200


@pytest.mark.parametrize("text", ["", "v 43", "v1,v2", "é", "x" * 201, "v1\n", "unknown"])
def test_what_no_service_can_have_as_its_release_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"release|matches none"):
        release_from(text)
