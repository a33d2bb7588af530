"""The settings as one value, read from a mapping; every fault is found before any is reported."""

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from petsage.contract import DEFAULT_MAX_BODY_BYTES, DEFAULT_PORT, UNKNOWN_RELEASE
from petsage.service.release import (
    COMMIT_VARIABLES,
    INSTANCE_VARIABLES,
    RELEASE_VARIABLES,
    Release,
    fault_of_name,
    first_told,
)

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
BOOLEANS = {"true": True, "1": True, "yes": True, "on": True} | {
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}
# A body is held in memory while it is looked at.
LARGEST_MAX_BODY_BYTES = 100 * 1024 * 1024
MOST_PROXIES = 100
# gunicorn takes 0, and then answers nobody.
MOST_WORKERS = 1_000


class SettingsError(ValueError):
    """Something is wrong with the settings; `faults` has one sentence for each fault."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__(" ".join(faults))


def _host_name() -> str:
    name = socket.gethostname()
    return name if name and fault_of_name(name) is None else UNKNOWN_RELEASE


@dataclass(frozen=True)
class Settings:
    """What an operator can set. The defaults make a service that runs as it is.

    Attributes:
        port: the TCP port to listen on, where a server asks these settings for one.
        port_given: whether `PORT` was set, as a platform that routes to this process does.
        host: the IP address to listen on, where a server asks these settings for one; None
            leaves it to the port: every interface where it is given, this machine alone where
            it is not.
        workers: the number of worker processes (`WEB_CONCURRENCY`).
        release: the release and its commit (`PETSAGE_RELEASE`, `PETSAGE_COMMIT`, or the
            platform's own variables).
        instance: the name of this instance (`PETSAGE_INSTANCE`, `DYNO`, or the host name).
        disclose_release: whether answers may name the release, the commit and the instance.
        max_body_bytes: the largest request body that is accepted, in bytes.
        log_level: the least level that is logged.
        log_probes: whether successful probes get a request line.
        trusted_proxies: how many hops of `X-Forwarded-*` to believe.

    """

    port: int = DEFAULT_PORT
    port_given: bool = False
    host: str | None = None
    workers: int = 1
    release: Release = field(default_factory=Release)
    instance: str = field(default_factory=_host_name)
    disclose_release: bool = True
    max_body_bytes: int = DEFAULT_MAX_BODY_BYTES
    log_level: str = "INFO"
    log_probes: bool = True
    trusted_proxies: int = 0

    @property
    def address(self) -> str:
        """Where to listen, as gunicorn's `bind` has it: `HOST:PORT`, an IPv6 host in brackets."""
        # A platform that gives a port routes to this machine from outside. Without one, only
        # this machine itself is let in.
        host = self.host or ("0.0.0.0" if self.port_given else "127.0.0.1")  # noqa: S104
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Settings":
        """Read the settings from environment variables.

        Raises:
            SettingsError: with every fault that was found.

        """
        faults: list[str] = []
        given: dict[str, Any] = {}

        for setting, (variable, read) in _VARIABLES.items():
            text = environ.get(variable, "").strip()
            if text:
                try:
                    given[setting] = read(text)
                except ValueError as error:
                    faults.append(f"{variable} {error}.")

        names: dict[str, tuple[str, str] | None] = {
            "release": first_told(environ, RELEASE_VARIABLES),
            "commit": first_told(environ, COMMIT_VARIABLES),
            "instance": first_told(environ, INSTANCE_VARIABLES),
        }
        # One variable may tell both the release and the commit: its fault is reported once.
        for value, variable in sorted({told for told in names.values() if told}):
            if fault := fault_of_name(value):
                faults.append(f"{variable} {fault}.")

        if faults:
            raise SettingsError(faults)
        if names["instance"]:
            given["instance"] = names["instance"][0]
        release, release_source = names["release"] or (None, None)
        commit, commit_source = names["commit"] or (None, None)
        return cls(
            **given,
            port_given="port" in given,
            release=Release(release, commit, release_source, commit_source),
        )


def _boolean(text: str) -> bool:
    try:
        return BOOLEANS[text.lower()]
    except KeyError:
        raise ValueError("must be true or false") from None


def _whole_number(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        # Not int() alone: it takes "1_000", "+5" and the digits of other scripts.
        if not (text.isascii() and text.isdigit() and len(text) <= 20):
            raise ValueError(f"must be a whole number from {least} to {most}")
        if not least <= int(text) <= most:
            raise ValueError(f"must be from {least} to {most}")
        return int(text)

    return read


def _ip_address(text: str) -> str:
    try:
        address = ip_address(text)
    except ValueError:
        address = None
    # gunicorn does not take a zone ("fe80::1%eth0").
    if address is None or "%" in text:
        raise ValueError(
            "must be an IP address of this machine (127.0.0.1, ::1), or 0.0.0.0 or :: for all"
        )
    return str(address)


def _log_level(text: str) -> str:
    if text.upper() not in LOG_LEVELS:
        raise ValueError(f"must be one of {', '.join(LOG_LEVELS)}")
    return text.upper()


_VARIABLES: dict[str, tuple[str, Callable[[str], Any]]] = {
    "port": ("PORT", _whole_number(1, 65_535)),
    "host": ("PETSAGE_HOST", _ip_address),
    "workers": ("WEB_CONCURRENCY", _whole_number(1, MOST_WORKERS)),
    "disclose_release": ("PETSAGE_DISCLOSE_RELEASE", _boolean),
    "max_body_bytes": ("PETSAGE_MAX_BODY_BYTES", _whole_number(1, LARGEST_MAX_BODY_BYTES)),
    "log_level": ("PETSAGE_LOG_LEVEL", _log_level),
    "log_probes": ("PETSAGE_LOG_PROBES", _boolean),
    "trusted_proxies": ("PETSAGE_TRUSTED_PROXIES", _whole_number(0, MOST_PROXIES)),
}
