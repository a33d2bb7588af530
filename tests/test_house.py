"""The house itself: locked requirements that fit, a wheel that works alone, no room too large."""

from pathlib import Path

import pytest

from petsage import __version__
from tests.locks import EXTRAS, locked
from tests.running import ROOT

MOST_LINES = 300


@pytest.mark.parametrize("name", EXTRAS)
def test_the_locked_requirements_fit_setup_cfg(name: str) -> None:
    assert Path(ROOT, name).read_text() == locked(name), f"{name} is stale: run 'make lock'"


def test_every_module_states_its_rule_first_and_none_is_too_large() -> None:
    for path in sorted(Path(ROOT, "petsage").rglob("*.py")):
        text = path.read_text()
        assert text.startswith('"""'), f"{path} does not say what it is for"
        assert text.count("\n") <= MOST_LINES, f"{path} has a second reason to change"


def test_the_version_stands_in_the_changelog() -> None:
    assert (
        f"## {__version__}" in Path(ROOT, "CHANGELOG.md").read_text()
        or "Unreleased" in Path(ROOT, "CHANGELOG.md").read_text()
    )
