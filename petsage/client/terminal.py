"""The live view on a terminal, drawn by rich four times a second in a thread of its own.

Import this module only where stderr is a terminal: loading rich takes longer than a ping.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from petsage.client.progress import (
    command_phrase,
    pings_phrase,
    shares_of,
    streak_phrase,
    window_seconds,
)
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
_MAX_ROWS = 8


@dataclass(frozen=True, slots=True)
class Row:
    """One line of who responds: a release, or the failed pings with their classes as `detail`.

    `share` is that of the last window; `spark` has one character per slice of the last time.
    """

    name: str
    colour: str
    share: float
    detail: str
    spark: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the view shows of a run; made by the loop's thread, drawn by the view's."""

    kind: str = ""
    expected: str = ""
    url: str = ""
    limit_s: float = 0.0
    pings: str = ""
    failed: str = ""
    rate: str = ""
    rows: list[Row] = field(default_factory=list)
    command: str = ""
    streak: str = ""
    done: float = 0.0
    doing: str = ""
    last_failure: str = ""


class LiveView:
    """Shows the run on the terminal; `close` removes what it shows."""

    is_live = True

    def __init__(self, stream: TextIO, *, colour: bool) -> None:
        self._console = Console(
            file=stream,
            force_terminal=True,
            # NO_COLOR alone would leave bold and dim.
            color_system="auto" if colour else None,
            markup=False,
            highlight=False,
            emoji=False,
        )
        self._began = time.monotonic()
        self._next = 0.0
        self._colours: dict[str, str] = {}
        self._snapshot = Snapshot()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._draw, name="petsage-view", daemon=True)
        self._thread.start()

    def __call__(self, run: Run, doing: str = "") -> None:
        """Take note of how far the run is."""
        now = time.monotonic()
        if now < self._next:
            return
        self._snapshot = snapshot(run, doing, self._colours)
        took = time.monotonic() - now
        self._next = now + max(REFRESH_SECONDS, took / _MAX_SHARE_OF_TIME)

    def write_line(self, line: str) -> None:
        """Write a line above the view."""
        self._console.print(Text.from_ansi(line), soft_wrap=True)

    def close(self) -> None:
        """Remove the view."""
        self._stop.set()
        self._thread.join(_LAST_DRAWING_SECONDS)

    def _draw(self) -> None:
        if self._stop.wait(_FIRST_SECONDS):
            return
        try:
            with Live(
                console=self._console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            ) as live:
                while True:
                    elapsed = time.monotonic() - self._began
                    view = render(self._snapshot, elapsed, self._console.width)
                    live.update(view, refresh=True)
                    if self._stop.wait(REFRESH_SECONDS):
                        return
        except (OSError, ValueError):
            # A terminal that is gone must not end the run.
            return


def snapshot(run: Run, doing: str, colours: dict[str, str]) -> Snapshot:
    """Return what to show of the run; `colours` remembers the colour of each release."""
    failures = run.history.failures
    streak = run.streak
    last = failures[-1] if failures else None
    return Snapshot(
        kind=run.kind,
        expected=run.expected or "",
        url=run.url,
        limit_s=run.limit_s,
        pings=pings_phrase(run).partition(",")[0],
        failed=f"{len(failures)} failed" if failures else "",
        rate=f" at {run.rate:g}/s" if run.rate else "",
        rows=list(_rows(run, colours)),
        command=command_phrase(run),
        streak=streak_phrase(run),
        done=0.0 if streak.waiting else min(1.0, streak.reached / streak.needed),
        doing=doing,
        last_failure=f"{last.failure}: {last.detail}" if last else "",
    )


