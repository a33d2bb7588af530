"""The report for a terminal or a CI log."""

from __future__ import annotations

import textwrap

from petsage.client.explain import Explanation
from petsage.client.reports import figures
from petsage.client.run import Run
from petsage.client.verdict import ExitCode

_WIDTH = 80
_LABEL = 14
_RED, _GREEN, _YELLOW, _BOLD = "31", "32", "33", "1"


def render(run: Run, explanation: Explanation, *, colour: bool = False) -> str:
    """Return the report as lines of text; `colour` adds the escape sequences of a terminal."""

    def paint(text: str, *codes: str) -> str:
        return f"\x1b[{';'.join(codes)}m{text}\x1b[0m" if colour else text

    code = explanation.exit_code
    word = paint(code.word.upper(), _BOLD, _GREEN if code is ExitCode.PASSED else _RED)
    lines = [f"{word}  {figures.printable(explanation.headline)}"]
    if explanation.what_next:
        lines.append(_line("what next", figures.printable(explanation.what_next)))
    lines.append("")
    lines += [_line(label, value) for label, value in figures.figures(run)]
    if evidence := figures.evidence(run):
        lines += ["", _line("evidence", evidence)]
    for title, sentences in figures.sections(explanation).items():
        label = title.lower().removesuffix("s")
        shade = _RED if title == "Problems" else _YELLOW
        for sentence in sentences:
            lines += ["", _line(label, sentence).replace(label, paint(label, shade), 1)]
    return "\n".join(lines) + "\n"


def _line(label: str, value: str) -> str:
    """Return a label and its value, the value's further lines under its first."""
    return textwrap.fill(
        value,
        _WIDTH,
        initial_indent=f"  {label:<{_LABEL}}",
        subsequent_indent=" " * (_LABEL + 2),
        break_long_words=False,
        break_on_hyphens=False,
    )
