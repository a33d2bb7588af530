"""`petsage smoke-test`: its options, its checks, its run."""

from __future__ import annotations

import errno
import functools
import os
import sys
from pathlib import Path

import click

from petsage.client.options import (
    Service,
    count_option,
    help_option,
    release_option,
    seconds_option,
    service_options,
    usage_errors,
)
from petsage.client.report_options import ReportWriter, report_options
from petsage.client.signals import Signals

CONSECUTIVE = 3
CONSECUTIVE_WITH_RELEASE = 20
LOGS_WITHIN_SECONDS = 30.0


@click.command(
    name="smoke-test",
    short_help="Prove that the expected release responds, correctly and everywhere.",
    epilog="""\b
Examples:
  petsage smoke-test https://app.example
  petsage smoke-test https://app.example --expect-release v43 --wait 120
  petsage smoke-test https://app.example --expect-release v43 --instances 2
  petsage smoke-test https://app.example/health --expect-release v43 --release-json commitSha
  petsage smoke-test https://app.example --expect-release v43 --address 192.0.2.7
  petsage smoke-test https://app.example --format junit --output report.xml
  petsage smoke-test https://app.example -H 'Authorization: Bearer abc' -q
  heroku logs --tail | petsage smoke-test https://app.example --logs -
""",
)
@click.argument("url")
@release_option(
    "The release, or seven hex digits or more of the commit, that must respond. Without it any "
    "release will do."
)
@seconds_option("--wait", "How long to wait for the streak to be complete.", default=60.0)
@count_option(
    "--consecutive", "Correct responses needed in a row.  [default: 3; 20 with --expect-release]"
)
@seconds_option("--interval", "Pause between the pings of the streak.", default=0.01, least=0.0)
@count_option("--instances", "Distinct instances that must be in the streak.", metavar="K")
@click.option("--no-bad-requests", is_flag=True, help="Don't check that bad requests are rejected.")
@click.option(
    "--logs",
    metavar="FILE|-",
    help="Read the far end of the log pipeline; pass only when the last ping's line arrives.",
)
@seconds_option(
    "--logs-within",
    f"How long the log line may take after its response.  [default: {LOGS_WITHIN_SECONDS:g}]",
)
@service_options
@report_options
@help_option
@click.pass_obj
def smoke_test_command(
    signals: Signals,
    /,
    *,
    expect_release: str | None,
    wait: float,
    consecutive: int | None,
    interval: float,
    instances: int | None,
    no_bad_requests: bool,
    logs: str | None,
    logs_within: float | None,
    service: Service,
    report: ReportWriter,
) -> int:
    """Prove that the service at URL responds correctly, and with the release that you expect.

    URL is the service's base, such as https://app.example; a path prefix is allowed. With one of
    the --release options it is the exact URL that tells the release.
    """
    if logs is not None and not service.is_petsage:
        raise click.UsageError("--logs needs PetSage's own log; leave it out with --release-...")
    if logs is None and logs_within is not None:
        raise click.BadParameter(
            "there is no log to read; name it with --logs.", param_hint="'--logs-within'"
        )
    if logs is not None:
        _check_readable(logs)

    from petsage.client.bad_requests import BAD_REQUESTS, send
    from petsage.client.clock import Clock
    from petsage.client.log_tail import LogTail
    from petsage.client.progress import progress_on
    from petsage.client.run import Run
    from petsage.client.smoke_test import smoke_test

    run = Run(
        kind="smoke-test",
        url=service.url,
        proxy=service.proxy,
        timeout=service.timeout,
        expected=expect_release,
        consecutive=consecutive or (CONSECUTIVE_WITH_RELEASE if expect_release else CONSECUTIVE),
        instances=instances,
        limit_s=wait,
        interval=interval,
        logs_within=LOGS_WITHIN_SECONDS if logs_within is None else logs_within,
    )
    send_one = functools.partial(
        send, service.client, service.ids, expect=expect_release, timeout=service.timeout
    )
    bad_requests = BAD_REQUESTS if service.is_petsage and not no_bad_requests else ()
    tail = None
    if logs is not None:
        tail = LogTail().read(0) if logs == "-" else LogTail().follow(logs)
    progress = progress_on(None if report.quiet else sys.stderr, os.environ)
    smoke_test(
        run,
        service.probe,
        clock=Clock(),
        bad_requests=[functools.partial(send_one, one) for one in bad_requests],
        wait_for_line=tail.wait_for if tail else None,
        interruptible=signals.interruptible,
        progress=progress,
    )
    progress.close()
    return report.write(run, signals.interruptible)


def _check_readable(logs: str) -> None:
    """Raise click.BadParameter where the log can't be read; a file may come into being later."""
    path = Path(logs)
    with usage_errors("--logs", logs):
        if logs == "-":
            # A standard input that is closed would be the number of the next socket.
            os.fstat(0)
        elif not path.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, "its folder does not exist")
        elif path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        elif path.exists() and not os.access(path, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
