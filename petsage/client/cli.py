"""The command line: it reads what the user wants, has the command run, and sets the exit code.

Only click is loaded at once; the rest comes with the command that needs it.
"""

from __future__ import annotations

import contextlib
import sys
from typing import Any, NoReturn

import click

from petsage import __version__
from petsage.client.interrupts import EXIT_CODE, Interrupted, Interrupts
from petsage.client.options import (
    Shared,
    count_option,
    release_option,
    seconds_option,
    shared_options,
)

INTERNAL_FAULT = 70  # EX_SOFTWARE of sysexits.h: no verdict, so none of the codes below 10.


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 96},
    epilog="""\b
Exit codes, the same for every command:
    0  passed
    1  answered, but wrongly: contract broken, redirect, not PetSage
    2  usage
    3  unreachable until the deadline: DNS, refused, TLS, timeout, a proxy's 5xx
    4  only another release answered until the deadline
    5  mixed: another release too, or fewer instances than asked for
    6  the log line did not arrive
    7  the rollout went over its budget
    8  the command that a rollout ran failed
   70  a fault of petsage itself, without a verdict
  130  interrupted; the report of what was seen is still written
""",
)
@click.version_option(__version__, prog_name="petsage", message="%(prog)s %(version)s")
def cli() -> None:
    """Ask a deployed PetSage service whether the new release is there, everywhere and strictly."""


@cli.command(
    name="smoke-test",
    epilog="""\b
Examples:
  petsage smoke-test https://app.example
  petsage smoke-test https://app.example --expect-release v43 --wait 120
  petsage smoke-test https://app.example --expect-release v43 --instances 2
  petsage smoke-test https://app.example --format junit --output report.xml
  petsage smoke-test https://app.example -H 'Authorization: Bearer abc' -q
  heroku logs --tail | petsage smoke-test https://app.example --logs -
""",
)
@click.argument("url")
@release_option("must answer")
@seconds_option(
    "--wait", "How long to wait for the row of right answers to be whole.", default=60.0
)
@count_option(
    "--consecutive", "Right answers needed in a row.  [default: 3; 20 with --expect-release]"
)
@seconds_option("--interval", "Pause between the pings of the row.", default=0.01, least=0.0)
@count_option("--instances", "Distinct instances that must stand in the row.", metavar="K")
@click.option("--no-refusals", is_flag=True, help="Don't check that bad requests are refused.")
@click.option(
    "--logs",
    metavar="FILE|-",
    help="Read the far end of the log pipeline; pass only when the last ping's line arrives.",
)
@seconds_option("--logs-within", "How long the log line may take from its answer.  [default: 30]")
@shared_options
@click.pass_obj
def smoke_test_command(interrupts: Interrupts, /, url: str, shared: Shared, **options: Any) -> int:
    """Prove that the service at URL answers, rightly, and from the release that you expect.

    URL is the service's base, such as https://app.example, a prefix path allowed.
    """
    from petsage.client.smoke_test_command import run

    return run(interrupts, url, shared, **options)


@cli.command(
    name="rollout",
    epilog="""\b
Examples:
  petsage rollout https://app.example --expect-release v43
  petsage rollout https://app.example --expect-release v43 -- git push heroku main
  petsage rollout https://app.example --expect-release v43 --after-command 60 -- ./deploy.sh
  petsage rollout https://app.example --expect-release v43 --rate 50 --max-gap 0.5
  petsage rollout https://app.example --expect-release v43 --output timeline.html
  petsage rollout https://app.example --expect-release v43 --deadline 300 --max-failures 3 -q
""",
)
@click.argument("url")
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND ...]")
@release_option("is to take over", required=True)
@click.option(
    "--rate",
    metavar="N",
    type=click.FloatRange(0.1, 1_000),
    default=10.0,
    show_default=True,
    help="Pings a second, whatever the answers do.",
)
@count_option(
    "--consecutive", "Right answers in a row, by due time, that end the watch.", default=20
)
@seconds_option("--deadline", "How long to send pings at most.", default=900.0)
@seconds_option(
    "--after-command",
    "How long to watch on at most once COMMAND has ended.  [default: until --deadline]",
)
@click.option(
    "--max-failures",
    metavar="N",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Pings that may fail.",
)
@seconds_option("--max-gap", "The longest time between two successes.")
@seconds_option("--max-latency", "The longest time from a ping's due moment to its answer.")
@click.option(
    "--require-switch",
    is_flag=True,
    help="Fail (7) where no other release was seen to answer before; else that is a warning.",
)
@shared_options
@click.pass_obj
def rollout_command(
    interrupts: Interrupts, /, url: str, command: tuple[str, ...], shared: Shared, **options: Any
) -> int:
    """Watch the new release take over at URL, and prove that nobody noticed the switch.

    Start it before the deploy, or let it run the deploy itself: COMMAND is started once the
    service is seen to answer, and its output goes to stderr.
    """
    from petsage.client.rollout_command import run

    return run(interrupts, url, command, shared, **options)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit: with a verdict, never with a traceback."""
    sys.exit(exit_status(arguments))


def exit_status(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    try:
        status = cli.main(arguments, prog_name="petsage", standalone_mode=False, obj=Interrupts())
    except click.ClickException as fault:
        with contextlib.suppress(OSError):
            fault.show()
        return fault.exit_code
    except (click.Abort, KeyboardInterrupt, Interrupted):
        return EXIT_CODE
    except SystemExit:
        # Help whose reader has gone. Click makes it a 1; that, and 0 too, would be a verdict here.
        return INTERNAL_FAULT
    except Exception as fault:
        where = fault.__traceback__
        while where and where.tb_next:
            where = where.tb_next
        place = f"{where.tb_frame.f_code.co_filename}:{where.tb_lineno}" if where else "?"
        with contextlib.suppress(OSError):
            click.echo(
                f"petsage: internal fault, no verdict: {type(fault).__name__}: {fault} ({place}). "
                "Please report it.",
                err=True,
            )
        return INTERNAL_FAULT
    return int(status or 0)
