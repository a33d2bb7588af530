"""Whom to ask, and with which headers: what the user wrote, checked. It opens no connection."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from petsage import contract

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_PATH = re.compile(r"[!-~]*")
# The client sets these itself; another value would make it lie or hang.
_OWN_HEADERS = frozenset(
    name.lower()
    for name in (
        "Accept-Encoding",
        "Connection",
        "Content-Length",
        "Content-Type",
        "Expect",
        "Transfer-Encoding",
        "Upgrade",
        contract.REQUEST_ID_HEADER,
        contract.EXPECT_RELEASE_HEADER,
    )
)


@dataclass(frozen=True, slots=True)
class Target:
    """A service's base: where to connect to, what to call it, and the prefix of its paths."""

    url: str
    tls: bool
    host: str
    port: int
    authority: str
    prefix: str
    headers: tuple[tuple[str, str], ...] = ()


def header_from(text: str) -> tuple[str, str]:
    """Return the name and the value of a `Name: value` option.

    Raises ValueError where it is no header, or one that the client sets itself.
    """
    name, colon, value = text.partition(":")
    name, value = name.strip(), value.strip()
    if not colon or not _TOKEN.fullmatch(name):
        raise ValueError(f"{text!r} is no header; write it as 'Name: value'")
    if not _VALUE.fullmatch(value):
        raise ValueError(f"the value of {name!r} has characters that no header may hold")
    if name.lower() == contract.EXPECT_RELEASE_HEADER.lower():
        raise ValueError(f"{name} is what --expect-release sends; use that")
    if name.lower() in _OWN_HEADERS:
        raise ValueError(f"{name} is set by petsage itself")
    return name, value


def target_from(url: str, headers: tuple[tuple[str, str], ...] = ()) -> Target:
    """Return the service whose base is `url`, such as https://app.example or with a path prefix.

    Raises ValueError with a sentence where it is no such URL.
    """
    if not url.lower().startswith(("http://", "https://")):
        raise ValueError(f"{url!r} does not begin with http:// or https://")
    if not url.isprintable():
        # urlsplit drops line breaks and tabs without a word.
        raise ValueError(f"{url!r} has characters that a URL may not hold")
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError as fault:
        raise ValueError(f"{url!r} is no URL: {fault}") from None
    if not host or port == 0:
        raise ValueError(f"{url!r} names no host to connect to")
    if "@" in parts.netloc:
        raise ValueError("the URL carries credentials; pass them with -H 'Authorization: ...'")
    if parts.query or parts.fragment or url.endswith(("?", "#")):
        raise ValueError("the URL is the service's base: leave out the query and the fragment")
    if not _PATH.fullmatch(parts.path):
        raise ValueError(f"{url!r} has characters that a URL may not hold; percent-encode them")
    tls = parts.scheme == "https"
    host = _ascii(host)
    # A zone ("fe80::1%eth0") is this machine's own affair (RFC 6874): the server never sees it.
    bracketed = f"[{host.partition('%')[0]}]" if ":" in host else host
    default = 443 if tls else 80
    authority = bracketed if port in (None, default) else f"{bracketed}:{port}"
    given = {name.lower(): value for name, value in headers}
    return Target(
        url=url,
        tls=tls,
        host=host,
        port=port or default,
        authority=given.get("host", authority),
        prefix=parts.path.rstrip("/"),
        headers=tuple(pair for pair in headers if pair[0].lower() != "host"),
    )


def _ascii(host: str) -> str:
    if ":" in host:
        return host
    try:
        name = host.encode("idna").decode("ascii")
    except UnicodeError:
        raise ValueError(f"{host!r} is no host name") from None
    if not re.fullmatch(r"[A-Za-z0-9._-]+", name):
        raise ValueError(f"{host!r} is no host name")
    return name


def release_from(text: str) -> str:
    """Return the release or commit to expect. Raises ValueError where no service could bear it."""
    if not re.fullmatch(r"[!-+\--~]{1,200}", text):
        raise ValueError("a release is 1 to 200 visible ASCII characters without a comma")
    if text == contract.UNKNOWN_RELEASE:
        raise ValueError("'unknown' is what a service says that knows no release; it matches none")
    return text
