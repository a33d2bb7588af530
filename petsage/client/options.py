"""What the commands' options have in common: their types and checks, and the shared ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import click

from petsage.client.reports import FORMATS

F = TypeVar("F", bound=Callable[..., Any])
MAX_SECONDS = 7 * 24 * 3600.0


def seconds(
    _ctx: click.Context, _param: click.Parameter, value: float, *, least: float = 0.001
) -> float:
    """Return a number of seconds between `least` and a week. Raises click.BadParameter."""
    if not math.isfinite(value) or not least <= value <= MAX_SECONDS:
        raise click.BadParameter(f"{value:g} is not between {least:g} and {MAX_SECONDS:.0f}.")
    return value


def seconds_or_none(_ctx: click.Context, _param: click.Parameter, value: float) -> float:
    """Return a number of seconds that may be 0."""
    return seconds(_ctx, _param, value, least=0.0)


def seconds_if_any(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """Return a number of seconds, or None where none was given."""
    return None if value is None else seconds(ctx, param, value)


def release(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """Return the release to expect, checked. Raises click.BadParameter."""
    from petsage.client.target import release_from

    try:
        return None if value is None else release_from(value)
    except ValueError as fault:
        raise click.BadParameter(f"{fault}.") from None


def headers(
    _ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    """Return the headers to send, checked. Raises click.BadParameter."""
    from petsage.client.target import header_from

    try:
        return tuple(header_from(value) for value in values)
    except ValueError as fault:
        raise click.BadParameter(f"{fault}.") from None


def common_options(command: F) -> F:
    """Add the options that every command has."""
    options = [
        click.option(
            "--timeout",
            type=float,
            metavar="SECONDS",
            callback=seconds,
            default=10.0,
            show_default=True,
            help="Limit of one request, from the name's lookup to the last byte.",
        ),
        click.option(
            "-H",
            "--header",
            "headers",
            metavar="'NAME: VALUE'",
            multiple=True,
            callback=headers,
            help="A header to send with every request; may be repeated.",
        ),
        click.option(
            "--cacert",
            metavar="FILE",
            help="Trust the certificate authorities in this PEM file, and no others.",
        ),
        click.option(
            "--format",
            "form",
            type=click.Choice(FORMATS),
            help="The report's format.  [default: by the ending of --output, else text]",
        ),
        click.option(
            "--output",
            metavar="FILE",
            help="Write the report to this file; stdout then shows it as text.",
        ),
        click.option(
            "-q",
            "--quiet",
            is_flag=True,
            help="Nothing on stdout; a line on stderr when it fails.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command
