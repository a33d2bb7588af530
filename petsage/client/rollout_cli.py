"""`petsage rollout`: its options, its checks, its run."""

from __future__ import annotations

import math
import os
import sys
from typing import TYPE_CHECKING

import click

from petsage.client.options import (
    Service,
    count_option,
    help_option,
    release_option,
    seconds_option,
    service_options,
)
from petsage.client.report_options import ReportWriter, report_options
from petsage.client.signals import Signals

if TYPE_CHECKING:
    from petsage.client.result import PingResult
    from petsage.client.rollout import Due

# Each ping in flight has a thread and a connection.
MAX_IN_FLIGHT = 2_000
# All results are kept: some 500 bytes each.
MAX_PINGS = 1_000_000
# Files that are open anyway: the standard ones, the report, the command's.
_OTHER_FILES = 64


@click.command(
    name="rollout",
    short_help="Watch a release take over, and prove that no request failed.",
    epilog="""\b
Examples:
  petsage rollout https://app.example --expect-release v43
  petsage rollout https://app.example --expect-release v43 -- git push heroku main
  petsage rollout https://app.example --expect-release v43 --after-command 60 -- ./deploy.sh
  petsage rollout https://app.example --expect-release v43 --rate 50 --max-gap 0.5
  petsage rollout https://app.example/health --expect-release v43 --release-json commitSha
  petsage rollout https://app.example --expect-release v43 --output timeline.html
  petsage rollout https://app.example --expect-release v43 --deadline 300 --max-failures 3 -q
""",
)
@click.argument("url")
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND ...]")
@release_option(
    "The release, or seven hex digits or more of the commit, that is to take over.", required=True
)
@click.option(
    "--rate",
    metavar="N",
    type=click.FloatRange(0.1, 1_000),
    default=10.0,
    show_default=True,
    help="Pings a second, whatever becomes of them.",
)
@count_option(
    "--consecutive", "Correct responses in a row, by due time, that end the watch.", default=20
)
@seconds_option("--deadline", "How long to send pings at most.", default=900.0)
@seconds_option(
    "--after-command",
    "How long to watch at most once COMMAND has ended.  [default: until --deadline]",
)
@click.option(
    "--max-failures",
    metavar="N",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="How many pings may fail.",
)
@seconds_option("--max-gap", "The longest time between two successes that is allowed.")
@seconds_option(
    "--max-latency", "The longest time from a ping's due moment to its response that is allowed."
)
@click.option(
    "--require-switch",
    is_flag=True,
    help="Fail (7) where no other release was seen to respond before; else that is a warning.",
)
@service_options
@report_options
@help_option
@click.pass_obj
def rollout_command(
    signals: Signals,
    /,
    *,
    command: tuple[str, ...],
    expect_release: str,
    rate: float,
    consecutive: int,
    deadline: float,
    after_command: float | None,
    max_failures: int,
    max_gap: float | None,
    max_latency: float | None,
    require_switch: bool,
    service: Service,
    report: ReportWriter,
) -> int:
    """Watch the new release take over at URL, and prove that no request failed during the switch.

    Start it before the deploy, or let it run the deploy itself: COMMAND is started once the
    service is seen to respond, and its output goes to stderr.
    """
    _check_rate(rate, service.timeout, deadline)
    # The first ping that is due after the command's end may be due one interval later.
    _check_command(command, after_command, streak_s=(consecutive + 1) / rate)

    from petsage.client.clock import Clock
    from petsage.client.deploy import Deploy, TerminalRelay
    from petsage.client.progress import progress_on
    from petsage.client.rollout import PingThreads, rollout
    from petsage.client.run import Budget, Run

    run = Run(
        kind="rollout",
        url=service.url,
        proxy=service.proxy,
        timeout=service.timeout,
        expected=expect_release,
        consecutive=consecutive,
        limit_s=deadline,
        rate=rate,
        after_command=after_command,
        budget=Budget(max_failures, max_gap, max_latency, require_switch=require_switch),
    )
    clock = Clock()

    def send(due: Due) -> PingResult:
        return service.probe.ping(
            expect=expect_release, timeout=service.timeout, bogus=due.bogus, due=due.at
        )

    progress = progress_on(None if report.quiet else sys.stderr, os.environ)
    relay = deploy = None
    if command:
        output = os.open(os.devnull, os.O_WRONLY) if sys.stderr is None else sys.stderr.fileno()
        if progress.is_live:
            relay = TerminalRelay(progress.write_line, output)
        deploy = Deploy(command, relay.side if relay else output)
        signals.hurry = deploy.kill
    rollout(
        run,
        service.probe,
        PingThreads(send, clock),
        clock=clock,
        command=deploy,
        interruptible=signals.interruptible,
        progress=progress,
    )
    if relay:
        relay.close()
    progress.close()
    return report.write(run, signals.interruptible)


def _check_rate(rate: float, timeout: float, deadline: float) -> None:
    """Reject a rate that could not be kept, so that no ping ever waits for another one's end."""
    if math.isnan(rate):
        # No comparison with it holds, so that it is within every range.
        raise click.BadParameter("nan is no number.", param_hint="'--rate'")
    in_flight = round(rate * timeout)
    if in_flight > MAX_IN_FLIGHT:
        raise click.BadParameter(
            f"{rate:g} pings a second of up to {timeout:g} s each may be {in_flight} at once; "
            f"{MAX_IN_FLIGHT} are the most. Lower it, or --timeout.",
            param_hint="'--rate'",
        )
    if rate * deadline > MAX_PINGS:
        raise click.BadParameter(
            f"{rate:g} pings a second for {deadline:g} s are more than {MAX_PINGS}. "
            "Lower it, or --deadline.",
            param_hint="'--rate'",
        )
    import resource

    files = in_flight + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < files:
        if hard != resource.RLIM_INFINITY and hard < files:
            raise click.BadParameter(
                f"it needs up to {files} open files, and this system allows {hard}. "
                "Lower it, or --timeout.",
                param_hint="'--rate'",
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))


def _check_command(
    command: tuple[str, ...], after_command: float | None, *, streak_s: float
) -> None:
    """Reject what can't be run, and a watch that ends before a streak of `streak_s` seconds can."""
    if after_command is not None and not command:
        raise click.BadParameter(
            "there is no COMMAND after which to watch; --deadline bounds the watch.",
            param_hint="'--after-command'",
        )
    if after_command is not None and after_command < streak_s:
        raise click.BadParameter(
            f"{after_command:g} s are too short: the streak begins after the command's end and "
            f"takes {streak_s:g} s at this --rate and --consecutive.",
            param_hint="'--after-command'",
        )
    if not command:
        return
    import shutil

    if shutil.which(command[0]) is None:
        raise click.BadParameter(
            f"{command[0]!r} is no program that can be run: does it exist, and is it executable?",
            param_hint="'COMMAND'",
        )
