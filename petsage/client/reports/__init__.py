"""Writes the report of a run in the format that was asked for. It decides nothing.

Each format is a module of its own, loaded when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from petsage.client.explain import Explanation
    from petsage.client.run import Run

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


def format_of(path: str) -> tuple[str, bool]:
    """Return the format that a file's name stands for, and whether its ending is a known one.

    A name with an unknown ending, such as a temporary file's, means text.
    """
    ending = PurePath(path).suffix.lower()
    return ENDINGS.get(ending, "text"), ending in ENDINGS


def render(run: Run, explanation: Explanation, format: str, *, colour: bool = False) -> str:  # noqa: A002
    """Return the report in one of FORMATS; `colour` is for text on a terminal."""
    module = import_module(f"petsage.client.reports.as_{format}")
    report: str = (
        module.render(run, explanation, colour=colour)
        if format == "text"
        else module.render(run, explanation)
    )
    return report
