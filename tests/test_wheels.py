"""No step of set-up compiles anything: each locked requirement has wheels where we run."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.running import ROOT

CPUS = ("x86_64", "aarch64")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("python", PYTHONS)
def test_every_requirement_of_the_service_has_a_wheel(python: str, cpu: str) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "uv", "--quiet", "pip", "compile", "requirements.txt"),
            *("--no-deps", "--only-binary", ":all:", "--python-version", python),
            *("--python-platform", f"{cpu}-manylinux_2_28"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
