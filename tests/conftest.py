"""Rules for all tests, and the running services that several of them share."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import pytest

from tests.running import PATIENCE_SECONDS, Service, environment, running_service
from tests.tools import require

if TYPE_CHECKING:
    from playwright.sync_api import Browser

COMMIT = "12e4567890abcdef12e4567890abcdef12e45678"


def pytest_configure() -> None:
    """Drop what the shell says to PetSage or of proxies: no test may depend on it."""
    for name in os.environ.keys() - environment().keys() - {"PETSAGE_REQUIRE_ALL"}:
        del os.environ[name]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With `PETSAGE_REQUIRE_ALL=1`, as in CI, a test that is skipped has failed."""
    report = yield
    if report.skipped and os.environ.get("PETSAGE_REQUIRE_ALL") == "1":
        report.outcome = "failed"
    return report


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    """Return the service as the Procfile runs it, with two workers, as on Heroku."""
    with running_service(
        WEB_CONCURRENCY="2",
        PETSAGE_RELEASE="v43",
        PETSAGE_COMMIT=COMMIT,
        PETSAGE_INSTANCE="web.1",
        GUNICORN_CMD_ARGS="--access-logfile -",
    ) as service:
        yield service


@pytest.fixture(scope="session")
def hidden() -> Iterator[Service]:
    """Return a service behind a proxy that discloses no release, logs no probes and takes little.

    The platform's variables name its release and its instance.
    """
    with running_service(
        HEROKU_RELEASE_VERSION="v43",
        HEROKU_BUILD_COMMIT=COMMIT,
        DYNO="web.1",
        PETSAGE_DISCLOSE_RELEASE="false",
        PETSAGE_LOG_PROBES="false",
        PETSAGE_MAX_BODY_BYTES="1000",
        PETSAGE_TRUSTED_PROXIES="1",
    ) as service:
        yield service


CHROMIUM_OPTIONS = [
    # The sandbox wants privileges that a container lacks; the rest keeps it from calling home.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # It ends a process that does not respond in time: on a busy machine, that is any.
    "--disable-gpu-watchdog",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Return a real Chromium."""
    # Only here: it takes a while to import.
    from playwright.sync_api import expect, sync_playwright

    chromium = require("chromium")
    expect.set_options(timeout=PATIENCE_SECONDS * 1_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=CHROMIUM_OPTIONS, timeout=PATIENCE_SECONDS * 1_000
        )
        yield browser
        browser.close()
