"""The wheel and the sdist, built without a warning, each serve and judge where nothing else is."""

import subprocess
import sys
import urllib.request
import venv
from pathlib import Path

import pytest

from petsage import __version__
from tests.running import ROOT, environment, running_service


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the built distributions."""
    folder = tmp_path_factory.mktemp("dist")
    built = subprocess.run(
        [sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)],
        # Where this is set, setuptools warns that it compiles nothing.
        env=environment(PYTHONDONTWRITEBYTECODE=""),
        capture_output=True,
        text=True,
    )
    output = built.stdout + built.stderr
    assert built.returncode == 0, output
    assert "warn" not in output.lower(), output
    return folder


@pytest.mark.parametrize("name", ["petsage-*.whl", "petsage-*.tar.gz"], ids=["wheel", "sdist"])
def test_a_distribution_installed_alone_serves_the_pages_and_judges_the_pings(
    name: str, dist: Path, tmp_path: Path
) -> None:
    (distribution,) = dist.glob(name)
    assert f"-{__version__}" in distribution.name
    venv.create(tmp_path / "venv", with_pip=True)
    programs = tmp_path / "venv" / "bin"
    pip = [str(programs / "python"), "-m", "pip", "--disable-pip-version-check", "-q"]
    locked = str(Path(ROOT, "requirements.txt"))
    subprocess.run([*pip, "install", "--require-hashes", "-r", locked], check=True)
    subprocess.run([*pip, "install", "--no-deps", str(distribution)], check=True)

    command = (
        f"{programs}/gunicorn --config python:petsage.server.gunicorn_conf 'petsage:create_app()'"
    )
    (tmp_path / "empty").mkdir()
    with running_service(command, cwd=tmp_path / "empty") as service:
        for path in ("/", "/docs", "/redoc", "/openapi.json", "/system/ready"):
            with urllib.request.urlopen(service.url + path, timeout=10) as answer:
                assert answer.status == 200
        judged = subprocess.run(
            [programs / "petsage", "smoke-test", service.url], capture_output=True, text=True
        )
    assert (judged.returncode, judged.stdout[:6]) == (0, "PASSED"), judged.stdout + judged.stderr
