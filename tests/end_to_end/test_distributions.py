"""The wheel, built from the sdist, serves and judges where only what is pinned is (DESIGN, 2.8)."""

import re
import shutil
import subprocess
import sys
import venv
from importlib.metadata import distribution
from pathlib import Path

import pytest

from petsage import __version__
from tests.running import ROOT, environment, running_service, web_line
from tests.wire import get

pytestmark = pytest.mark.contract

NOT_SOURCES = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel, built from the sdist without a warning."""
    # The build writes beside the sources: it gets a copy of them.
    sources, folder = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("dist")
    shutil.copytree(ROOT, sources, dirs_exist_ok=True, ignore=NOT_SOURCES)
    built = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(sources)],
        # Where this is set, setuptools warns that it compiles nothing.
        env=environment(PYTHONDONTWRITEBYTECODE=""),
        capture_output=True,
        text=True,
    )
    output = built.stdout + built.stderr
    assert built.returncode == 0, output
    # Not the name of a module of ours.
    assert not re.search(r"(?i)warning(?!s\.py)", output), output
    assert Path(folder, f"petsage-{__version__}.tar.gz").exists()
    (wheel,) = folder.glob(f"petsage-{__version__}-*.whl")
    return wheel


def link_pinned_requirements(site: Path) -> None:
    """Put what requirements.txt pins into a virtual environment, without asking an index again.

    Links to what is installed for the tests do: nothing else is found there.
    """
    pinned = re.findall(
        r"^([\w.-]+)==[^ ;]+ \\$", Path(ROOT, "requirements.txt").read_text(), re.MULTILINE
    )
    assert "flask" in pinned
    for name in pinned:
        installed = distribution(name)
        for top in {file.parts[0] for file in installed.files or ()} - {"..", "__pycache__"}:
            Path(site, top).symlink_to(str(installed.locate_file(top)))


def test_the_wheel_installed_alone_serves_the_pages_and_judges_the_pings(
    wheel: Path, tmp_path: Path
) -> None:
    venv.create(tmp_path / "venv", symlinks=True)
    programs = tmp_path / "venv" / "bin"
    (site,) = tmp_path.glob("venv/lib/python3*/site-packages")
    link_pinned_requirements(site)
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--python", str(programs / "python"), "-q"),
            *("--disable-pip-version-check", "install", "--no-index", "--no-deps", str(wheel)),
        ],
        check=True,
    )
    (empty := tmp_path / "empty").mkdir()
    command = web_line().replace("gunicorn", f"{programs}/python -m gunicorn", 1)
    command = command.replace("wsgi:app", "'petsage:create_app()'")
    with running_service(command, cwd=empty) as service:
        for path in ("/", "/docs", "/redoc", "/openapi.json", "/system/ready"):
            assert get(service, path).status == 200
        judged = subprocess.run(
            [programs / "petsage", "smoke-test", service.url], capture_output=True, text=True
        )
    assert (judged.returncode, judged.stdout[:6]) == (0, "PASSED"), judged.stdout + judged.stderr
