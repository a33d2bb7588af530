"""The report as GitHub's Markdown, fit for a step summary or a merge request's comment."""

from __future__ import annotations

import re

from petsage.client.outcome import Outcome
from petsage.client.reports import summary
from petsage.client.reports.advice import next_step
from petsage.client.reports.headline import headline


def render(outcome: Outcome) -> str:
    """Return the report as Markdown."""
    mark = "✅" if not outcome.exit_code else "❌"
    lines = [
        f"## {mark} petsage {outcome.kind}: {outcome.exit_code.word}",
        "",
        f"{_text(headline(outcome))} (exit code {outcome.exit_code:d})",
        "",
        "| | |",
        "|---|---|",
        f"| url | {_text(outcome.url)} |",
        *(f"| {label} | {_text(figure)} |" for label, figure in summary.figures(outcome)),
    ]
    if told := summary.evidence(outcome):
        lines += ["", f"**Evidence:** {_text(told)}"]
    for title, sentences in (
        ("Problems", [sentence for _, sentence in outcome.problems]),
        ("Warnings", outcome.warnings),
    ):
        if sentences:
            lines += ["", f"### {title}", "", *(f"- {_text(one)}" for one in sentences)]
    if step := next_step(outcome):
        lines += ["", f"**What next:** {_text(step)}"]
    if outcome.refusals:
        lines += ["", "<details><summary>Refusals</summary>", ""]
        lines += ["| request | expected | got | |", "|---|---|---|---|"]
        for one in outcome.refusals:
            cells = (one.name, one.expected, one.got, summary.REFUSAL_WORDS[one.passed])
            lines.append(f"| {' | '.join(map(_text, cells))} |")
        lines += ["", "</details>"]
    return "\n".join(lines) + "\n"


def _text(text: str) -> str:
    """Escape what Markdown, its tables or HTML would take for markup."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~@&])", r"\\\1", text.replace("\n", " "))
