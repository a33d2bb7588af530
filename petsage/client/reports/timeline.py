"""The timeline of a rollout as inline SVG: time across, latency up, and who responds.

Pings that fall on one cell are drawn once, the more the darker: the size depends on the picture,
not on the number of pings.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from html import escape

from petsage.client.history import percentile
from petsage.client.reports.figures import milliseconds, printable
from petsage.client.result import PingResult
from petsage.client.run import Run
from petsage.client.wording import named, pairs

# Okabe and Ito's colours, which colour-blind people can tell apart; failures are crosses too. On a
# narrow screen the picture shrinks and its letters don't.
STYLE = """
figure { --r0: #0072b2; --r1: #e69f00; --r2: #009e73; --r3: #cc79a7; margin: 1.5rem 0; }
@media (prefers-color-scheme: dark) { figure { --r0: #56b4e9; } }
figure svg { display: block; width: 100%; height: auto; }
figure text { fill: currentColor; font: 12px system-ui, sans-serif; }
figure path { fill: none; stroke-width: 1; }
.grid { stroke: #8886; } .band { fill: #8883; } .mark { stroke: currentColor; }
.mark, .p95 { stroke-dasharray: 4 3; } .p50, .p95 { stroke: currentColor; }
figure path.p50 { stroke-width: 2; }
figure .dots { stroke-width: 3; stroke-linecap: round; }
.d1 { opacity: .35; } .d2 { opacity: .65; }
.r0 { stroke: var(--r0); } .r1 { stroke: var(--r1); } .r2 { stroke: var(--r2); }
.r3 { stroke: var(--r3); } .failed { stroke: var(--bad); }
figure path.failed { stroke-width: 1.5; }
.share.r0 { fill: var(--r0); } .share.r1 { fill: var(--r1); } .share.r2 { fill: var(--r2); }
.share.r3 { fill: var(--r3); } .share.failed { fill: var(--bad); } figure .share { stroke: none; }
.slice { fill: transparent; } .slice:hover { fill: #8884; }
figcaption { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; font-size: .85rem;
  overflow-wrap: anywhere; }
figcaption svg { display: inline-block; width: 1.6em; height: .8em; margin-right: .3em; }
@media (max-width: 34rem) { figure text { font-size: 22px; } .minor { display: none; } }
@media print { figure { break-inside: avoid; } .slice { display: none; } }
"""
_WIDTH, _LEFT, _RIGHT, _TOP, _PLOT, _AXIS, _AREA = 760, 92, 26, 34, 260, 64, 64
_FLOOR = _TOP + _PLOT
_AREA_TOP = _FLOOR + _AXIS
_HEIGHT = _AREA_TOP + _AREA + 4
_ROOM = _WIDTH - _LEFT - _RIGHT
_SHADES, _SLICES, _CELL, _CROSS = 4, 95, 2, 6
# A slice of time has at least so many pings, or its percentiles would say nothing.
_PINGS_IN_SLICE = 5
# The scale of latency is logarithmic; what lies beyond it stands on its edge.
_LEAST_S, _MOST_S = 0.001, 10.0
_GRID = ((0.001, "1 ms"), (0.01, "10 ms"), (0.1, "100 ms"), (1.0, "1 s"), (10.0, "10 s"))
_STEPS = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
# The kind of a failed ping; no release's name, as those are printable.
_FAILED = "\0failed"


def timeline(run: Run) -> str:
    """Return the figure of a run: its picture and a legend."""
    return _Timeline(run).figure()


class _Timeline:
    def __init__(self, run: Run) -> None:
        self._run = run
        self._span = max(1.0, run.elapsed_s)
        releases = run.history.releases.values()
        by_expected = sorted(releases, key=lambda one: not run.history.is_expected(one.results[0]))
        expected = any(run.history.is_expected(one.results[0]) for one in releases)
        # The first colour is the expected release's alone.
        names = [one.name for one in by_expected] if expected else ["", *(o.name for o in releases)]
        self._shades = {name: f"r{min(n, _SHADES - 1)}" for n, name in enumerate(names)}
        self._pings = [
            (one, run.history.release_of(one) or (_FAILED if one.failure else None))
            for one in run.history.results
        ]

    def figure(self) -> str:
        label = (
            f"Timeline of {self._span:.0f} seconds: the latency of each ping by release, failed "
            "pings, and who responds. The tables below have the numbers."
        )
        parts = [
            *self._bands(),
            *self._grid(),
            *self._dots(),
            *self._crosses(),
            *self._slices(),
            *self._marks(),
        ]
        return (
            f'<figure><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
            f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
            f"<figcaption>{''.join(self._legend())}</figcaption></figure>"
        )

    def _seconds(self, instant: float) -> float:
        return instant - self._run.started_at

    def _x(self, seconds: float) -> int:
        return _LEFT + round(min(1.0, max(0.0, seconds / self._span)) * _ROOM)

    def _y(self, latency_s: float) -> int:
        bounded = min(_MOST_S, max(_LEAST_S, latency_s))
        share = math.log(bounded / _LEAST_S) / math.log(_MOST_S / _LEAST_S)
        return _CELL * round((_FLOOR - share * _PLOT) / _CELL)

    def _bands(self) -> Iterator[str]:
        history = self._run.history
        change, open_gap = history.switch.change, history.open_gap
        if change is not None:
            begin, end = sorted(map(self._seconds, change))
            if history.switch.overlap_s:
                yield self._band(begin, end, "both respond")
            elif history.outage_s is not None:
                yield self._band(begin, end, "nothing responds")
        if open_gap is not None and self._run.current.outcome is not None:
            yield self._band(self._seconds(open_gap.began_at), self._span, "nothing responds")

    def _band(self, begin: float, end: float, what: str) -> str:
        x = self._x(begin)
        width = max(2, self._x(end) - x)
        side, at = ("start", x) if x < _WIDTH / 2 else ("end", x + width)
        return (
            f'<rect class="band" x="{x}" y="{_TOP}" width="{width}" height="{_HEIGHT - _TOP}"/>'
            f"{_text(at, _TOP - 10, side, f'{what}, {end - begin:.1f} s')}"
        )

    def _grid(self) -> Iterator[str]:
        for latency, label in _GRID:
            y = self._y(latency)
            yield f'<path class="grid" d="M{_LEFT} {y}h{_ROOM}"/>'
            yield _text(_LEFT - 6, y + 4, "end", label)
        step = next((one for one in _STEPS if self._span / one <= _ROOM / 64), _STEPS[-1])
        for number in range(int(self._span / step) + 1):
            x = self._x(number * step)
            yield f'<path class="grid" d="M{x} {_FLOOR}v4"/>'
            kind = "minor" if number % 3 else ""
            yield _text(x, _FLOOR + 24, "middle", _clock(number * step), kind)

    def _dots(self) -> Iterator[str]:
        cells: dict[str, Counter[tuple[int, int]]] = defaultdict(Counter)
        for one, name in self._pings:
            if name is not None and name != _FAILED:
                x = self._x(self._seconds(one.due_at))
                cells[name][x, self._y(one.latency_s)] += 1
        # The expected release lies on top.
        for name in reversed(self._shades):
            most = max(cells[name].values(), default=1)
            for density in (1, 2, 3):
                # By the logarithm, so that single pings stay visible beside hundreds on one cell.
                dots = [
                    at
                    for at, pings in cells[name].items()
                    if math.ceil(3 * math.log(pings + 1, most + 1) - 1e-9) == density
                ]
                if dots:
                    kind = f"dots {self._shades[name]} d{density}"
                    yield f'<path class="{kind}" d="{_strokes(dots)}"/>'

    def _crosses(self) -> Iterator[str]:
        places = dict.fromkeys(
            (
                _CROSS * round(self._x(self._seconds(one.due_at)) / _CROSS),
                _CROSS * round(self._y(one.latency_s) / _CROSS),
            )
            for one, name in self._pings
            if name == _FAILED
        )
        if places:
            crosses = "".join(f"M{x - 3} {y - 3}l6 6m-6 0l6-6" for x, y in places)
            yield f'<path class="failed" d="{crosses}"/>'

    def _slices(self) -> Iterator[str]:
        """Yield p50 and p95, who responds, and for each slice of time a title with its numbers."""
        count = max(1, min(_SLICES, len(self._pings) // _PINGS_IN_SLICE))
        slices: list[list[tuple[PingResult, str]]] = [[] for _ in range(count)]
        for one, name in self._pings:
            if name is not None:
                at = int(self._seconds(one.due_at) / self._span * count)
                slices[min(count - 1, max(0, at))].append((one, name))
        lines: dict[str, list[str]] = {"p50": [], "p95": []}
        shares: dict[str, list[str]] = defaultdict(list)
        titles = []
        for number, pings in enumerate(slices):
            left = _LEFT + round(number * _ROOM / count)
            width = _LEFT + round((number + 1) * _ROOM / count) - left
            latencies = sorted(one.latency_s for one, name in pings if name != _FAILED)
            for rank, line in lines.items():
                # A slice without a response breaks the line.
                if latencies:
                    y = self._y(percentile(latencies, int(rank[1:])))
                    line.append(f"{'L' if line and line[-1] else 'M'}{left + width // 2} {y}")
                else:
                    line.append("")
            counts = Counter(name for _, name in pings)
            bottom = float(_AREA_TOP + _AREA)
            for name in [*self._shades, _FAILED]:
                if height := counts[name] / max(1, len(pings)) * _AREA:
                    bottom -= height
                    shares[name].append(f"M{left} {bottom:.1f}h{width}v{height:.1f}h-{width}z")
            begin, end = (at * self._span / count for at in (number, number + 1))
            title = f"{begin:.1f} to {end:.1f} s: {_numbers(counts, pings, latencies)}"
            titles.append(
                f'<rect class="slice" x="{left}" y="{_TOP}" width="{width}" '
                f'height="{_HEIGHT - _TOP}"><title>{escape(title)}</title></rect>'
            )
        for name, areas in shares.items():
            kind = self._shades.get(name, "failed")
            yield f'<path class="share {kind}" d="{"".join(areas)}"/>'
        for rank, line in lines.items():
            yield f'<path class="{rank}" d="{"".join(line)}"/>'
        yield _text(_LEFT, _AREA_TOP - 6, "start", "who responds")
        yield from titles

    def _marks(self) -> Iterator[str]:
        deploy = self._run.deploy
        if deploy is None or deploy.started_at is None:
            return
        marks = [(deploy.started_at, "command", 24)]
        if deploy.ended_at is not None:
            # Below the other, so that the labels of a short command don't overlap.
            marks.append((deploy.ended_at, f"exit {deploy.exit_code}", 50))
        for instant, label, down in marks:
            x = self._x(self._seconds(instant))
            side, at = ("start", x + 4) if x < _WIDTH * 0.8 else ("end", x - 4)
            yield f'<path class="mark" d="M{x} {_TOP}V{_HEIGHT}"/>'
            yield _text(at, _TOP + down, side, label)

    def _legend(self) -> Iterator[str]:
        for name, shade in self._shades.items():
            if name:
                yield _key(f"dots {shade}", "M6 5h0m6 0h0", named(name))
        if any(name == _FAILED for _, name in self._pings):
            yield _key("failed", "M6 2l6 6m-6 0l6-6", "failed")
        yield _key("p50", "M0 5h18", "p50")
        yield _key("p95", "M0 5h18", "p95")


def _numbers(
    counts: Counter[str], pings: Sequence[tuple[PingResult, str]], latencies: Sequence[float]
) -> str:
    releases = {named(name): count for name, count in counts.items() if name != _FAILED}
    failed = pairs(Counter(one.failure.value for one, _ in pings if one.failure))
    parts = [pairs(releases) if releases else "", f"failed: {failed}" if failed else ""]
    if latencies:
        ranks = (("p50", 50), ("p95", 95))
        parts += [
            f"{name} {milliseconds(percentile(latencies, rank) * 1000)} ms" for name, rank in ranks
        ]
    return printable(", ".join(filter(None, parts)) or "no pings")


def _strokes(dots: Sequence[tuple[int, int]]) -> str:
    """Return the path of dots: one stroke for vertical neighbours."""
    parts: list[str] = []
    begin = end = (-1, -1)
    for x, y in [*sorted(dots), (-1, -1)]:
        if (x, y) == (end[0], end[1] + _CELL):
            end = x, y
            continue
        if begin[0] >= 0:
            parts.append(f"M{begin[0]} {begin[1]}v{end[1] - begin[1]}")
        begin = end = x, y
    return "".join(parts)


def _text(x: int, y: int, anchor: str, words: str, kind: str = "") -> str:
    css = f' class="{kind}"' if kind else ""
    return f'<text{css} x="{x}" y="{y}" text-anchor="{anchor}">{escape(words)}</text>'


def _key(kind: str, path: str, label: str) -> str:
    return (
        f'<span><svg viewBox="0 0 18 10" aria-hidden="true"><path class="{kind}" d="{path}"/></svg>'
        f"{escape(printable(label))}</span>"
    )


def _clock(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:g} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
