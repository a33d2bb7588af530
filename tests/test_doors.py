"""Doors open one way: which room may import which, read from the imports themselves."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} uses a relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules(folder: str) -> list[Path]:
    return sorted(Path(ROOT, "petsage", folder).rglob("*.py"))


def test_the_contract_imports_nothing() -> None:
    assert list(imports_of(Path(ROOT, "petsage/contract.py"))) == []


@pytest.mark.parametrize(
    ("room", "other"),
    [
        ("service", "client"),
        ("service", "server"),
        ("server", "client"),
        ("client", "service"),
        ("client", "server"),
    ],
)
def test_the_two_halves_never_meet(room: str, other: str) -> None:
    assert modules(room)
    for path in modules(room):
        assert not [name for name in imports_of(path) if name.startswith(f"petsage.{other}")], path


FRAMEWORK = {"flask", "flask_smorest", "marshmallow", "webargs", "werkzeug", "gunicorn"}
WORLD = {"os", "socket", "ssl", "subprocess", "sys", "time", "asyncio", "threading", "click"}
CLOSED = {
    "service/diagnostics.py": FRAMEWORK,
    "service/problems.py": FRAMEWORK | WORLD,
    "service/readiness.py": FRAMEWORK,
    "service/release.py": FRAMEWORK | WORLD,
    "service/settings.py": FRAMEWORK | {"os", "sys"},
    "service/strict_json.py": FRAMEWORK | WORLD,
    "server/reader.py": FRAMEWORK | WORLD,
    "server/protocol.py": FRAMEWORK | (WORLD - {"asyncio"}),
    "server/wsgi.py": (FRAMEWORK - {"werkzeug"}) | (WORLD - {"threading"}),
    "client/verdict.py": WORLD,
    "client/present.py": WORLD,
    "client/reports/advice.py": WORLD,
    "client/reports/headline.py": WORLD,
}


@pytest.mark.parametrize("room", CLOSED)
def test_a_room_that_knows_little_imports_little(room: str) -> None:
    imported = {name.partition(".")[0] for name in imports_of(Path(ROOT, "petsage", room))}
    assert imported
    assert not imported & CLOSED[room]


def test_no_command_of_the_client_leans_on_another() -> None:
    commands = [path for path in modules("client") if path.stem.endswith("_command")]
    assert len(commands) == 2
    for path in commands:
        assert not [name for name in imports_of(path) if name.endswith("_command")], path


def test_importing_petsage_or_its_client_loads_no_flask() -> None:
    code = "import sys, petsage, petsage.client; print('flask' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.stdout.strip(), done.stderr) == ("False", "")
