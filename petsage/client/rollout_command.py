"""Wires `petsage rollout`: faults of usage first, then the watch and its report."""

from __future__ import annotations

import math
import resource
import shutil
import subprocess
import sys

import click

from petsage.client.deploy import Deploy, Relay
from petsage.client.fact import Fact
from petsage.client.interrupts import Interrupts
from petsage.client.open_loop import Due
from petsage.client.options import Shared
from petsage.client.ping import Marks, ping
from petsage.client.rollout import Plan, rollout
from petsage.client.rollout_findings import Budget
from petsage.client.rollout_progress import RolloutProgress
from petsage.client.wiring import wired

# Each ping in flight has a thread and a connection.
MOST_IN_FLIGHT = 2_000
# What is kept of each ping is a few bytes: so many fit anywhere.
MOST_PINGS = 1_000_000
# Files that are open anyway: the standard ones, the report, the command's.
_OTHER_FILES = 64


def run(
    interrupts: Interrupts,
    url: str,
    command: tuple[str, ...],
    shared: Shared,
    *,
    expected: str,
    rate: float,
    consecutive: int,
    deadline: float,
    after_command: float | None,
    max_failures: int,
    max_gap: float | None,
    max_latency: float | None,
    require_switch: bool,
) -> int:
    """Watch the rollout, write its report and return the exit code."""
    timeout = shared.timeout
    _check_rate(rate, timeout, deadline)
    # The first ping that is due after the command's end may be due an interval later.
    _check_command(command, after_command, row_s=(consecutive + 1) / rate)
    wiring, marks = wired(url, shared), Marks()

    def send(due: Due) -> Fact:
        expect = marks.unborne_release() if due.control else expected
        return ping(wiring.client, marks, expect=expect, timeout=timeout, due=due.at)

    progress = RolloutProgress(
        wiring.stream,
        live=wiring.live,
        rate=rate,
        deadline=deadline,
        after_command=after_command,
    )
    relay = deploy = None
    if command:
        own = subprocess.DEVNULL if sys.stderr is None else sys.stderr.fileno()
        relay = Relay(progress.say_above, own) if wiring.live and not shared.quiet else None
        deploy = Deploy(command, relay.side if relay else own)
        interrupts.hurry = deploy.kill
    outcome = rollout(
        Plan(
            url=url,
            expected=expected,
            rate=rate,
            consecutive=consecutive,
            deadline=deadline,
            after_command=after_command,
            timeout=timeout,
            budget=Budget(max_failures, max_gap, max_latency, require_switch=require_switch),
        ),
        send,
        deploy=deploy,
        during=interrupts.during,
        progress=progress,
    )
    if relay:
        relay.close()
    progress.clear()
    wiring.sink.write(outcome)
    return int(outcome.exit_code)


def _check_rate(rate: float, timeout: float, deadline: float) -> None:
    """Refuse what could not be kept: then no ping ever waits for another one's end."""
    if math.isnan(rate):
        # It lies in any range, as no comparison with it holds.
        raise click.BadParameter("nan is no number.", param_hint="'--rate'")
    in_flight = round(rate * timeout)
    if in_flight > MOST_IN_FLIGHT:
        raise click.BadParameter(
            f"{rate:g} pings a second of up to {timeout:g} s each may be {in_flight} at once; "
            f"{MOST_IN_FLIGHT} are the most. Lower it, or --timeout.",
            param_hint="'--rate'",
        )
    if rate * deadline > MOST_PINGS:
        raise click.BadParameter(
            f"{rate:g} pings a second for {deadline:g} s are more than {MOST_PINGS}. "
            "Lower it, or --deadline.",
            param_hint="'--rate'",
        )
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


def _check_command(command: tuple[str, ...], after_command: float | None, *, row_s: float) -> None:
    """Refuse what can't be run, and a watch that ends before a row of `row_s` seconds can."""
    if after_command is not None and not command:
        raise click.BadParameter(
            "there is no COMMAND after which to watch on; --deadline bounds the watch.",
            param_hint="'--after-command'",
        )
    if after_command is not None and after_command < row_s:
        raise click.BadParameter(
            f"{after_command:g} s are too short: the row that passes stands after the command's "
            f"end and takes {row_s:g} s at this --rate and --consecutive.",
            param_hint="'--after-command'",
        )
    if command and shutil.which(command[0]) is None:
        raise click.BadParameter(
            f"{command[0]!r} is no program that can be run: is it there, and executable?",
            param_hint="'COMMAND'",
        )
