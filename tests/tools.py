"""Tools from outside Python that tests need: the one place that skips for the lack of one."""

from __future__ import annotations

import os
import shutil

import pytest


def require(tool: str) -> str:
    """Return the path of an executable; without it, skip the test that asks.

    With `PETSAGE_REQUIRE_ALL=1` in the environment the test fails instead: nothing may be skipped.
    """
    path = shutil.which(tool)
    if path is not None:
        return path
    reason = f"{tool} is not installed, or not on the PATH"
    if os.environ.get("PETSAGE_REQUIRE_ALL") == "1":
        pytest.fail(f"{reason}, and PETSAGE_REQUIRE_ALL=1")
    pytest.skip(reason)
