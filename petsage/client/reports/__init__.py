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
ENDINGS = {
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
# Whoever writes one of these wants something else than text.
_OTHER_FILES = frozenset([".pdf", ".csv", ".yaml", ".yml", ".xlsx", ".png", ".svg", ".htlm"])


def format_of(path: str) -> tuple[str, bool]:
    """Return the format that a file's name stands for, and whether its ending says so.

    What ends in something unknown, as a temporary file may, is text. Raises ValueError with a
    sentence where it ends in what is certainly none of our formats.
    """
    ending = PurePath(path).suffix.lower()
    if ending in _OTHER_FILES:
        known = " ".join(filter(None, ENDINGS))
        raise ValueError(f"{path!r} ends in none of {known}; name the format with --format")
    return ENDINGS.get(ending, "text"), ending in ENDINGS


def rendered(outcome: Outcome, form: str) -> str:
    """Return the report in one of FORMATS, without colours."""
    render = import_module(f"petsage.client.reports.as_{form}").render
    report: str = render(outcome)
    return report
