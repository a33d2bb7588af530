"""Wires `petsage smoke-test`: faults of usage first, then the run and its report."""

from __future__ import annotations

import os
import stat
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from petsage.client.exchange import Client, trust
from petsage.client.interrupts import Interrupts
from petsage.client.logs import LogWatch
from petsage.client.output import Output, wants_colour
from petsage.client.ping import Marks
from petsage.client.progress import Progress
from petsage.client.remote import Remote
from petsage.client.smoke_test import Plan, smoke_test
from petsage.client.target import Target, target_from

if TYPE_CHECKING:
    import ssl

CONSECUTIVE = 3
CONSECUTIVE_WITH_RELEASE = 20


def run(
    interrupts: Interrupts,
    url: str,
    *,
    expected: str | None,
    wait: float,
    consecutive: int | None,
    interval: float,
    instances: int | None,
    no_refusals: bool,
    logs: str | None,
    logs_within: float,
    timeout: float,
    headers: tuple[tuple[str, str], ...],
    cacert: str | None,
    form: str | None,
    output: str | None,
    quiet: bool,
) -> int:
    """Run the smoke test, write its report and return the exit code."""
    try:
        target = target_from(url, headers)
    except ValueError as fault:
        raise click.BadParameter(f"{fault}.", param_hint="'URL'") from None
    context = trusted(target, cacert)
    _check_logs(logs)
    colour = wants_colour(sys.stdout, os.environ)
    sink = Output(output, form, quiet=quiet, colour=colour)
    marks = Marks()
    client = Client(target, context)
    watch = _watch(logs, marks)
    live = sys.stderr is not None and sys.stderr.isatty()
    progress = Progress(None if quiet else sys.stderr, live=live)
    outcome = smoke_test(
        Plan(
            url=url,
            expected=expected,
            consecutive=consecutive or (CONSECUTIVE_WITH_RELEASE if expected else CONSECUTIVE),
            instances=instances,
            wait=wait,
            interval=interval,
            timeout=timeout,
            refusals=not no_refusals,
            logs_within=logs_within,
        ),
        Remote(client, marks, interrupts, expected=expected, timeout=timeout),
        await_line=interrupts.during(watch.await_line) if watch else None,
        sleep=interrupts.during(time.sleep),
        progress=progress,
    )
    progress.clear()
    sink.write(outcome)
    return int(outcome.exit_code)


def trusted(target: Target, cacert: str | None) -> ssl.SSLContext | None:
    """Return the TLS settings, or None where none are needed. A bad --cacert is a usage fault."""
    if not target.tls and cacert is None:
        return None
    try:
        context = trust(cacert)
    except OSError as fault:
        reason = fault.strerror or fault
        raise click.BadParameter(
            f"{cacert!r} can't be used: {reason}.", param_hint="'--cacert'"
        ) from None
    return context if target.tls else None


def _check_logs(logs: str | None) -> None:
    if logs is None:
        return
    path = Path(logs)
    try:
        if logs == "-":
            # A standard input that is closed would be the number of the next socket.
            os.fstat(0)
        elif path.exists():
            if stat.S_ISDIR(path.stat().st_mode):
                raise IsADirectoryError(21, os.strerror(21))
            if not os.access(path, os.R_OK):
                raise PermissionError(13, os.strerror(13))
        elif not path.parent.is_dir():
            raise FileNotFoundError(2, "its folder does not exist")
    except (OSError, ValueError) as fault:
        reason = getattr(fault, "strerror", None) or fault
        raise click.BadParameter(
            f"{logs!r} can't be read: {reason}.", param_hint="'--logs'"
        ) from None


def _watch(logs: str | None, marks: Marks) -> LogWatch | None:
    if logs is None:
        return None
    watch = LogWatch(marks.run)
    return watch.read(0) if logs == "-" else watch.follow(logs)
