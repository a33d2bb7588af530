"""The timeline of a rollout as inline SVG: time across, latency up, who answered, what failed.

Points that fall on one pixel are drawn once: the size depends on the picture, not on the pings.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from html import escape

from petsage.client.fact import Failure
from petsage.client.outcome import RolloutOutcome

# Okabe and Ito's colours, which colour-blind people tell apart; failures have the text's own.
# The expected release is round and blue; every other one is square, and has its own lane.
STYLE = """
.timeline { --r0: #0072b2; --r1: #e69f00; --r2: #009e73; --r3: #cc79a7; --band: #8883; }
@media (prefers-color-scheme: dark) { .timeline { --r0: #56b4e9; } }
.timeline svg { display: block; width: 100%; height: auto; }
.timeline .narrow { display: none; }
@media (max-width: 34rem) { .timeline .narrow { display: block; } .timeline .wide { display:
none; } }
.timeline text { fill: currentColor; font: 12px system-ui, sans-serif; }
.timeline path { fill: none; stroke-width: 3; }
.timeline .grid { stroke: #8885; stroke-width: 1; }
.timeline .band { fill: var(--band); stroke: currentColor; stroke-dasharray: 3 3; }
.timeline .r0 { stroke: var(--r0); stroke-linecap: round; }
.timeline .r1 { stroke: var(--r1); stroke-linecap: square; }
.timeline .r2 { stroke: var(--r2); stroke-linecap: square; }
.timeline .r3 { stroke: var(--r3); stroke-linecap: square; }
.timeline .lane { stroke-width: 8; stroke-linecap: butt; }
.timeline .failed { stroke: currentColor; stroke-width: 1.5; }
"""
_SHADES = 4
_WIDE, _NARROW = 760, 350
_PLOT_HEIGHT, _TOP, _AXIS, _LANE, _RIGHT = 260, 24, 24, 18, 20
# The scale of latency is logarithmic, from 1 ms to 10 s; what lies beyond stands on its edge.
_LEAST_S, _MOST_S = 0.001, 10.0
_GRID = ((0.001, "1 ms"), (0.01, "10 ms"), (0.1, "100 ms"), (1.0, "1 s"), (10.0, "10 s"))
_STEPS = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)

Cells = dict[int, set[int]]


def timeline(outcome: RolloutOutcome) -> str:
    """Return the figure: one picture for wide screens and one for narrow ones."""
    return (
        '<figure class="timeline">'
        f"{_Picture(outcome, _WIDE, 'wide').svg()}{_Picture(outcome, _NARROW, 'narrow').svg()}"
        "</figure>"
    )


def names(outcome: RolloutOutcome) -> list[str]:
    """Return the releases in the order of their colours: the expected one first."""
    found, new = outcome.record.releases, outcome.record.new_name
    # Blue is the new release's alone, also where it has never answered.
    return [new or outcome.expected or "", *(name for name in found if name != new)]


def path(cells: Cells) -> str:
    """Return the path data of cells by column: one stroke for each run of neighbours."""
    parts = []
    for x in sorted(cells):
        begin = last = None
        for y in [*sorted(cells[x]), None]:
            if begin is not None and last is not None and (y is None or y > last + 2):
                parts.append(f"M{x} {begin}" + (f"V{last}" if last > begin else "h0"))
                begin = None
            if begin is None:
                begin = y
            last = y
    return "".join(parts)


class _Picture:
    def __init__(self, outcome: RolloutOutcome, width: int, kind: str) -> None:
        self._outcome, self._width, self._kind = outcome, width, kind
        self._left = 84 if kind == "wide" else 64
        self._room = width - self._left - _RIGHT
        self._span = max(1.0, outcome.elapsed_s)
        self._names = names(outcome)
        self._floor = _TOP + _PLOT_HEIGHT
        self._answers: dict[str, Cells] = defaultdict(lambda: defaultdict(set))
        self._failures: dict[str, Cells] = defaultdict(lambda: defaultdict(set))
        for point in outcome.record.points():
            series = self._failures if point.failed else self._answers
            series[point.ending][self._x(point.due_s)].add(self._y(point.latency_s))

    def _x(self, seconds: float) -> int:
        share = min(1.0, max(0.0, seconds / self._span))
        return round(self._left + share * self._room)

    def _y(self, latency_s: float) -> int:
        held = min(_MOST_S, max(_LEAST_S, latency_s))
        share = math.log(held / _LEAST_S) / math.log(_MOST_S / _LEAST_S)
        # Two pixels are a cell: a dot is three wide.
        return 2 * round((self._floor - share * _PLOT_HEIGHT) / 2)

    def svg(self) -> str:
        lanes = len(self._names) + len(self._failures)
        height = self._floor + _AXIS + _LANE * lanes
        label = (
            f"Timeline of {self._span:.0f} seconds: the latency of each ping by release, "
            "failures, and the switch. The tables below hold the same numbers."
        )
        drawn = [self._switch(), self._outage(), *self._grid(), *self._dots(), *self._lanes()]
        return (
            f'<svg class="{self._kind}" viewBox="0 0 {self._width} {height}" role="img" '
            f'aria-label="{escape(label)}">{"".join(drawn)}</svg>'
        )

    def _switch(self) -> str:
        record, started = self._outcome.record, self._outcome.started_at
        if record.change is None:
            return ""
        begin, end = (at - started for at in sorted(record.change))
        label = f"the switch, {end - begin:.1f} s"
        if record.overlap_s:
            label = f"both answer, {end - begin:.1f} s"
        elif self._outcome.outage_s is not None:
            label = f"nobody answers, {end - begin:.1f} s"
        return self._band(begin, end, label, _TOP - 8)

    def _outage(self) -> str:
        """Return the band of an outage that is open at the end: to the right edge."""
        record = self._outcome.record
        if record.open_gap_s is None or not self._outcome.now.nobody:
            return ""
        label = f"nobody answers, {record.open_gap_s:.1f} s and on"
        # Within the picture: above it the switch has its words.
        return self._band(record.open_gap_begins_s, self._span, label, _TOP + 16)

    def _band(self, begin: float, end: float, label: str, y: int) -> str:
        x = self._x(begin)
        width = max(2, self._x(end) - x)
        anchor, at = ("start", x) if x < self._width * 0.6 else ("end", x + width - 4)
        return (
            f'<rect class="band" x="{x}" y="{_TOP}" width="{width}" height="{_PLOT_HEIGHT}"/>'
            f'<text x="{at}" y="{y}" text-anchor="{anchor}">{label}</text>'
        )

    def _grid(self) -> Iterable[str]:
        right = self._width - _RIGHT
        for latency, label in _GRID:
            y = self._y(latency)
            yield f'<path class="grid" d="M{self._left} {y}H{right}"/>'
            yield _text(self._left - 6, y + 4, "end", label)
        ticks = self._room / 64
        step = next((one for one in _STEPS if self._span / one <= ticks), _STEPS[-1])
        for number in range(int(self._span / step) + 1):
            at = number * step
            yield f'<path class="grid" d="M{self._x(at)} {self._floor}v4"/>'
            yield _text(self._x(at), self._floor + 17, "middle", _clock(at))

    def _dots(self) -> Iterable[str]:
        # The expected release lies on top; failures lie over everything.
        for name in reversed(self._names):
            yield f'<path class="{self._shade(name)}" d="{path(self._answers[name])}"/>'
        for cells in self._failures.values():
            marks = ((x, y) for x, column in cells.items() for y in column)
            yield f'<path class="failed" d="{_crosses(marks)}"/>'

    def _shade(self, name: str) -> str:
        return f"r{min(self._names.index(name), _SHADES - 1)}"

    def _lanes(self) -> Iterable[str]:
        y = self._floor + _AXIS + _LANE // 2
        apart = 2 + 2 * math.ceil(self._room / self._span / self._outcome.rate)
        for name in self._names:
            runs = _runs(sorted(self._answers[name]), apart)
            bars = "".join(f"M{begin} {y}H{end + 1}" for begin, end in runs)
            yield f'<path class="lane {self._shade(name)}" d="{bars}"/>'
            yield self._lane_label(y, name)
            y += _LANE
        for failure in Failure:
            if cells := self._failures.get(failure.value):
                yield f'<path class="failed" d="{_crosses((x, y) for x in sorted(cells))}"/>'
                yield self._lane_label(y, failure.value)
                y += _LANE

    def _lane_label(self, y: int, name: str) -> str:
        most = (self._left - 8) // 8
        shown = name if len(name) <= most else f"{name[: most - 1]}…"
        return _text(self._left - 6, y + 4, "end", shown, title=name)


def _text(x: int, y: int, anchor: str, words: str, title: str = "") -> str:
    told = f"<title>{escape(title)}</title>" if title else ""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{told}{escape(words)}</text>'


def _crosses(marks: Iterable[tuple[int, int]]) -> str:
    return "".join(f"M{x - 3} {y - 3}l6 6m-6 0l6-6" for x, y in marks)


def _runs(columns: list[int], apart: int) -> Iterable[tuple[int, int]]:
    """Yield the first and last of the columns that lie no more than `apart` from each other."""
    begin = last = None
    for x in columns:
        if begin is None or last is None:
            begin = x
        elif x - last > apart:
            yield begin, last
            begin = x
        last = x
    if begin is not None and last is not None:
        yield begin, last


def _clock(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:g} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
