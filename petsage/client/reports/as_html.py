"""The report as one HTML page that needs nothing else: no script, font or style elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from petsage.client.explain import Explanation
from petsage.client.reports import figures
from petsage.client.reports.figures import milliseconds
from petsage.client.reports.timeline import STYLE, timeline
from petsage.client.run import Run
from petsage.client.verdict import ExitCode

# The JSON report has all of them.
_MOST_FAILURES = 1_000
_STYLE = """
:root { color-scheme: light dark; --good: #0b6e4f; --bad: #b3261e; --line: #8884; --page: #fff; }
@media (prefers-color-scheme: dark) { :root { --good: #5fd3a5; --bad: #ff8a80; --page: #121212; } }
body { font: 16px/1.5 system-ui, sans-serif; background: var(--page); max-width: 48rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h1 b { color: var(--bad); } h1.passed b { color: var(--good); }
h1 small { font-weight: 400; white-space: nowrap; } h2 { font-size: 1.15rem; }
.next { border-left: .25rem solid var(--bad); padding-left: .75rem; }
p, li, td { overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0;
  border-bottom: 1px solid var(--line); }
th { white-space: nowrap; } .wide { overflow-x: auto; }
.wide td { overflow-wrap: normal; }
.wide th[scope=row] { white-space: normal; overflow-wrap: anywhere; min-width: 6rem; }
summary { cursor: pointer; }
@media print { :root { color-scheme: light; --good: #0b6e4f; --bad: #b3261e; --page: #fff; }
  * { print-color-adjust: exact; } body { margin: 0; max-width: none; }
  h1, h2 { break-after: avoid; } tr, li { break-inside: avoid; } .wide { overflow: visible; } }
"""


def render(run: Run, explanation: Explanation) -> str:
    """Return the report as a whole HTML document."""
    code = explanation.exit_code
    title = figures.title(run)
    css = "passed" if code is ExitCode.PASSED else "failed"
    parts = [
        f'<h1 class="{css}"><b>{code.word}</b>: {escape(title)} '
        f"<small>exit code {code:d}</small></h1>",
        f"<p>{_text(explanation.headline)}</p>",
    ]
    if explanation.what_next:
        parts.append(f'<p class="next"><b>What next:</b> {_text(explanation.what_next)}</p>')
    if run.kind == "rollout":
        parts.append(timeline(run))
    rows = "".join(_row(row) for row in figures.figures(run))
    parts.append(f"<table>{rows}</table>")
    if evidence := figures.evidence(run):
        parts.append(f"<p>{_text(evidence)}</p>")
    for heading, sentences in figures.sections(explanation).items():
        items = "".join(f"<li>{_text(one)}</li>" for one in sentences)
        parts.append(f"<h2>{heading}</h2><ul>{items}</ul>")
    if run.bad_requests:
        heads = ("request", "expected", "got", "result")
        parts.append(_table("Bad requests", heads, figures.bad_request_rows(run)))
    if run.kind == "rollout":
        parts += [_releases(run), _failures(run)]
    body = "\n".join(filter(None, parts))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{code.word}: {escape(title)}</title>\n<style>{_STYLE}{STYLE}</style></head>\n"
        f"<body><main>\n{body}\n</main></body></html>\n"
    )


def _releases(run: Run) -> str:
    rows = []
    for one in run.history.releases.values():
        first, last = (f"{at - run.started_at:.2f} s" for at in (one.first_seen, one.last_seen))
        latency = [milliseconds(value) for value in one.latency_ms.values()]
        rows.append([one.name, str(one.count), first, last, *latency])
    heads = ["release", "responses", "first", "last", "p50 ms", "p95 ms", "p99 ms", "max ms"]
    return _table("Releases", heads, rows) if rows else ""


def _failures(run: Run) -> str:
    failures = run.history.failures
    rows = [
        [f"{one.due_at - run.started_at:.2f} s", one.failure or "", one.address or "", one.detail]
        for one in failures[:_MOST_FAILURES]
    ]
    if not rows:
        return ""
    summary = "all of them" if len(failures) == len(rows) else f"the first {len(rows)}"
    table = _table(f"Failed pings: {len(failures)}", ["due", "class", "address", "detail"], rows)
    # Closed, so that a print has no thirty pages of them.
    return table.replace("</h2>", f"</h2><details><summary>{summary}</summary>") + "</details>"


def _table(heading: str, heads: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(one)}</th>' for one in heads)
    body = "".join(map(_row, rows))
    return (
        f'<h2>{escape(heading)}</h2><div class="wide" tabindex="0" role="region" '
        f'aria-label="{escape(heading)}"><table><tr>{head}</tr>\n{body}</table></div>'
    )


def _row(cells: Sequence[str]) -> str:
    first, *others = map(_text, cells)
    values = "".join(f"<td>{one}</td>" for one in others)
    return f'<tr><th scope="row">{first}</th>{values}</tr>\n'


def _text(text: str) -> str:
    return escape(figures.printable(text))
