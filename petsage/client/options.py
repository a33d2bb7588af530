"""What the commands' options have in common: their types and checks, and the shared ones."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from petsage.client.reports import FORMATS

Command = Callable[..., Any]
Decorator = Callable[[Command], Command]
MAX_SECONDS = 7 * 24 * 3600.0
MAX_COUNT = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What the user has said in the options that every command has; `timeout` is in seconds."""

    timeout: float
    headers: tuple[tuple[str, str], ...]
    cacert: str | None
    form: str | None
    output: str | None
    quiet: bool


def unusable(option: str, value: str, why: str, fault: Exception) -> click.BadParameter:
    """Return the fault of usage that an option's file is of no use; `why` is like "be read"."""
    reason = getattr(fault, "strerror", None) or fault
    return click.BadParameter(f"{value!r} can't {why}: {reason}.", param_hint=f"'{option}'")


def seconds_option(
    name: str, told: str, *, default: float | None = None, least: float = 0.001
) -> Decorator:
    """Return an option that takes a number of seconds between `least` and a week."""

    def checked(_ctx: click.Context, _param: click.Parameter, value: float | None) -> float | None:
        if value is not None and (not math.isfinite(value) or not least <= value <= MAX_SECONDS):
            raise click.BadParameter(f"{value:g} is not between {least:g} and {MAX_SECONDS:.0f}.")
        return value

    return click.option(
        name,
        type=float,
        metavar="SECONDS",
        callback=checked,
        default=default,
        show_default=default is not None,
        help=told,
    )


def count_option(
    name: str, told: str, *, default: int | None = None, metavar: str = "N"
) -> Decorator:
    """Return an option that takes a whole number of at least one."""
    return click.option(
        name,
        metavar=metavar,
        type=click.IntRange(1, MAX_COUNT),
        default=default,
        show_default=default is not None,
        help=told,
    )


def release_option(told: str, *, required: bool = False) -> Decorator:
    """Return the option that names the release, or its commit, that must answer."""
    return click.option(
        "--expect-release",
        "expected",
        metavar="R",
        required=required,
        callback=_release,
        help=f"The release, or seven hex digits or more of the commit, that {told}.",
    )


def _release(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    from petsage.client.target import release_from

    try:
        return None if value is None else release_from(value)
    except ValueError as fault:
        raise click.BadParameter(f"{fault}.") from None


def _headers(
    _ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    from petsage.client.target import header_from

    try:
        return tuple(header_from(value) for value in values)
    except ValueError as fault:
        raise click.BadParameter(f"{fault}.") from None


def shared_options(command: Command) -> Command:
    """Add the options that every command has; they come to it as one value, `shared`."""
    names = Shared.__dataclass_fields__

    @functools.wraps(command)
    def bundled(*args: Any, **options: Any) -> Any:
        shared = Shared(**{name: options.pop(name) for name in names})
        return command(*args, shared=shared, **options)

    options: list[Decorator] = [
        seconds_option(
            "--timeout",
            "Limit of one request, from the name's lookup to the last byte.",
            default=10.0,
        ),
        click.option(
            "-H",
            "--header",
            "headers",
            metavar="'NAME: VALUE'",
            multiple=True,
            callback=_headers,
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
            help="Write the report to this file, whose ending (.json .xml .md .html) says the "
            "format; stdout then shows it as text.",
        ),
        click.option(
            "-q",
            "--quiet",
            is_flag=True,
            help="Nothing on stdout; a line on stderr when it fails.",
        ),
    ]
    whole: Command = bundled
    for option in reversed(options):
        whole = option(whole)
    return whole
