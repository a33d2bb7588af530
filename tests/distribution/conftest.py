"""The command as one file, built once for all tests of this folder."""

from pathlib import Path

import pytest

from tests.distribution.building import build


@pytest.fixture(scope="session")
def pyz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of petsage.pyz."""
    path = tmp_path_factory.mktemp("pyz") / "petsage.pyz"
    build(path)
    return path