def _rows(run: Run, colours: dict[str, str]) -> Iterator[Row]:
    history = run.history
    slice_s = window_seconds(run) / 5
    recent = history.window(slice_s * _SLICES)
    end = recent[-1].due_at if recent else 0.0
    slices: dict[str | None, list[list[PingResult]]] = {}
    for result in recent:
        name = history.release_of(result)
        if name is None and result.failure is None:
            continue
        of_name = slices.setdefault(name, [[] for _ in range(_SLICES)])
        of_name[max(0, _SLICES - 1 - int((end - result.due_at) / slice_s))].append(result)
        if name is not None and name not in colours:
            other = _COLOURS[len(colours) % len(_COLOURS)]
            colours[name] = _EXPECTED if history.is_expected(result) else other
    shares = dict(shares_of(run))
    names = [name for name in slices if name is not None]
    names.sort(key=lambda name: (colours[name] != _EXPECTED, name))
    highest = max((_p50(one) for name in names for one in slices[name] if one), default=0.0)
    for name in names[: _MAX_ROWS - 1]:
        all_of_it = [result for one in slices[name] for result in one]
        yield Row(
            name=name,
            colour=colours[name],
            share=shares.get(name, 0.0),
            detail=f"p50 {_p50(all_of_it) * 1000:.3g} ms",
            spark="".join(_spark(one, highest) for one in slices[name]),
        )
    if None in slices:
        failed = [result for one in slices[None] for result in one]
        counts = statistics.multimode(str(result.failure) for result in failed)
        total = sum(str(result.failure) == counts[0] for result in failed)
        yield Row(
            name="failed",
            colour=_FAILED,
            share=shares.get(None, 0.0),
            detail=f"{counts[0]} {total}",
            spark="".join("x" if one else "·" for one in slices[None]),
        )


def _p50(results: list[PingResult]) -> float:
    return statistics.median(result.latency_s for result in results)


def _spark(results: list[PingResult], highest: float) -> str:
    if not results:
        return " "
    level = _p50(results) / highest if highest else 0.0
    return _SPARKS[min(len(_SPARKS) - 1, int(level * len(_SPARKS)))]


def render(shown: Snapshot, elapsed_s: float, width: int) -> RenderableType:
    """Return the view of a snapshot; below 80 columns the least important is left out first."""
    lines: list[RenderableType] = [Text(), _header(shown, elapsed_s, width)]
    if shown.kind == "rollout" and shown.rows:
        lines += [Text(), _table(shown.rows, width), Text()]
    bar_width = 20 if width >= 60 else 0
    footer = Text("  ", no_wrap=True, overflow="ellipsis")
    if shown.command:
        footer.append(f"{shown.command}   ")
    if bar_width and shown.done:
        filled = round(bar_width * shown.done)
        footer.append("━" * filled, style="green").append("━" * (bar_width - filled), style="dim")
        footer.append(" ")
    lines.append(footer.append(shown.streak))
    note = shown.doing if shown.kind == "smoke-test" else shown.last_failure
    if note:
        label = "" if shown.kind == "smoke-test" else "last failure: "
        lines.append(Text(f"  {label}{note}", style="dim", no_wrap=True, overflow="ellipsis"))
    return Group(*lines)


def _header(shown: Snapshot, elapsed_s: float, width: int) -> Text:
    """Return the first line; where it is too long, the URL goes first and the failures last."""
    of_limit, pings_at_rate = f" of {shown.limit_s:g}", f"  {shown.pings}{shown.rate}"
    for url, limit, pings in (
        (f"  {shown.url}", of_limit, pings_at_rate),
        ("", of_limit, pings_at_rate),
        ("", "", f"  {shown.pings}"),
        ("", "", ""),
    ):
        line = Text("  ", no_wrap=True, overflow="ellipsis")
        line.append(shown.kind, style="bold")
        if shown.expected:
            line.append(f" {shown.expected}", style=f"bold {_EXPECTED}")
        line.append(url)
        line.append(f"  {elapsed_s:.0f} s{limit}", style="dim")
        line.append(pings)
        if shown.failed:
            line.append(f"  {shown.failed}", style=f"bold {_FAILED}")
        if line.cell_len <= width:
            break
    return line


def _table(rows: list[Row], width: int) -> Table:
    """Return a line per row; the sparkline needs 80 columns, the detail 60, the bar 40."""
    table = Table.grid(padding=(0, 1))
    bar_width = 28 if width >= 100 else 16
    table.add_column(justify="right", no_wrap=True, overflow="ellipsis", max_width=width // 3)
    for wide, justify in ((40, "left"), (0, "right"), (60, "left"), (80, "left")):
        if width >= wide:
            table.add_column(justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for row in rows:
        filled = max(1, round(bar_width * row.share)) if row.share else 0
        cells = [
            (0, Text(f"  {row.name}", style=row.colour)),
            (40, Text("█" * filled + " " * (bar_width - filled), style=row.colour)),
            (0, Text(f"{row.share:.0%}")),
            (60, Text(row.detail, style="dim")),
            (80, Text(row.spark, style=row.colour)),
        ]
        table.add_row(*(text for wide, text in cells if width >= wide))
    return table
