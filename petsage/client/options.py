"""The options that both commands have, with what becomes of them: the service and its probe."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from petsage.client.http_client import HttpClient
    from petsage.client.probe import Probe, RunIds

Command = Callable[..., Any]
Decorator = Callable[[Command], Command]
MAX_SECONDS = 7 * 24 * 3600.0
MAX_COUNT = 100_000
# No variable asks for help: click would exit with 0, which is a verdict here.
help_option = click.help_option("-h", "--help", allow_from_autoenv=False)


class Lines(click.types.StringParamType):
    """The text of a repeatable option; its environment variable has one value per line.

    click splits at blanks, which no header survives.
    """

    def split_envvar_value(self, rv: str) -> Sequence[str]:
        """Return the values in an environment variable."""
        return [line for line in rv.splitlines() if line.strip()]


@contextmanager
def usage_errors(option: str | None = None, path: str = "") -> Iterator[None]:
    """Turn a ValueError, or an OSError on the file at `path`, into a usage error of the option."""
    try:
        yield
    except OSError as error:
        reason = f"{path!r} can't be used: {error.strerror or error}"
    except ValueError as error:
        reason = str(error)
    else:
        return
    raise click.BadParameter(f"{reason}.", param_hint=f"'{option}'" if option else None)


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

        with usage_errors("--expect-release"):
            return None if value is None else release_from(value)

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

    @click.option(
        "--release-json",
        metavar="POINTER",
        help="For a service that is not PetSage: GET the URL itself, and read the release from "
        "this member of its JSON: a name (commitSha) or a JSON pointer (/build/sha).",
    )
    @click.option(
        "--release-header", metavar="NAME", help="The same, from this header of the response."
    )
    @click.option(
        "--release-text",
        metavar="REGEX",
        help="The same, from the text of the response: the first group of this expression.",
    )
    @seconds_option(
        "--timeout", "Limit of one request, from the name's lookup to the last byte.", default=10.0
    )
    @click.option(
        "-H",
        "--header",
        metavar="'NAME: VALUE'",
        type=Lines(),
        multiple=True,
        help="A header to send with every request; may be repeated.",
    )
    @click.option(
        "--address",
        metavar="IP[:PORT]",
        type=Lines(),
        multiple=True,
        help="Send the pings to this address instead of the name's own; may be repeated.",
    )
    @click.option("-4", "--ipv4", is_flag=True, help="Use IPv4 addresses only.")
    @click.option("-6", "--ipv6", is_flag=True, help="Use IPv6 addresses only.")
    @click.option(
        "--proxy",
        metavar="URL",
        help="Use this HTTP proxy, or none with ''.  [default: as curl: https_proxy, "
        "HTTPS_PROXY, http_proxy, ALL_PROXY, NO_PROXY]",
    )
    @click.option(
        "--cacert",
        metavar="FILE",
        help="Trust the certificate authorities in this PEM file, and no others.",
    )
    @click.option("--cert", metavar="FILE", help="Client certificate (PEM).")
    @click.option("--key", metavar="FILE", help="Its key (PEM), where it is not in the same file.")
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
        import socket

        from petsage.client.addresses import Addresses, address_from
        from petsage.client.http_client import HttpClient, tls_context
        from petsage.client.probe import PetSageProbe, RunIds
        from petsage.client.proxy import proxy_for
        from petsage.client.release_probe import ReleaseProbe, release_source
        from petsage.client.target import header_from, target_from

        if ipv4 and ipv6:
            raise click.UsageError("-4 and -6 exclude each other.")
        if address and (ipv4 or ipv6):
            raise click.UsageError("--address says where to connect to; leave out -4 and -6.")
        if key is not None and cert is None:
            raise click.BadParameter("there is no --cert that it belongs to.", param_hint="'--key'")
        with usage_errors():
            source = release_source(json=release_json, header=release_header, text=release_text)
        with usage_errors("--header"):
            headers = tuple(header_from(text) for text in header)
        with usage_errors("URL"):
            target = target_from(url, headers, exact=source is not None)
        with usage_errors():
            chosen = proxy_for(target, os.environ, proxy)
        if address and chosen:
            raise click.UsageError(
                f"--address has no effect through the proxy {chosen}, which chooses the address; "
                "switch it off with --proxy ''."
            )
        with usage_errors("--address"):
            fixed = [address_from(text, target.port) for text in address]
        context = None
        if target.tls or cacert is not None or cert is not None:
            with usage_errors("--cacert", cacert or ""):
                context = tls_context(cacert)
        if cert is not None:
            with usage_errors("--cert", cert):
                context = tls_context(cacert, cert, key)
        hop = chosen or target
        family = socket.AF_INET if ipv4 else socket.AF_INET6 if ipv6 else None
        addresses = Addresses(hop.host, hop.port, family=family, fixed=fixed)
        client = HttpClient(target, addresses=addresses, proxy=chosen, context=context)
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

    return with_service
