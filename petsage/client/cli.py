"""The command line: the group of commands, its exit codes, and what becomes of errors.

Only click is loaded here. A command loads the rest when it runs.
"""

from __future__ import annotations

import contextlib
import sys
import traceback
from typing import NoReturn

import click

from petsage import __version__
from petsage.client.options import help_option
from petsage.client.rollout_cli import rollout_command
from petsage.client.signals import EXIT_CODE, Interrupted, Signals
from petsage.client.smoke_test_cli import smoke_test_command

INTERNAL_ERROR = 70  # EX_SOFTWARE of sysexits.h
USAGE_ERROR = 2


@click.group(
    context_settings={"max_content_width": 96, "auto_envvar_prefix": "PETSAGE"},
    epilog="""\b
Exit codes, the same for every command; they say what is true at the end:
    0  passed          go on
    1  wrong           the expected release responds incorrectly: roll back
    2  usage           fix the call
    3  down            no response from the service: refused, reset, timeout,
                       a proxy's 5xx
    4  old             only another release responds: the deploy did not take
                       effect, or is slow
    5  unproven        not all of it is proved: two releases respond, an
                       address or instance is missing, too slow: look, and run
                       it again
    6  log-missing     the log line did not arrive
    7  over-budget     rollout: more failed pings, a longer gap or a higher
                       latency than allowed, or no switch
    8  command-failed  rollout: the command failed, was stopped or not started
    9  not-reached     something else responds (a redirect, a login, a parking
                       page), or the name, the route or the proxy fails here:
                       check the URL, never roll back
   70  internal        a bug of petsage
  130  interrupted     by a signal; the report of what was seen is written

\b
Every option can be set in the environment, as PETSAGE_<COMMAND>_<OPTION>:
  PETSAGE_SMOKE_TEST_WAIT=120, PETSAGE_ROLLOUT_MAX_GAP=0.5
  PETSAGE_SMOKE_TEST_HEADER='Authorization: Bearer abc'
A repeatable option's variable has one value per line.
""",
)
@click.version_option(
    __version__, prog_name="petsage", message="%(prog)s %(version)s", allow_from_autoenv=False
)
@help_option
def cli() -> None:
    """Prove that the release you deployed is the one that responds, everywhere and strictly."""


cli.add_command(smoke_test_command)
cli.add_command(rollout_command)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit: with a verdict, and never with a traceback."""
    sys.exit(exit_status(arguments))


def exit_status(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    try:
        status = cli.main(arguments, prog_name="petsage", standalone_mode=False, obj=Signals())
    except click.ClickException as error:
        with contextlib.suppress(OSError):
            error.show()
        return USAGE_ERROR
    except (click.Abort, KeyboardInterrupt, Interrupted):
        return EXIT_CODE
    except SystemExit:
        # Help whose reader has gone. click exits with 1 for that, which is a verdict here.
        return INTERNAL_ERROR
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        with contextlib.suppress(OSError):
            click.echo(
                f"petsage: internal error, no verdict: {type(error).__name__}: {error} "
                f"({where.filename}:{where.lineno}). "
                "Please report it.",
                err=True,
            )
        return INTERNAL_ERROR
    return int(status or 0)
