"""The options that both commands have, with what becomes of them: the service and its probe."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import ssl

    from petsage.client.addresses import Address, Addresses
    from petsage.client.http_client import HttpClient
    from petsage.client.probe import Probe, RunIds
    from petsage.client.proxy import Proxy
    from petsage.client.release_probe import ReleaseSource
    from petsage.client.target import Target

Command = Callable[..., Any]
Decorator = Callable[[Command], Command]
MAX_SECONDS = 7 * 24 * 3600.0
MAX_COUNT = 100_000
# No variable asks for help: click would exit with 0, which is a verdict here.
help_option = click.help_option("-h", "--help", allow_from_autoenv=False)


class Lines(click.ParamType[str]):
    """The text of a repeatable option; its environment variable has one value per line.

    click splits at blanks, which no header survives.
    """

    name = "text"

    def split_envvar_value(self, rv: str) -> Sequence[str]:
        """Return the values in an environment variable."""
        return [line for line in rv.splitlines() if line.strip()]


def file_error(option: str, path: str, what: str, error: Exception) -> click.BadParameter:
    """Return the usage error of a file that can't be used; `what` is like "be read"."""
    reason = getattr(error, "strerror", None) or error
    return click.BadParameter(f"{path!r} can't {what}: {reason}.", param_hint=f"'{option}'")


def seconds_option(
    name: str, description: str, *, default: float | None = None, least: float = 0.001
) -> Decorator:
    """Return an option that takes a number of seconds between `least` and a week."""

    def check(_ctx: click.Context, _param: click.Parameter, value: float | None) -> float | None:
        if value is not None and (not math.isfinite(value) or not least <= value <= MAX_SECONDS):
            raise click.BadParameter(f"{value:g} is not between {least:g} and {MAX_SECONDS:.0f}.")
        return value

    return click.option(
        name,
        type=float,
        metavar="SECONDS",
        callback=check,
        default=default,
        show_default=default is not None,
        help=description,
    )


def count_option(
    name: str, description: str, *, default: int | None = None, metavar: str = "N"
) -> Decorator:
    """Return an option that takes a whole number of at least one."""
    return click.option(
        name,
        metavar=metavar,
        type=click.IntRange(1, MAX_COUNT),
        default=default,
        show_default=default is not None,
        help=description,
    )


