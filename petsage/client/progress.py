"""Shows on stderr how far a run is: a live view on a terminal, a plain line now and then elsewhere.

Nobody who reads slowly delays a ping: a line that would have to wait is left out.
"""

from __future__ import annotations

import select
import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from petsage.client.run import Run
    from petsage.client.terminal import LiveView

PLAIN_SECONDS = 10.0
# Who responds now is told by the last so many seconds, or by the last so many pings at a low rate.
_WINDOW_SECONDS = 5.0
_WINDOW_PINGS = 20


def progress_on(stream: TextIO | None, environ: Mapping[str, str]) -> PlainProgress | LiveView:
    """Return the progress for a stream; None shows nothing."""
    if stream is not None and stream.isatty() and environ.get("TERM") != "dumb":
        from petsage.client.terminal import LiveView

        return LiveView(stream, colour=not environ.get("NO_COLOR"))
    return PlainProgress(stream)


class PlainProgress:
    """A line every so many seconds, and at once when the command starts or ends.

    A thread of its own writes them, so that they go on while a ping or the log is waited for.
    """

    is_live = False

    def __init__(self, stream: TextIO | None, every_s: float = PLAIN_SECONDS) -> None:
        self._stream, self._every = stream, every_s
        self._began = time.monotonic()
        self._run: Run | None = None
        self._doing = self._command = ""
        self._stop = threading.Event()
        if stream is not None:
            threading.Thread(target=self._repeat, name="petsage-progress", daemon=True).start()

    def __call__(self, run: Run, doing: str = "") -> None:
        """Take note of the run, and of what it does now."""
        self._run, self._doing = run, doing
        before, self._command = self._command, command_phrase(run)
        if self._command != before and run.deploy and run.deploy.started_at is not None:
            self._write_progress()

    def _repeat(self) -> None:
        while not self._stop.wait(self._every):
            self._write_progress()

    def _write_progress(self) -> None:
        run = self._run
        if run is None:
            return
        shares = [
            f"{'failed' if name is None else name} {share:.0%}" for name, share in shares_of(run)
        ]
        counts = f"{time.monotonic() - self._began:.0f} s, {pings_phrase(run)}"
        parts = [counts, *shares, streak_phrase(run), self._command, self._doing]
        self.write_line(f"petsage: {', '.join(filter(None, parts))}")

    def write_line(self, line: str) -> None:
        """Write a line, unless it would have to wait."""
        stream = self._stream
        if stream is None or not takes_more(stream):
            return
        try:
            stream.write(line + "\n")
            stream.flush()
        except (OSError, ValueError):
            # A stream that is gone must not end the run.
            self._stream = None

    def close(self) -> None:
        """Write nothing more."""
        self._stop.set()


def takes_more(stream: TextIO) -> bool:
    """Return whether the stream takes something at once: a pager may take nothing for hours."""
    try:
        poll = select.poll()
        poll.register(stream.fileno(), select.POLLOUT)
    except (OSError, ValueError):
        # Not a file of the system's: writing will tell.
        return True
    return bool(poll.poll(0))


def shares_of(run: Run) -> list[tuple[str | None, float]]:
    """Return the share of each release in the last pings, the expected one first.

    The name None stands for the pings that failed; it comes last.
    """
    history = run.history
    counts: Counter[str | None] = Counter()
    expected = set()
    for result in history.window(window_seconds(run)):
        name = history.release_of(result)
        if name is not None or result.failure is not None:
            counts[name] += 1
        if history.is_expected(result):
            expected.add(name)
    total = counts.total()
    names = sorted(counts, key=lambda name: (name is None, name not in expected, name or ""))
    return [(name, counts[name] / total) for name in names]


def window_seconds(run: Run) -> float:
    """Return how many of the last seconds tell who responds now."""
    return max(_WINDOW_SECONDS, _WINDOW_PINGS / (run.rate or 1_000))


def pings_phrase(run: Run) -> str:
    """Return how many pings there were, and how many of them failed."""
    pings, failed = len(run.history.results), len(run.history.failures)
    return f"{pings} pings" + (f", {failed} failed" if failed else "")


def streak_phrase(run: Run) -> str:
    """Return how far the streak is, and what it still lacks."""
    streak = run.streak
    if streak.waiting:
        return f"waiting for {run.expected or 'the first correct response'}"
    phrase = f"{streak.reached} of {streak.needed} in a row"
    if streak.reached > streak.needed:
        phrase = f"{streak.reached} in a row ({streak.needed} needed)"
    if streak.instances_asked:
        phrase += f", {len(streak.instances)} of {streak.instances_asked} instances"
    missing = streak.missing_addresses(run.addresses)
    if streak.reached and missing:
        phrase += f", nothing yet from {', '.join(missing[:3])}"
    return phrase


def command_phrase(run: Run) -> str:
    """Return what has become of the command; nothing where there is none."""
    deploy = run.deploy
    if deploy is None:
        return ""
    name = deploy.argv[0].rpartition("/")[2]
    if deploy.started_at is None:
        return f"{name} starts once the service has responded for a second"
    if deploy.error:
        return f"{name} could not be started: {deploy.error}"
    if deploy.ended_at is None:
        return f"{name} runs"
    if deploy.exit_code:
        return f"{name} failed with exit code {deploy.exit_code}; Ctrl-C ends the watch"
    return f"{name} has ended"
