"""Tools from outside Python that tests need: the one place that skips for the lack of one."""

from __future__ import annotations

import shutil

import pytest


def require(tool: str) -> str:
    """Return the path of an executable; without it, skip the test that asks."""
    path = shutil.which(tool)
    if path is None:
        pytest.skip(f"{tool} is not installed, or not on the PATH")
    return path
