"""What every command is wired with: the client, the report's sink, the progress's stream.

A fault of usage in what they are made of is found here, before the first ping.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TextIO

import click

from petsage.client.exchange import Client, trust
from petsage.client.options import Shared, unusable
from petsage.client.output import Output, wants_colour
from petsage.client.target import target_from


@dataclass(frozen=True, slots=True)
class Wiring:
    """The client, the sink, and where to say how far the run is: None where nobody is told."""

    client: Client
    sink: Output
    stream: TextIO | None
    live: bool


def wired(url: str, shared: Shared) -> Wiring:
    """Return what a command needs for its service. Raises click.BadParameter."""
    client = _client(url, shared)
    colour = wants_colour(sys.stdout, os.environ)
    return Wiring(
        client=client,
        sink=Output(shared.output, shared.form, quiet=shared.quiet, colour=colour),
        stream=None if shared.quiet else sys.stderr,
        live=sys.stderr is not None and sys.stderr.isatty(),
    )


def _client(url: str, shared: Shared) -> Client:
    try:
        target = target_from(url, shared.headers)
    except ValueError as fault:
        raise click.BadParameter(f"{fault}.", param_hint="'URL'") from None
    try:
        context = trust(shared.cacert) if target.tls or shared.cacert is not None else None
    except OSError as fault:
        raise unusable("--cacert", shared.cacert or "", "be used", fault) from None
    return Client(target, context if target.tls else None)
