"""What the rooms of the service are tested with."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from petsage import create_app
from petsage.service.settings import Settings

ClientOf = Callable[..., FlaskClient]


@pytest.fixture
def client_of() -> ClientOf:
    """Return what makes a test client of an app with these settings."""

    def make(**settings: object) -> FlaskClient:
        return create_app(Settings(**settings)).test_client()  # type: ignore[arg-type]

    return make


@pytest.fixture
def client(client_of: ClientOf) -> FlaskClient:
    """Return a test client of an app with the defaults."""
    return client_of()


@pytest.fixture
def log_file(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """Return a file to log to: its descriptor, and its path."""
    path = tmp_path / "log"
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    yield descriptor, path
    os.close(descriptor)
