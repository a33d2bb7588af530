"""Writes what a run has found, in the format that was asked for. It decides nothing.

Each format is a module of its own, loaded when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from petsage.client.outcome import Outcome

FORMATS = ("text", "json", "junit", "markdown", "html")
_ENDINGS = {
    ".json": "json",
    ".xml": "junit",
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
}


def format_of(path: str) -> str:
    """Return the format that a file's name ends in, else text."""
    return _ENDINGS.get(PurePath(path).suffix.lower(), "text")


def rendered(outcome: Outcome, form: str) -> str:
    """Return the report in one of FORMATS, without colours."""
    render = import_module(f"petsage.client.reports.as_{form}").render
    report: str = render(outcome)
    return report
