"""Which service to ping and with which headers, checked before the first request."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from petsage import contract

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_PATH = re.compile(r"[!-~]*")
# The client sets these itself: with another value the ping would not mean what it says.
_OWN_HEADERS = {"accept-encoding", "connection", "content-length", "content-type", "expect"}
_OWN_HEADERS |= {"transfer-encoding", "upgrade", contract.REQUEST_ID_HEADER.lower()}
# The longer ones first, as one ends with another; `/` is the base itself.
_PATHS = {value for name, value in vars(contract).items() if name.endswith("_PATH")}
_ROUTES = sorted(_PATHS - {contract.WELCOME_PATH}, key=len, reverse=True)


@dataclass(frozen=True, slots=True)
class Target:
    """The service's base URL, or the exact URL that tells a release, in its parts.

    `location` is the URL's host with its port, where that is not the scheme's; `authority` what
    to send as `Host`, which -H may replace. `path` comes before the path of each request and is
    the whole path and query of an exact URL. `warnings` are sentences for the report.
    """

    tls: bool
    host: str
    port: int
    location: str
    authority: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """The URL as requests begin with it."""
        return f"{'https' if self.tls else 'http'}://{self.location}{self.path}"


def header_from(text: str) -> tuple[str, str]:
    """Return the name and the value of a `Name: value` option.

    Raises ValueError where it is no header, or one that petsage sets itself.
    """
    name, colon, value = text.partition(":")
    name, value = name.strip(), value.strip()
    if not colon or not TOKEN.fullmatch(name):
        raise ValueError(f"{text!r} is no header; write it as 'Name: value'")
    if not _VALUE.fullmatch(value):
        raise ValueError(f"the value of {name!r} has characters that no header may have")
    if name.lower() == contract.EXPECT_RELEASE_HEADER.lower():
        raise ValueError(f"{name} is what --expect-release sends; use that")
    if name.lower() in _OWN_HEADERS:
        raise ValueError(f"petsage sets {name} itself")
    return name, value


def target_from(
    url: str, headers: tuple[tuple[str, str], ...] = (), *, exact: bool = False
) -> Target:
    """Return the service whose base is `url`, such as https://app.example or with a path prefix.

    With `exact` the URL is the one to GET, path and query included. The path of one of PetSage's
    routes is taken for the base, with a warning. Raises ValueError with a sentence where `url` is
    no such URL.
    """
    if not url.lower().startswith(("http://", "https://")):
        raise ValueError(f"{url!r} does not begin with http:// or https://")
    if not url.isprintable():
        # urlsplit drops line breaks and tabs silently.
        raise ValueError(f"{url!r} has characters that a URL may not have")
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError as error:
        raise ValueError(f"{url!r} is no URL: {error}") from None
    if not host or port == 0:
        raise ValueError(f"{url!r} names no host to connect to")
    if "@" in parts.netloc:
        raise ValueError("the URL has credentials in it; pass them with -H 'Authorization: ...'")
    if not _PATH.fullmatch(parts.path + parts.query):
        raise ValueError(f"{url!r} has characters that a URL may not have; percent-encode them")
    path = parts.path.rstrip("/")
    warnings: tuple[str, ...] = ()
    if exact:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    elif parts.query or parts.fragment or url.endswith(("?", "#")):
        raise ValueError("the URL is the service's base: leave out the query and the fragment")
    elif (base := _without_route(path)) != path:
        warnings = (f"{path} is the path of a route; the base is taken to be {base or '/'}.",)
        path = base
    tls = parts.scheme == "https"
    host = _ascii(host)
    # A zone ("fe80::1%eth0") is this machine's own affair (RFC 6874): the server never sees it.
    bracketed = f"[{host.partition('%')[0]}]" if ":" in host else host
    default = 443 if tls else 80
    location = bracketed if port in (None, default) else f"{bracketed}:{port}"
    given = {name.lower(): value for name, value in headers}
    return Target(
        tls=tls,
        host=host,
        port=port or default,
        location=location,
        authority=given.get("host", location),
        path=path,
        headers=tuple(pair for pair in headers if pair[0].lower() != "host"),
        warnings=warnings,
    )


def _without_route(path: str) -> str:
    """Return the path without that of a PetSage route at its end."""
    return next((path.removesuffix(route) for route in _ROUTES if path.endswith(route)), path)


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
    """Return the release or commit to expect. Raises ValueError where no service can have it."""
    if not re.fullmatch(r"[!-+\--~]{1,200}", text):
        raise ValueError("a release is 1 to 200 visible ASCII characters without a comma")
    if text == contract.UNKNOWN_RELEASE:
        raise ValueError("'unknown' is what a service says that knows no release; it matches none")
    return text
