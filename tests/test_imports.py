"""Imports go one way: who may import whom, read from the imports themselves."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import ROOT, environment

# What each package may import of petsage besides itself.
MAY_IMPORT = {
    "client": {"contract"},
    "service": {"contract"},
    "server": {"contract", "service"},
}
PACKAGES = sorted(path.parent.name for path in Path(ROOT, "petsage").glob("*/__init__.py"))
# What a service without authentication has no use for (ASVS 1.2.5 and 1.5.2).
DANGEROUS = {"subprocess", "pickle", "marshal", "shelve"}


def imports_of(path: Path) -> Iterator[str]:
    """Yield the dotted name of whatever a file imports, also inside its functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} uses a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_packages(path: Path) -> set[str]:
    """Return which packages and modules of petsage a file imports from."""
    names = {name.split(".")[1] for name in imports_of(path) if name.startswith("petsage.")}
    return names - {"__version__"}


def foreign_packages(path: Path) -> set[str]:
    names = {name.partition(".")[0] for name in imports_of(path)}
    return names - sys.stdlib_module_names - {"petsage"}


def modules(package: str) -> list[Path]:
    return sorted(Path(ROOT, "petsage", package).rglob("*.py"))


def test_the_contract_imports_only_the_standard_library() -> None:
    path = Path(ROOT, "petsage", "contract.py")
    assert own_packages(path) | foreign_packages(path) == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_itself_and_what_it_builds_upon(package: str) -> None:
    allowed = MAY_IMPORT[package] | {package}
    for path in modules(package):
        assert own_packages(path) <= allowed, path


def test_the_client_needs_no_more_than_click_and_rich() -> None:
    for path in modules("client"):
        assert foreign_packages(path) <= {"click", "rich"}, path


def test_what_serves_starts_no_process_and_unpickles_nothing() -> None:
    for package in set(PACKAGES) - {"client"}:
        for path in modules(package):
            assert not DANGEROUS & {name.partition(".")[0] for name in imports_of(path)}, path


def test_importing_petsage_or_its_client_loads_no_flask() -> None:
    code = "import sys, petsage, petsage.client.cli; print('flask' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=environment()
    )
    assert (done.stdout.strip(), done.stderr) == ("False", "")


def is_contract(path: Path) -> bool:
    """Return whether `pytestmark` marks all tests of a file as part of the contract suite."""
    return any(
        isinstance(node, ast.Assign)
        and ast.unparse(node.targets[0]) == "pytestmark"
        and "pytest.mark.contract" in ast.unparse(node.value)
        for node in ast.parse(path.read_text()).body
    )


CONTRACT = [path for path in sorted(Path(ROOT, "tests").rglob("test_*.py")) if is_contract(path)]


@pytest.mark.parametrize("path", CONTRACT, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_contract_suite_knows_nothing_of_the_inside(path: Path) -> None:
    """Neither it nor what it imports of the tests: only what the README and the design promise."""
    left, seen = {path}, set()
    while left:
        seen.add(one := left.pop())
        assert own_packages(one) <= {"contract", "create_app"}, one
        names = {name for name in imports_of(one) if name.startswith("tests.")}
        found = {
            Path(ROOT, *name.split(".")[:length]).with_suffix(".py")
            for name in names
            for length in range(2, len(name.split(".")) + 1)
        }
        left |= {one for one in found if one.exists()} - seen
