"""Tools from outside Python that tests need: the one place that skips for the lack of one."""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.running import ROOT

EXPRESS = "express@5.1.0"


def require(tool: str) -> str:
    """Return the path of an executable; without it, skip the test that asks."""
    path = shutil.which(tool)
    if path is None:
        pytest.skip(f"{tool} is not installed, or not on the PATH")
    return path


def express_modules() -> Path:
    """Return a folder with Express, which the first run installs and the others find."""
    kept = Path(ROOT, ".pytest_cache", EXPRESS)
    if kept.exists():
        return kept
    npm = require("npm")
    kept.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        options = ["--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder]
        done = subprocess.run(
            [npm, "install", *options, EXPRESS], capture_output=True, text=True, timeout=240
        )
        assert done.returncode == 0, done.stderr
        try:
            Path(folder, "node_modules").rename(kept)
        except OSError:
            # Another process of this run was faster.
            assert kept.exists()
    return kept


@functools.cache
def _namespace_error() -> str:
    unshare = shutil.which("unshare")
    if unshare is None:
        return "unshare is not installed, or not on the PATH"
    tried = subprocess.run(
        [unshare, "--map-root-user", "--mount", "--net", "true"], capture_output=True, text=True
    )
    return tried.stderr.strip() if tried.returncode else ""


def require_namespaces() -> str:
    """Return the path of `unshare`; where it can't make namespaces, skip the test that asks."""
    error = _namespace_error()
    if error:
        pytest.skip(f"no namespaces can be made here: {error}")
    return require("unshare")


@functools.cache
def _mounting_error() -> str:
    for tool in ("unshare", "setpriv", "mount"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed, or not on the PATH"
    remount = "mount -o remount,bind,ro / && setpriv --reuid 10001 --clear-groups true"
    tried = subprocess.run(
        ["unshare", "--mount", "sh", "-c", remount], capture_output=True, text=True
    )
    return tried.stderr.strip() if tried.returncode else ""


def require_read_only_root() -> None:
    """Skip the test that asks where no process can get a read-only root and another user."""
    error = _mounting_error()
    if error:
        pytest.skip(f"no read-only root file system can be made here: {error}")
