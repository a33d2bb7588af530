"""The plain script and the GitLab job of docs/ci.md, run with the file that they build."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from tests.client.fleets import NEW, OLD
from tests.client.servers import Respond, serving
from tests.distribution.building import SCRIPT
from tests.documents import DOCUMENTS, blocks
from tests.running import ROOT, environment

pytestmark = pytest.mark.contract

PAGE = DOCUMENTS["docs/ci.md"]
COMMIT = "0f9a3b7c0f9a3b7c0f9a3b7c0f9a3b7c0f9a3b7c"
BUILD = f"python3 {SCRIPT.relative_to(ROOT)} petsage.pyz"
(PLAIN,) = [block for block in blocks("sh", PAGE) if BUILD in block]
(GITLAB,) = [yaml.safe_load(block) for block in blocks("yaml", PAGE) if BUILD in block]
# https://docs.gitlab.com/runner/shells/: a job ends with the first command that fails.
SCRIPTS = {
    "plain": ["sh", "-c", PLAIN],
    "GitLab": ["bash", "-eo", "pipefail", "-c", "\n".join(GITLAB["deploy"]["script"])],
}


def run(
    name: str, folder: Path, before: Respond, after: Respond, *, built: Path | None = None
) -> int:
    """Run a script against a service that its ./deploy.sh brings to another release.

    With `built` it copies that file instead of building one.
    """
    deployed, tools = folder / "deployed", folder / "bin"
    tools.mkdir()
    (folder / "deploy").symlink_to(SCRIPT.parent)
    for place, line in {"deploy.sh": f"touch {deployed}", "bin/git": f"echo {COMMIT}"}.items():
        (folder / place).write_text(f"#!/bin/sh\n{line}\n")
        (folder / place).chmod(0o755)

    def respond(request: Any, connection: Any) -> bytes | None:
        return (after if deployed.exists() else before)(request, connection)

    with serving(respond) as server:
        *shell, script = SCRIPTS[name]
        script = re.sub(r"https://app\.example", server.url, script).replace("180", "1")
        script = script.replace(BUILD, f"cp {built} petsage.pyz") if built else script
        path = [str(tools), str(Path(sys.executable).parent), os.environ["PATH"]]
        return subprocess.run(
            [*shell, script],
            cwd=folder,
            env=environment(
                PATH=os.pathsep.join(path),
                # The stub of git tells a commit and not its time.
                SOURCE_DATE_EPOCH="1800000000",
                CI_COMMIT_SHA=COMMIT,
                PETSAGE_SMOKE_TEST_TIMEOUT="5",
                PETSAGE_SMOKE_TEST_WAIT="5",
            ),
            timeout=240,
        ).returncode


@pytest.mark.parametrize("name", SCRIPTS)
def test_it_passes_where_the_release_responds(name: str, tmp_path: Path) -> None:
    assert run(name, tmp_path, OLD, NEW.named(commit=COMMIT)) == 0
    if name == "GitLab":
        report = tmp_path / GITLAB["deploy"]["artifacts"]["reports"]["junit"]
        assert ElementTree.parse(report).getroot().tag == "testsuites"


@pytest.mark.parametrize("name", SCRIPTS)
def test_it_fails_where_the_old_release_stays(name: str, tmp_path: Path, pyz: Path) -> None:
    assert run(name, tmp_path, OLD, OLD, built=pyz) == 4
    assert (tmp_path / "deployed").exists()


@pytest.mark.parametrize("name", SCRIPTS)
def test_it_deploys_nothing_after_a_preflight_that_fails(
    name: str, tmp_path: Path, pyz: Path
) -> None:
    assert run(name, tmp_path, OLD.broken, NEW, built=pyz) == 1
    assert not (tmp_path / "deployed").exists()
