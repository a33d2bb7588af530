"""The report as GitHub's Markdown, fit for a step summary or a merge request's comment."""

from __future__ import annotations

import re

from petsage.client.explain import Explanation
from petsage.client.reports import figures
from petsage.client.run import Run
from petsage.client.verdict import ExitCode


def render(run: Run, explanation: Explanation) -> str:
    """Return the report as Markdown."""
    code = explanation.exit_code
    mark = "✅" if code is ExitCode.PASSED else "❌"
    lines = [
        f"## {mark} petsage {run.kind}: {code.word}",
        "",
        f"{_text(explanation.headline)} (exit code {code:d})",
    ]
    if explanation.what_next:
        lines += ["", f"**What next:** {_text(explanation.what_next)}"]
    lines += ["", "| figure | value |", "|---|---|"]
    lines += [f"| {label} | {_text(value)} |" for label, value in figures.figures(run)]
    if evidence := figures.evidence(run):
        lines += ["", f"**Evidence:** {_text(evidence)}"]
    for title, sentences in figures.sections(explanation).items():
        lines += ["", f"### {title}", "", *(f"- {_text(one)}" for one in sentences)]
    if run.bad_requests:
        lines += ["", "<details><summary>Bad requests</summary>", ""]
        lines += ["| request | expected | got | result |", "|---|---|---|---|"]
        for row in figures.bad_request_rows(run):
            lines.append(f"| {' | '.join(map(_text, row))} |")
        lines += ["", "</details>"]
    return "\n".join(lines) + "\n"


def _text(text: str) -> str:
    """Escape what Markdown, its tables or HTML would take for markup."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~@&])", r"\\\1", figures.printable(text))
