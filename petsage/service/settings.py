"""The settings as one value, read from a mapping; all errors are found before any is reported."""

import logging
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from petsage.contract import DEFAULT_MAX_BODY_BYTES, DEFAULT_PORT, UNKNOWN_RELEASE
from petsage.service import json_logs

log = logging.getLogger(__name__)

# The first variable that is not blank counts: PetSage's own, then those of platforms.
RELEASE_VARIABLES = (
    "PETSAGE_RELEASE",
    "HEROKU_RELEASE_VERSION",
    "KAMAL_VERSION",
    "RENDER_GIT_COMMIT",
)
COMMIT_VARIABLES = (
    "PETSAGE_COMMIT",
    "HEROKU_BUILD_COMMIT",
    "HEROKU_SLUG_COMMIT",
    "RENDER_GIT_COMMIT",
    "SOURCE_VERSION",
)
INSTANCE_VARIABLES = ("PETSAGE_INSTANCE", "DYNO")
MAX_NAME_CHARACTERS = 200

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
BOOLEANS = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}
# A body is held in memory while it is looked at.
LARGEST_MAX_BODY_BYTES = 100 * 1024 * 1024
MOST_PROXIES = 100
# gunicorn accepts 0, and then serves nobody.
MOST_WORKERS = 1_000


class SettingsError(ValueError):
    """Something is wrong with the settings; `errors` has one sentence for each of them."""

    def __init__(self, errors: list[str]) -> None:
        self.errors = errors
        super().__init__(" ".join(errors))


@dataclass(frozen=True)
class Release:
    """A release and its commit, each with the environment variable that named it."""

    name: str | None = None
    commit: str | None = None
    name_source: str | None = None
    commit_source: str | None = None


def _first_set(environ: Mapping[str, str], variables: Iterable[str]) -> tuple[str, str] | None:
    """Return (value, variable) of the first variable with more than blanks in it."""
    for variable in variables:
        value = environ.get(variable, "").strip()
        if value:
            return value, variable
    return None


def _error_of_name(value: str) -> str | None:
    """Return why `value` can't stand in a header and be expected by a caller, or None."""
    if len(value) > MAX_NAME_CHARACTERS:
        return f"must have at most {MAX_NAME_CHARACTERS} characters; it has {len(value)}"
    if "," in value or not all("!" <= character <= "~" for character in value):
        return "must be visible ASCII characters without a comma or a blank"
    return None


def _host_name() -> str:
    name = socket.gethostname()
    return name if name and _error_of_name(name) is None else UNKNOWN_RELEASE


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
        disclose_release: whether responses may name the release, the commit and the instance.
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
            SettingsError: with every error that was found.

        """
        errors: list[str] = []
        given: dict[str, Any] = {}

        for setting, (variable, read) in _VARIABLES.items():
            text = environ.get(variable, "").strip()
            if text:
                try:
                    given[setting] = read(text)
                except ValueError as error:
                    errors.append(f"{variable} {error}.")

        names: dict[str, tuple[str, str] | None] = {
            "release": _first_set(environ, RELEASE_VARIABLES),
            "commit": _first_set(environ, COMMIT_VARIABLES),
            "instance": _first_set(environ, INSTANCE_VARIABLES),
        }
        # One variable may name both the release and the commit: its error is reported once.
        for value, variable in sorted({found for found in names.values() if found}):
            if why := _error_of_name(value):
                errors.append(f"{variable} {why}.")

        if errors:
            raise SettingsError(errors)
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
        if "%" not in text:  # gunicorn accepts no zone ("fe80::1%eth0")
            return str(ip_address(text))
    except ValueError:
        pass
    raise ValueError("must be an IP address of this machine (127.0.0.1, ::1), or 0.0.0.0 or ::")


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


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings, with the log of this process set up for them.

    Where they have errors, all of them stand in one log line, and the process exits with 1.
    """
    try:
        settings = Settings.from_environ(environ)
    except SettingsError as error:
        json_logs.install(Settings())
        log.critical(
            "PetSage can't start. Fix the environment, then start it again. %s",
            error,
            extra={"fields": {"errors": error.errors}},
        )
        raise SystemExit(1) from None
    json_logs.install(settings)
    json_logs.log_all_else()
    return settings
