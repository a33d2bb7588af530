"""The numbers of the timeline as tables, for those who don't see it, or want to copy them."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from html import escape

from petsage.client.findings import listed
from petsage.client.outcome import RolloutOutcome
from petsage.client.reports.summary import instant, milliseconds
from petsage.client.reports.timeline import names

_MOST_ROWS = 20
_MOST_RELEASES = 4


@dataclass(slots=True)
class _Slice:
    answers: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)


def tables(outcome: RolloutOutcome) -> str:
    """Return the tables: each release, the numbers over time, and the failures one by one."""
    parts = ["<h2>Releases</h2>", _releases(outcome), "<h2>Over time</h2>", _over_time(outcome)]
    if outcome.record.failures:
        parts += ["<h2>Failures</h2>", _failures(outcome)]
    return "\n".join(parts)


def _releases(outcome: RolloutOutcome) -> str:
    rows = []
    for name, one in outcome.tally.releases.items():
        times = one.percentiles()
        first, last = (seen - outcome.started_at for seen in (one.first_seen, one.last_seen))
        cells = [f"{one.count}", f"{first:.2f} s", f"{last:.2f} s"]
        rows.append([name, *cells, *(milliseconds(times[rank]) for rank in times)])
    heads = ["release", "answers", "first", "last", "p50 ms", "p95 ms", "p99 ms", "max ms"]
    return _table(heads, rows)


def _over_time(outcome: RolloutOutcome) -> str:
    span = max(0.1, outcome.elapsed_s)
    width = _nice(span / _MOST_ROWS)
    slices = [_Slice() for _ in range(math.ceil(span / width) + 1)]
    for point in outcome.record.points():
        slot = slices[min(len(slices) - 1, max(0, int(point.due_s / width)))]
        if point.failed:
            slot.failed[point.ending] += 1
        else:
            slot.answers[point.ending] += 1
            slot.latencies.append(point.latency_s)
    shown = names(outcome)[:_MOST_RELEASES]
    rows = []
    for number, one in enumerate(slices):
        others = one.answers.total() - sum(one.answers[name] for name in shown)
        if not one.answers and not one.failed:
            continue
        ordered = sorted(one.latencies)
        median = milliseconds(ordered[(len(ordered) - 1) // 2] * 1000) if ordered else ""
        most = milliseconds(ordered[-1] * 1000) if ordered else ""
        failed = listed(one.failed.most_common())
        counts = [str(one.answers[name] or "") for name in shown]
        if len(outcome.record.releases) > len(shown):
            counts.append(str(others or ""))
        rows.append([f"{number * width:g} s", *counts, failed, median, most])
    more = ["others"] if len(outcome.record.releases) > len(shown) else []
    return _table(["from", *shown, *more, "failed", "median ms", "max ms"], rows)


def _nice(width: float) -> float:
    """Return a round number of seconds that is no less."""
    scale: float = 10.0 ** math.floor(math.log10(width))
    return next(step * scale for step in (1, 2, 5, 10) if step * scale >= width * 0.999)


def _failures(outcome: RolloutOutcome) -> str:
    failures = sorted(outcome.record.failures, key=lambda failed: failed.due_at)
    rows = [
        [f"{one.due_at - outcome.started_at:.2f} s", one.failure.value, one.detail]
        for one in failures
    ]
    beyond = sum(outcome.tally.failed.values()) - len(rows)
    more = f", and {beyond} more" if beyond else ""
    since = f"Since {instant(outcome.started_at)}"
    return (
        f"<details><summary>The first {len(rows)}{more}</summary>"
        f"<p>{since}.</p>{_table(['due', 'class', 'detail'], rows)}</details>"
    )


def _table(heads: list[str], rows: list[list[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(one)}</th>' for one in heads)
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>\n"
        for row in rows
    )
    return f'<div class="scrolls" tabindex="0"><table><tr>{head}</tr>\n{body}</table></div>'
