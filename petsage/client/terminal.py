"""The live view on a terminal, drawn by rich four times a second in a thread of its own.

Import this module only where stderr is a terminal: loading rich takes longer than a ping.
"""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections import Counter
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from petsage.client.progress import command_phrase, shares_of, streak_phrase, window_seconds
from petsage.client.result import PingResult

if TYPE_CHECKING:
    from petsage.client.run import Run

REFRESH_SECONDS = 0.25
# What is drawn takes at most this share of the time, however many pings there are.
_MAX_SHARE_OF_TIME = 0.05
# A run that ends sooner shows nothing.
_FIRST_SECONDS = 0.5
# A terminal that takes nothing (Ctrl-S) does not delay the end of the run for longer.
_LAST_DRAWING_SECONDS = 1.0
_COLOURS = ("yellow", "magenta", "green", "blue", "white")
_EXPECTED, _FAILED = "cyan", "red"
_SPARKS = "▁▂▃▄▅▆▇█"
_SLICES = 24
_MAX_RELEASES = 7
# Of the streak.
_BAR = 20


class LiveView:
    """Shows the run on the terminal; `close` removes what it shows."""

    is_live = True

    def __init__(self, stream: TextIO, *, colour: bool) -> None:
        # A stream of its own: Python can't exit while a thread is blocked in writing to sys.stderr.
        own = os.fdopen(os.dup(stream.fileno()), "w", encoding=stream.encoding, errors="replace")
        self._console = Console(
            file=own,
            force_terminal=True,
            # NO_COLOR alone would leave bold and dim.
            color_system="auto" if colour else None,
            markup=False,
            highlight=False,
            emoji=False,
        )
        self._began = time.monotonic()
        self._run: Run | None = None
        self._doing = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._draw, name="petsage-view", daemon=True)
        self._thread.start()

    def __call__(self, run: Run, doing: str = "") -> None:
        """Take note of the run, and of what it does now."""
        self._run, self._doing = run, doing

    def write_line(self, line: str) -> None:
        """Write a line above the view."""
        with suppress(OSError, ValueError):
            self._console.print(Text.from_ansi(line), soft_wrap=True)

    def close(self) -> None:
        """Remove the view."""
        self._stop.set()
        self._thread.join(_LAST_DRAWING_SECONDS)
        if not self._thread.is_alive():
            self._console.file.close()

    def _draw(self) -> None:
        if self._stop.wait(_FIRST_SECONDS):
            return
        live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        colours: dict[str, str] = {}
        # A terminal that is gone must not end the run.
        with suppress(OSError, ValueError), live:
            while True:
                began = time.monotonic()
                if self._run is not None:
                    elapsed_s, width = began - self._began, self._console.width
                    live.update(view(self._run, self._doing, elapsed_s, width, colours))
                    live.refresh()
                took = time.monotonic() - began
                if self._stop.wait(max(REFRESH_SECONDS, took / _MAX_SHARE_OF_TIME)):
                    return


