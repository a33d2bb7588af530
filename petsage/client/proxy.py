"""Which forward proxy a request takes, if any: as curl reads the environment."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from petsage.client.addresses import with_port

if TYPE_CHECKING:
    from petsage.client.target import Target

# As curl has it where the URL of a proxy names none.
_DEFAULT_PORT = 1080


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy. Its text is its URL without user and password."""

    host: str
    port: int
    authorization: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"http://{with_port(self.host, self.port)}"


def proxy_for(
    target: Target, environ: Mapping[str, str], option: str | None = None
) -> Proxy | None:
    """Return the proxy to use for the target, or None for a direct connection.

    `option` is the value of --proxy: it overrides the environment, and an empty one switches
    proxies off. Raises ValueError with a sentence, which names the variable and never the
    password, where the proxy is of no use.
    """
    if option is not None:
        return _proxy_from(option, "--proxy") if option else None
    # HTTP_PROXY is left out on purpose: a CGI script's client can set it (httpoxy).
    names = ("https_proxy", "HTTPS_PROXY") if target.tls else ("http_proxy",)
    for name in (*names, "all_proxy", "ALL_PROXY"):
        if value := environ.get(name, "").strip():
            excluded = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
            return None if _excludes(excluded, target.host) else _proxy_from(value, name)
    return None


def _proxy_from(url: str, source: str) -> Proxy:
    scheme, colon, rest = url.partition("://")
    if not colon:
        scheme, rest = "http", url
    if scheme.lower() != "http":
        raise ValueError(f"{source} names a proxy that petsage can't use: only http:// is possible")
    try:
        parts = urlsplit(f"http://{rest}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or port == 0 or not host.isascii() or not host.isprintable() or " " in host:
        raise ValueError(f"{source} is no URL of a proxy; write it as http://proxy.example:3128")
    authorization = None
    if parts.username is not None:
        user, password = unquote(parts.username), unquote(parts.password or "")
        authorization = f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
    return Proxy(host, port or _DEFAULT_PORT, authorization)


def _excludes(excluded: str, host: str) -> bool:
    """Return whether a NO_PROXY value names the host: `*`, a name, an address or a network."""
    entries = [entry for entry in re.split(r"[,\s]+", excluded.lower()) if entry]
    if not entries:
        return False
    if "*" in entries:
        return True
    import ipaddress

    host = host.lower().rstrip(".").partition("%")[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        names = [entry.strip(".") for entry in entries]
        return any(host == name or host.endswith(f".{name}") for name in names if name)
    for entry in entries:
        try:
            if address in ipaddress.ip_network(entry.strip("[]"), strict=False):
                return True
        except ValueError:
            continue
    return False
