"""The report for a terminal or a CI log: what passed, what failed, what it means, what to do."""

from __future__ import annotations

import textwrap

from petsage.client.outcome import Outcome
from petsage.client.reports import summary
from petsage.client.reports.advice import next_step
from petsage.client.reports.headline import headline

_WIDTH = 80
_LABEL = 11
_RED, _GREEN, _YELLOW, _BOLD = "31", "32", "33", "1"


def render(outcome: Outcome, *, colour: bool = False) -> str:
    """Return the report as lines of text; `colour` adds the escape sequences of a terminal."""

    def paint(text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if colour else text

    code = outcome.exit_code
    word = code.word.upper()
    lines = [
        f"{paint(word, f'{_BOLD};{_RED if code else _GREEN}')}  {headline(outcome)}",
        "",
        _line("url", outcome.url),
    ]
    lines += [_line(label, value) for label, value in summary.figures(outcome)]
    for refusal in outcome.refusals:
        if not refusal.passed:
            mark = paint("FAILED", _RED) if refusal.passed is False else paint("unsure", _YELLOW)
            lines.append(_line("", f"{mark} {refusal.name}: {refusal.got}"))
    if told := summary.evidence(outcome):
        lines += ["", _line("evidence", told)]
    for title, sentences, shade in (
        ("problem", [sentence for _, sentence in outcome.problems], _RED),
        ("warning", outcome.warnings, _YELLOW),
    ):
        for sentence in sentences:
            lines += ["", _line(title, sentence, paint(f"{title:<{_LABEL}}", shade))]
    if step := next_step(outcome):
        lines += ["", _line("what next", step)]
    return "\n".join(lines) + "\n"


def _line(label: str, value: str, shown: str | None = None) -> str:
    """Return a label and its value, the value's further lines under its first."""
    room = _WIDTH - _LABEL - 2
    first, *rest = textwrap.wrap(value, room, break_long_words=False, break_on_hyphens=False) or [
        ""
    ]
    indent = " " * (_LABEL + 2)
    return "\n".join(
        [f"  {shown or f'{label:<{_LABEL}}'}{first}", *(f"{indent}{line}" for line in rest)]
    )