def release_option(description: str, *, required: bool = False) -> Decorator:
    """Return --expect-release."""

    def check(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
        from petsage.client.target import release_from

        try:
            return None if value is None else release_from(value)
        except ValueError as error:
            raise click.BadParameter(f"{error}.") from None

    return click.option(
        "--expect-release", metavar="R", required=required, callback=check, help=description
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The service as the options describe it. `timeout` is that of a request, in seconds.

    `is_petsage` is False where one of the --release options reads the release of another service.
    """

    url: str
    timeout: float
    client: HttpClient
    ids: RunIds
    probe: Probe
    proxy: str | None
    is_petsage: bool


def service_options(command: Command) -> Command:
    """Add the options on how to reach URL; the command gets them, with `url`, as a Service."""
    options: list[Decorator] = [
        click.option(
            "--release-json",
            metavar="POINTER",
            help="For a service that is not PetSage: GET the URL itself, and read the release from "
            "this member of its JSON: a name (commitSha) or a JSON pointer (/build/sha).",
        ),
        click.option(
            "--release-header", metavar="NAME", help="The same, from this header of the response."
        ),
        click.option(
            "--release-text",
            metavar="REGEX",
            help="The same, from the text of the response: the first group of this expression.",
        ),
        seconds_option(
            "--timeout",
            "Limit of one request, from the name's lookup to the last byte.",
            default=10.0,
        ),
        click.option(
            "-H",
            "--header",
            metavar="'NAME: VALUE'",
            type=Lines(),
            multiple=True,
            help="A header to send with every request; may be repeated.",
        ),
        click.option(
            "--address",
            metavar="IP[:PORT]",
            type=Lines(),
            multiple=True,
            help="Send the pings to this address instead of the name's own; may be repeated.",
        ),
        click.option("-4", "--ipv4", is_flag=True, help="Use IPv4 addresses only."),
        click.option("-6", "--ipv6", is_flag=True, help="Use IPv6 addresses only."),
        click.option(
            "--proxy",
            metavar="URL",
            help="Use this HTTP proxy, or none with ''.  [default: as curl: https_proxy, "
            "HTTPS_PROXY, http_proxy, ALL_PROXY, NO_PROXY]",
        ),
        click.option(
            "--cacert",
            metavar="FILE",
            help="Trust the certificate authorities in this PEM file, and no others.",
        ),
        click.option("--cert", metavar="FILE", help="Client certificate (PEM)."),
        click.option(
            "--key", metavar="FILE", help="Its key (PEM), where it is not in the same file."
        ),
    ]

    @functools.wraps(command)
    def with_service(
        *args: Any,
        url: str,
        timeout: float,
        release_json: str | None,
        release_header: str | None,
        release_text: str | None,
        header: tuple[str, ...],
        address: tuple[str, ...],
        ipv4: bool,
        ipv6: bool,
        proxy: str | None,
        cacert: str | None,
        cert: str | None,
        key: str | None,
        **others: Any,
    ) -> Any:
        from petsage.client.http_client import HttpClient
        from petsage.client.probe import PetSageProbe, RunIds
        from petsage.client.release_probe import ReleaseProbe

        source = _release_source(release_json, release_header, release_text)
        target = _target(url, header, exact=source is not None)
        chosen = _proxy(target, proxy)
        client = HttpClient(
            target,
            addresses=_addresses(target, chosen, address, ipv4=ipv4, ipv6=ipv6),
            proxy=chosen,
            context=_tls_context(target, cacert, cert, key),
        )
        ids = RunIds()
        service = Service(
            url=url,
            timeout=timeout,
            client=client,
            ids=ids,
            probe=ReleaseProbe(client, ids, source) if source else PetSageProbe(client, ids),
            proxy=None if chosen is None else str(chosen),
            is_petsage=source is None,
        )
        return command(*args, service=service, **others)

    decorated: Command = with_service
    for option in reversed(options):
        decorated = option(decorated)
    return decorated


def _release_source(json: str | None, header: str | None, text: str | None) -> ReleaseSource | None:
    if json is None and header is None and text is None:
        return None
    from petsage.client.release_probe import release_source

    try:
        return release_source(json=json, header=header, text=text)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from None


def _target(url: str, headers: tuple[str, ...], *, exact: bool) -> Target:
    from petsage.client.target import header_from, target_from

    try:
        pairs = tuple(header_from(text) for text in headers)
    except ValueError as error:
        raise click.BadParameter(f"{error}.", param_hint="'-H' / '--header'") from None
    try:
        return target_from(url, pairs, exact=exact)
    except ValueError as error:
        raise click.BadParameter(f"{error}.", param_hint="'URL'") from None


def _proxy(target: Target, option: str | None) -> Proxy | None:
    import os

    from petsage.client.proxy import proxy_for

    try:
        return proxy_for(target, os.environ, option)
    except ValueError as error:
        # The sentence names the option or the variable.
        raise click.UsageError(f"{error}.") from None


def _addresses(
    target: Target, proxy: Proxy | None, given: tuple[str, ...], *, ipv4: bool, ipv6: bool
) -> Addresses:
    import socket

    from petsage.client.addresses import Addresses, address_from

    if ipv4 and ipv6:
        raise click.UsageError("-4 and -6 exclude each other.")
    if given and (ipv4 or ipv6):
        raise click.UsageError("--address says where to connect to; leave out -4 and -6.")
    if given and proxy:
        raise click.UsageError(
            f"--address has no effect through the proxy {proxy}, which chooses the address; "
            "switch it off with --proxy ''."
        )
    try:
        fixed: list[Address] = [address_from(text, target.port) for text in given]
    except ValueError as error:
        raise click.BadParameter(f"{error}.", param_hint="'--address'") from None
    family = socket.AF_INET if ipv4 else socket.AF_INET6 if ipv6 else None
    hop = proxy or target
    return Addresses(hop.host, hop.port, family=family, fixed=fixed)


def _tls_context(
    target: Target, cacert: str | None, cert: str | None, key: str | None
) -> ssl.SSLContext | None:
    if key is not None and cert is None:
        raise click.BadParameter("there is no --cert that it belongs to.", param_hint="'--key'")
    if not target.tls and cacert is None and cert is None:
        return None
    from petsage.client.http_client import tls_context

    try:
        authorities = tls_context(cacert)
    except OSError as error:
        raise file_error("--cacert", cacert or "", "be used", error) from None
    if cert is None:
        return authorities
    try:
        return tls_context(cacert, cert, key)
    except OSError as error:
        raise file_error("--cert", cert, "be used", error) from None
