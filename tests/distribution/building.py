"""How the tests build petsage.pyz, and the Pythons that are there to build and run it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.running import ROOT

SCRIPT = Path(ROOT, "deploy/build_pyz.py")


def build(target: Path, python: str = sys.executable, **variables: str) -> None:
    """Build the file; whatever the script needs that is not there fails the test."""
    subprocess.run(
        [python, SCRIPT, target], check=True, cwd=target.parent, env=os.environ | variables
    )


def interpreters() -> dict[str, str]:
    """Return the path of one CPython of each version that is on the PATH or that pyenv has."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [Path(sys.executable), *pyenv.glob("versions/*/bin/python[23].*")]
    for folder in os.get_exec_path():
        found += Path(folder).glob("python[23].*")
    by_version: dict[str, str] = {}
    for path in found:
        name = re.fullmatch(r"python(\d\.\d+)", path.name)
        if name and os.access(path, os.X_OK):
            by_version.setdefault(name[1], str(path))
    this = f"{sys.version_info.major}.{sys.version_info.minor}"
    return by_version | {this: sys.executable}


def is_new(version: str) -> bool:
    """Return whether this version of Python runs petsage."""
    return tuple(map(int, version.split("."))) >= (3, 11)


INTERPRETERS = interpreters()
NEW = {version: path for version, path in INTERPRETERS.items() if is_new(version)}
OLD = {version: path for version, path in INTERPRETERS.items() if not is_new(version)}
