"""Where a report goes: a file, stdout or both, and with -q one line on stderr when it fails."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from petsage.client.options import unusable
from petsage.client.reports import ENDINGS, as_text, format_of, rendered
from petsage.client.reports.advice import next_step

if TYPE_CHECKING:
    from petsage.client.outcome import Outcome


class Output:
    """The sink of one report. A file that can't be written is a usage fault, found at once."""

    def __init__(self, path: str | None, form: str | None, *, quiet: bool, colour: bool) -> None:
        self._path = None if path == "-" else path
        self._quiet, self._colour = quiet, colour
        told = True
        try:
            self._form, told = (form, True) if form else format_of(self._path or "")
        except ValueError as fault:
            raise click.BadParameter(f"{fault}.", param_hint="'--output'") from None
        if self._path is None:
            return
        try:
            with Path(self._path).open("ab"):
                pass
        except (OSError, ValueError) as fault:
            raise unusable("--output", self._path, "be written", fault) from None
        if not told and not quiet:
            others = " ".join(ending for ending, form in ENDINGS.items() if form != "text")
            told_as = f"the report in {self._path} will be text; these endings mean another format"
            _say(sys.stderr, f"petsage: {told_as}: {others}\n")

    def write(self, outcome: Outcome) -> None:
        """Write the report. What fails now is said on stderr; the verdict's exit code stands."""
        if self._path is not None:
            try:
                text = rendered(outcome, self._form)
                Path(self._path).write_text(text, encoding="utf-8", errors="replace")
            except OSError as fault:
                _say(sys.stderr, f"petsage: {self._path}: {fault.strerror}\n")
        if self._quiet:
            if outcome.exit_code:
                code = outcome.exit_code
                told = next((told for found, told in outcome.problems if found is code), "")
                _say(sys.stderr, f"petsage: {code.word}: {told} {next_step(outcome)}\n")
        elif self._path is None and self._form != "text":
            _say(sys.stdout, rendered(outcome, self._form))
        else:
            _say(sys.stdout, as_text.render(outcome, colour=self._colour))


def wants_colour(stream: TextIO | None, environ: Mapping[str, str]) -> bool:
    """Return whether the stream is a terminal that colours are wanted on (no-color.org)."""
    if stream is None or environ.get("NO_COLOR") or environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


def _say(stream: TextIO | None, text: str) -> None:
    if stream is None:
        return
    try:
        stream.buffer.write(text.encode(stream.encoding or "utf-8", "replace"))
        stream.flush()
    except BrokenPipeError:
        # The reader has seen enough; Python would complain once more when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError) as fault:
        if stream is not sys.stderr:
            _say(sys.stderr, f"petsage: the report could not be written: {fault}\n")
