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
    "": "text",
    ".txt": "text",
    ".log": "text",
    ".json": "json",
    ".xml": "junit",
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
}


def format_of(path: str) -> str:
    """Return the format that a file's name stands for; none is text.

    Raises ValueError with a sentence where it ends in something else.
    """
    ending = PurePath(path).suffix.lower()
    if ending not in _ENDINGS:
        known = " ".join(filter(None, _ENDINGS))
        raise ValueError(f"{path!r} ends in none of {known}; name the format with --format")
    return _ENDINGS[ending]


def rendered(outcome: Outcome, form: str) -> str:
    """Return the report in one of FORMATS, without colours."""
    render = import_module(f"petsage.client.reports.as_{form}").render
    report: str = render(outcome)
    return report
