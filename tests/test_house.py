"""The house itself: locked requirements that fit, no room too large, a changelog of it."""

import re
from pathlib import Path

import pytest

from petsage import __version__
from tests.locks import EXTRAS, locked
from tests.running import ROOT

MOST_LINES = 400


@pytest.mark.parametrize("name", EXTRAS)
def test_the_locked_requirements_fit_setup_cfg(name: str) -> None:
    assert Path(ROOT, name).read_text() == locked(name), f"{name} is stale: run 'make lock'"


def test_every_module_states_its_rule_first_and_none_is_too_large() -> None:
    paths = [path for room in ("petsage", "deploy") for path in Path(ROOT, room).rglob("*.py")]
    for path in sorted(paths):
        text = path.read_text()
        assert text.startswith('"""'), f"{path} does not say what it is for"
        assert text.count("\n") <= MOST_LINES, f"{path} has a second reason to change"


def test_the_changelog_begins_with_this_version_or_what_comes_next() -> None:
    newest = re.search(r"^## (.*)$", Path(ROOT, "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest
    assert newest[1].split(" ")[0] in {"Unreleased", __version__}
