"""Rules for all tests."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With `PETSAGE_REQUIRE_ALL=1`, as in CI, a test that is skipped has failed."""
    report = yield
    if report.skipped and os.environ.get("PETSAGE_REQUIRE_ALL") == "1":
        report.outcome = "failed"
    return report
