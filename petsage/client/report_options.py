"""Where the report goes: --format, --output and --quiet."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from petsage.client.options import Command, Lines, usage_errors
from petsage.client.reports import ENDINGS, FORMATS, format_of

if TYPE_CHECKING:
    from petsage.client.run import Run
    from petsage.client.signals import Interruptible


def report_options(command: Command) -> Command:
    """Add the options on the report; the command gets them as a ReportWriter."""

    @click.option(
        "--format",
        type=click.Choice(FORMATS),
        help="The report's format.  [default: by the ending of --output, else text]",
    )
    @click.option(
        "-o",
        "--output",
        metavar="FILE",
        type=Lines(),
        multiple=True,
        help="Write the report to this file, whose ending (.json .xml .md .html) says the "
        "format; stdout then shows it as text. May be repeated.",
    )
    @click.option(
        "-q", "--quiet", is_flag=True, help="Nothing on stdout; one line on stderr when it fails."
    )
    @functools.wraps(command)
    def with_report(*args: Any, output: tuple[str, ...], quiet: bool, **others: Any) -> Any:
        # The option's own name would shadow a built-in function.
        chosen = others.pop("format")
        report = ReportWriter([one for one in output if one != "-"], chosen, quiet=quiet)
        return command(*args, report=report, **others)

    return with_report


@dataclass(frozen=True, slots=True)
class ReportFile:
    """A file to write the report to, and in which format."""

    path: Path
    format: str
    is_fifo: bool


class ReportWriter:
    """Writes the report. A file that can't be written is a usage error, before the first ping."""

    def __init__(self, paths: list[str], chosen: str | None, *, quiet: bool) -> None:
        self.quiet = quiet
        self._stdout_format = "text" if paths else chosen or "text"
        self._files = [self._file(path, chosen) for path in paths]

    def _file(self, path: str, chosen: str | None) -> ReportFile:
        with usage_errors("--output", path):
            format_, known = (chosen, True) if chosen else format_of(path)
            file = ReportFile(Path(path), format_, Path(path).is_fifo())
            if not file.is_fifo:
                with file.path.open("ab"):
                    pass
        if not known and not self.quiet:
            endings = " ".join(ending for ending, name in ENDINGS.items() if name != "text")
            write_error(
                f"the report in {path} will be text; these endings mean another format: {endings}"
            )
        return file

    def write(self, run: Run, interruptible: Interruptible) -> int:
        """Write the report and return the verdict's exit code, also where writing it fails.

        Interrupted is raised where a signal comes while a FIFO has no reader.
        """
        from petsage.client.explain import explain
        from petsage.client.reports import render

        explanation = explain(run)

        def write_file(file: ReportFile) -> None:
            text = render(run, explanation, file.format)
            try:
                file.path.write_text(text, encoding="utf-8", errors="replace")
            except OSError as error:
                write_error(f"{file.path}: {error.strerror}")

        for file in self._files:
            if not file.is_fifo:
                write_file(file)
        if self.quiet:
            if explanation.exit_code:
                word = explanation.exit_code.word
                write_error(f"{word}: {explanation.headline} {explanation.what_next}")
        else:
            colour = wants_colour(sys.stdout, os.environ)
            write(sys.stdout, render(run, explanation, self._stdout_format, colour=colour))
        # After an interrupted run its report is still to be written.
        write_fifo = write_file if run.interrupted_by else interruptible(write_file)
        for file in self._files:
            if file.is_fifo:
                write_fifo(file)
        return int(explanation.exit_code)


def wants_colour(stream: TextIO | None, environ: Mapping[str, str]) -> bool:
    """Return whether the stream is a terminal on which colours are wanted (no-color.org)."""
    if stream is None or environ.get("NO_COLOR") or environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


def write(stream: TextIO | None, text: str) -> None:
    """Write to a standard stream, whatever its encoding, also where its reader has gone."""
    if stream is None:
        return
    try:
        stream.buffer.write(text.encode(stream.encoding or "utf-8", "replace"))
        stream.flush()
    except BrokenPipeError:
        # The reader has seen enough; Python would complain again when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError) as error:
        if stream is not sys.stderr:
            write_error(f"the report could not be written: {error}")


def write_error(message: str) -> None:
    """Write a line to stderr."""
    write(sys.stderr, f"petsage: {message}\n")
