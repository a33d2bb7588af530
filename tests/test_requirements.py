"""The locked requirements and the version fit setup.cfg and the changelog."""

import configparser
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from petsage import __version__
from tests.running import ROOT

SETUP = configparser.ConfigParser(interpolation=None)
SETUP.read(Path(ROOT, "setup.cfg"))
LOCKED = {
    "requirements.txt": "",
    "requirements-dev.txt": SETUP["options.extras_require"]["dev"],
    "requirements-bench.txt": SETUP["options.extras_require"]["bench"],
}
PIN = r"^(?P<name>[\w.-]+)==(?P<version>[^ ]+)(?P<text>(?: .*)?\n(?:    .*\n)*)"


def asked_for(lines: str) -> dict[str, Requirement]:
    told = [line for line in lines.splitlines() if line and not line.startswith("#")]
    return {requirement.name: requirement for requirement in map(Requirement, told)}


@pytest.mark.parametrize("name", LOCKED)
def test_the_locked_requirements_fit_setup_cfg(name: str) -> None:
    asked = asked_for(SETUP["options"]["install_requires"] + LOCKED[name])
    pins = list(re.finditer(PIN, Path(ROOT, name).read_text(), re.MULTILINE))
    assert {pin["name"] for pin in pins if "petsage (setup.cfg)" in pin["text"]} == {
        requirement.replace("_", "-") for requirement in asked
    }, "run 'make lock'"
    versions = {pin["name"]: pin["version"] for pin in pins}
    for requirement in asked.values():
        pinned = versions[requirement.name.replace("_", "-")]
        assert requirement.specifier.contains(pinned), "run 'make lock'"
    assert all("--hash=sha256:" in pin["text"] for pin in pins)


def test_the_changelog_begins_with_this_version_or_what_comes_next() -> None:
    newest = re.search(r"^## (.*)$", Path(ROOT, "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest
    assert newest[1].split(" ")[0] in {"Unreleased", __version__}
