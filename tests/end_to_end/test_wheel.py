"""The wheel, built without a warning, serves everything where nothing else of the project is."""

import subprocess
import sys
import urllib.request
import venv
from pathlib import Path

from tests.running import ROOT, environment, running_service


def test_the_wheel_installed_alone_serves_the_pages_and_the_pings(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "build", "--outdir", str(tmp_path / "dist"), str(ROOT)],
        # Where this is set, setuptools warns that it compiles nothing.
        env=environment(PYTHONDONTWRITEBYTECODE=""),
        capture_output=True,
        text=True,
    )
    output = built.stdout + built.stderr
    assert built.returncode == 0, output
    assert "warn" not in output.lower(), output
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    assert list((tmp_path / "dist").glob("*.tar.gz"))

    venv.create(tmp_path / "venv", with_pip=True)
    pip = [str(tmp_path / "venv/bin/python"), "-m", "pip", "--disable-pip-version-check", "-q"]
    locked = str(Path(ROOT, "requirements.txt"))
    subprocess.run([*pip, "install", "--require-hashes", "-r", locked], check=True)
    subprocess.run([*pip, "install", "--no-deps", str(wheel)], check=True)

    command = (
        f"{tmp_path}/venv/bin/gunicorn --config python:petsage.service.server.gunicorn_conf"
        " 'petsage:create_app()'"
    )
    (tmp_path / "empty").mkdir()
    with running_service(command, cwd=tmp_path / "empty") as service:
        for path in ("/", "/docs", "/redoc", "/openapi.json", "/system/ready"):
            with urllib.request.urlopen(service.url + path, timeout=10) as answer:
                assert answer.status == 200
    done = subprocess.run([tmp_path / "venv/bin/petsage", "--version"], capture_output=True)
    assert done.returncode == 0
