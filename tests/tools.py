"""Tools from outside Python that tests need: the one place that skips for the lack of one."""

from __future__ import annotations

import functools
import shutil
import subprocess

import pytest


def require(tool: str) -> str:
    """Return the path of an executable; without it, skip the test that asks."""
    path = shutil.which(tool)
    if path is None:
        pytest.skip(f"{tool} is not installed, or not on the PATH")
    return path


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
