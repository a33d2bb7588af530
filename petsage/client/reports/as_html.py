"""The report as one HTML page that asks nothing of anybody: no script, font or style elsewhere."""

from __future__ import annotations

from html import escape

from petsage.client.outcome import Outcome, RolloutOutcome
from petsage.client.reports import summary
from petsage.client.reports.advice import next_step
from petsage.client.reports.headline import headline
from petsage.client.reports.timeline import STYLE, timeline
from petsage.client.reports.timeline_table import tables

_STYLE = """
:root { color-scheme: light dark; --good: #0b6e4f; --bad: #b3261e; --line: #8884; --page: #fff; }
@media (prefers-color-scheme: dark) { :root { --good: #5fd3a5; --bad: #ff8a80; --page: #121212; } }
body { font: 16px/1.5 system-ui, sans-serif; background: var(--page); max-width: 48rem;
margin: 2rem auto; padding: 0 1rem; } h1 { font-size: 1.4rem; } h1 b { color: var(--bad); }
h1 small { font-weight: 400; white-space: nowrap; } h1.passed b { color: var(--good);
} table { border-collapse: collapse; width: 100%; margin: 1rem 0; } th, td { text-align: left;
vertical-align: top; padding: .3rem .6rem .3rem 0;
  border-bottom: 1px solid var(--line); }
p, li, td { overflow-wrap: anywhere; }
th { font-weight: 600; white-space: nowrap; } td:nth-child(4) { white-space: nowrap; }
figure { margin: 1.5rem 0; }
.scrolls { overflow-x: auto;
  background: linear-gradient(90deg, var(--page) 30%, #0000) left / 2.5rem 100% no-repeat local,
  linear-gradient(270deg, var(--page) 30%, #0000) right / 2.5rem 100% no-repeat local,
  radial-gradient(farthest-side at 0 50%, #8888, #0000) left / 1rem 100% no-repeat,
  radial-gradient(farthest-side at 100% 50%, #8888, #0000) right / 1rem 100% no-repeat; }
.scrolls th, .scrolls td { padding-right: 1rem; white-space: nowrap; }
.scrolls th { overflow-wrap: anywhere; white-space: normal; min-width: 5rem; max-width: 9rem; }
"""


def render(outcome: Outcome) -> str:
    """Return the report as a whole HTML document."""
    code = outcome.exit_code
    style = _STYLE
    figures = "".join(
        f'<tr><th scope="row">{escape(label)}</th><td>{escape(figure)}</td></tr>\n'
        for label, figure in [("url", outcome.url), *summary.figures(outcome)]
    )
    parts = [
        f'<h1 class="{code.word}"><b>{code.word}</b>: {escape(_run(outcome))} '
        f"<small>exit code {code:d}</small></h1>",
        f"<p>{escape(headline(outcome))}</p>",
    ]
    if isinstance(outcome, RolloutOutcome):
        style += STYLE
        parts.append(timeline(outcome))
    parts.append(f"<table>{figures}</table>")
    if told := summary.evidence(outcome):
        parts.append(f"<p>{escape(told)}</p>")
    for title, sentences in (
        ("Problems", [sentence for _, sentence in outcome.problems]),
        ("Warnings", outcome.warnings),
    ):
        if sentences:
            items = "".join(f"<li>{escape(one)}</li>" for one in sentences)
            parts.append(f"<h2>{title}</h2><ul>{items}</ul>")
    if step := next_step(outcome):
        parts.append(f"<h2>What next</h2><p>{escape(step)}</p>")
    if outcome.refusals:
        parts.append(_refusals(outcome))
    if isinstance(outcome, RolloutOutcome):
        parts.append(tables(outcome))
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{code.word}: {escape(_run(outcome))}</title>\n<style>{style}</style></head>\n"
        f"<body><main>\n{body}\n</main></body></html>\n"
    )


def _run(outcome: Outcome) -> str:
    """Return which run this was: of several open pages one must be told from the others."""
    release = f" for {outcome.expected}" if outcome.expected else ""
    began = summary.instant(outcome.started_at)[:19].replace("T", " ")
    return f"petsage {outcome.kind}{release}, {began} UTC"


def _refusals(outcome: Outcome) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(one.name)}</th><td>{escape(one.expected)}</td>'
        f"<td>{escape(one.got)}</td><td>{summary.REFUSAL_WORDS[one.passed]}</td></tr>\n"
        for one in outcome.refusals
    )
    heads = "".join(f'<th scope="col">{head}</th>' for head in ("request", "expected", "got", ""))
    return f"<h2>Refusals</h2><table><tr>{heads}</tr>\n{rows}</table>"