def view(
    run: Run, doing: str, elapsed_s: float, width: int, colours: dict[str, str]
) -> RenderableType:
    """Return the view of a run; below 80 columns the least important is left out first.

    `colours` remembers the colour of each release.
    """
    streak, failures = run.streak, run.history.failures
    lines: list[RenderableType] = ["", _header(run, len(failures), elapsed_s, width)]
    note = doing
    if run.kind == "rollout":
        lines += ["", _table(run, width, colours), ""]
        note = f"last failure: {failures[-1].failure}: {failures[-1].detail}" if failures else ""
    command, phrase = command_phrase(run), streak_phrase(run)
    footer = _line().append(f"{command}   " if command else "")
    if not streak.waiting and footer.cell_len + _BAR + 1 + len(phrase) <= width:
        filled = min(_BAR, _BAR * streak.reached // streak.needed)
        footer.append("━" * filled, style="green").append("─" * (_BAR - filled), style="dim")
        footer.append(" ")
    lines.append(footer.append(phrase))
    if note:
        lines.append(_line().append(note, style="dim"))
    return Group(*lines)


def _line() -> Text:
    return Text("  ", no_wrap=True, overflow="ellipsis")


def _header(run: Run, failed: int, elapsed_s: float, width: int) -> Text:
    """Return the first line; where it is too long, the URL goes first and the failures last."""
    pings, rate = f"  {len(run.history.results)} pings", f" at {run.rate:g}/s" if run.rate else ""
    limit = f" of {run.limit_s:g}"
    for url, of_limit, count in (
        (f"  {run.url}", limit, pings + rate),
        ("", limit, pings + rate),
        ("", "", pings),
        ("", "", ""),
    ):
        line = _line().append(run.kind, style="bold")
        line.append(f" {run.expected or ''}", style=f"bold {_EXPECTED}").append(url)
        line.append(f"  {elapsed_s:.0f} s{of_limit}", style="dim").append(count)
        if failed:
            line.append(f"  {failed} failed", style=f"bold {_FAILED}")
        if line.cell_len <= width:
            break
    return line


def _table(run: Run, width: int, colours: dict[str, str]) -> Table:
    """Return a line per release and one for the failed pings.

    Each has its share of the last pings, the p50 and a sparkline, or the most frequent failure and
    marks. The sparkline needs 80 columns, these words 60 and the bar 40.
    """
    slices = _slices(run)
    shares = dict(shares_of(run))
    for name, of_name in slices.items():
        if name is not None and name not in colours:
            expected = run.history.is_expected(next(chain.from_iterable(of_name)))
            colours[name] = _EXPECTED if expected else _COLOURS[len(colours) % len(_COLOURS)]
    names = sorted(filter(None, slices), key=lambda name: (colours[name] != _EXPECTED, name))
    highest = max((_p50(part) for name in names for part in slices[name] if part), default=1.0)
    bar = 28 if width >= 100 else 16
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right", no_wrap=True, overflow="ellipsis", max_width=width // 3)
    for name in [*names[:_MAX_RELEASES], *([None] if None in slices else [])]:
        results = list(chain.from_iterable(slices[name]))
        share = shares.get(name, 0.0)
        if name is None:
            colour = _FAILED
            failure, count = Counter(str(one.failure) for one in results).most_common(1)[0]
            words = f"{failure} {count}"
            marks = "".join("x" if part else "·" for part in slices[name])
        else:
            colour = colours[name]
            words = f"p50 {_p50(results) * 1000:.3g} ms"
            marks = "".join(_spark(part, highest) for part in slices[name])
        filled = max(1, round(bar * share)) if share else 0
        cells = [
            (0, Text(f"  {'failed' if name is None else name}", style=colour)),
            (40, Text(("█" * filled).ljust(bar), style=colour)),
            (0, Text(f"{share:.0%}".rjust(4))),
            (60, Text(words, style="dim")),
            (80, Text(marks, style=colour)),
        ]
        table.add_row(*(cell for needed, cell in cells if width >= needed))
    return table


def _slices(run: Run) -> dict[str | None, list[list[PingResult]]]:
    """Return the last results of each release, and of None for the failed ones, by time."""
    history, seconds = run.history, window_seconds(run) / 5
    recent = history.window(seconds * _SLICES)
    found: dict[str | None, list[list[PingResult]]] = {}
    for result in recent:
        name = history.release_of(result)
        if name is not None or result.failure is not None:
            ago = int((recent[-1].due_at - result.due_at) / seconds)
            of_name = found.setdefault(name, [[] for _ in range(_SLICES)])
            of_name[max(0, _SLICES - 1 - ago)].append(result)
    return found


def _p50(results: list[PingResult]) -> float:
    return statistics.median(result.latency_s for result in results)


def _spark(results: list[PingResult], highest: float) -> str:
    if not results:
        return " "
    return _SPARKS[min(len(_SPARKS) - 1, int(_p50(results) / (highest or 1.0) * len(_SPARKS)))]
