"""Wires `petsage smoke-test`: faults of usage first, then the run and its report."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import click

from petsage.client.exchange import Client
from petsage.client.fact import Fact
from petsage.client.interrupts import Interrupts
from petsage.client.logs import LogWatch
from petsage.client.options import Shared, unusable
from petsage.client.ping import Marks, ping
from petsage.client.progress import Progress
from petsage.client.refusals import Refusal, Refused, refuse
from petsage.client.smoke_test import Plan, smoke_test
from petsage.client.wiring import wired

CONSECUTIVE = 3
CONSECUTIVE_WITH_RELEASE = 20
LOGS_WITHIN = 30.0


def run(
    interrupts: Interrupts,
    url: str,
    shared: Shared,
    *,
    expected: str | None,
    wait: float,
    consecutive: int | None,
    interval: float,
    instances: int | None,
    no_refusals: bool,
    logs: str | None,
    logs_within: float | None,
) -> int:
    """Run the smoke test, write its report and return the exit code."""
    _check_logs(logs, logs_within)
    wiring = wired(url, shared)
    marks = Marks()
    watch = _watch(logs, marks)
    progress = Progress(wiring.stream, live=wiring.live)
    outcome = smoke_test(
        Plan(
            url=url,
            expected=expected,
            consecutive=consecutive or (CONSECUTIVE_WITH_RELEASE if expected else CONSECUTIVE),
            instances=instances,
            wait=wait,
            interval=interval,
            timeout=shared.timeout,
            refusals=not no_refusals,
            logs_within=LOGS_WITHIN if logs_within is None else logs_within,
        ),
        Remote(wiring.client, marks, interrupts, expected=expected, timeout=shared.timeout),
        await_line=interrupts.during(watch.await_line) if watch else None,
        sleep=interrupts.during(time.sleep),
        progress=progress,
    )
    progress.clear()
    wiring.sink.write(outcome)
    return int(outcome.exit_code)


class Remote:
    """The service, as the loop asks it: a signal may end each question.

    `timeout` (seconds) is that of each refusal.
    """

    def __init__(
        self,
        client: Client,
        marks: Marks,
        interrupts: Interrupts,
        *,
        expected: str | None,
        timeout: float,
    ) -> None:
        self._client, self._marks = client, marks
        self._expected, self._timeout = expected, timeout
        self._ping = interrupts.during(ping)
        self._refuse = interrupts.during(refuse)

    def ping(self, expect: str | None, timeout: float) -> Fact:
        """Send one ping."""
        return self._ping(self._client, self._marks, expect=expect, timeout=timeout)

    def control(self, timeout: float) -> Fact:
        """Send a ping that expects a release which no service bears."""
        return self.ping(self._marks.unborne_release(), timeout)

    def refuse(self, refusal: Refusal) -> Refused:
        """Send a request that must be refused."""
        return self._refuse(
            self._client, self._marks, refusal, expect=self._expected, timeout=self._timeout
        )


def _check_logs(logs: str | None, logs_within: float | None) -> None:
    if logs is None:
        if logs_within is not None:
            raise click.BadParameter(
                "there is no log to read; name it with --logs.", param_hint="'--logs-within'"
            )
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
        raise unusable("--logs", logs, "be read", fault) from None


def _watch(logs: str | None, marks: Marks) -> LogWatch | None:
    if logs is None:
        return None
    watch = LogWatch(marks.run)
    return watch.read(0) if logs == "-" else watch.follow(logs)
