"""The image of the service: its Dockerfile carried out, and the files that name it."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml

from tests.distribution.dockerfile import Image, ignored, instructions, only
from tests.documents import MANUAL
from tests.running import ROOT, Service, free_port, web_line
from tests.tools import require_read_only_root

pytestmark = pytest.mark.contract

COMMIT = "0f9a3b7c0f9a3b7c0f9a3b7c0f9a3b7c0f9a3b7c"
MANIFESTS = list(yaml.safe_load_all(Path(ROOT, "deploy/kubernetes.yaml").read_text()))
COMPOSE = yaml.safe_load(Path(ROOT, "deploy/compose.yaml").read_text())
(WEB,) = COMPOSE["services"].values()


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    # pytest's own folders are closed to other users.
    folder = Path(tempfile.mkdtemp(prefix="petsage-image-"))
    folder.chmod(0o755)
    try:
        made = Image(folder)
        made.build(PETSAGE_COMMIT=COMMIT)
        yield made
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def service(image: Image) -> Iterator[Service]:
    require_read_only_root()
    with image.running(PETSAGE_RELEASE="v43", WEB_CONCURRENCY="2") as running:
        yield running


def test_its_processes_have_no_privileges_and_nowhere_to_write(service: Service) -> None:
    for pid in [service.process.pid, *service.workers()]:
        status = Path(f"/proc/{pid}/status").read_text()
        assert set(re.findall(r"^(?:U|G)id:\t(.*)$", status, re.MULTILINE)) == {
            "\t".join(["10001"] * 4)
        }
        assert re.search(r"^CapEff:\t0+$", status, re.MULTILINE)
        (root,) = [
            line.split()
            for line in Path(f"/proc/{pid}/mounts").read_text().splitlines()
            if line.split()[1] == "/"
        ][-1:]
        assert "ro" in root[3].split(",")


def test_it_serves_and_knows_its_commit(service: Service) -> None:
    with urllib.request.urlopen(f"{service.url}/system/version", timeout=30) as response:
        told = json.load(response)
    assert (told["release"], told["commit"]) == ("v43", COMMIT)
    for path in ("/", "/docs", "/redoc", "/openapi.json", "/system/ready"):
        with urllib.request.urlopen(service.url + path, timeout=30) as response:
            assert response.status == 200
    assert {line["level"] for line in service.log_records()} == {"INFO"}


def test_the_command_in_it_judges_the_service(image: Image, service: Service) -> None:
    judged = subprocess.run(
        ["python", "-m", "petsage", "smoke-test", service.url, "--expect-release", "v43"],
        cwd=image.app,
        env=image.variables(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (judged.returncode, judged.stdout[:6]) == (0, "PASSED"), judged


def healthcheck(image: Image, port: int, **variables: str) -> int:
    """Run the HEALTHCHECK and return its exit code."""
    _, _, command = only("HEALTHCHECK").partition("CMD ")
    return subprocess.run(
        json.loads(command),
        cwd=image.app,
        env=image.variables(PORT=str(port), **variables),
        capture_output=True,
        timeout=60,
    ).returncode


def test_the_health_check_is_0_while_it_lives(image: Image, service: Service) -> None:
    assert healthcheck(image, service.port) == 0
    nobody = f"http://127.0.0.1:{free_port()}"
    assert healthcheck(image, service.port, http_proxy=nobody, HTTP_PROXY=nobody) == 0
    assert healthcheck(image, service.port, PETSAGE_HOST="0.0.0.0") == 0


class Broken(BaseHTTPRequestHandler):
    """Responds with 500."""

    def do_GET(self) -> None:
        self.send_response(500)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


def test_the_health_check_is_1_where_it_does_not_live(image: Image) -> None:
    assert healthcheck(image, free_port()) == 1
    assert healthcheck(image, 70_000) == 1
    with HTTPServer(("127.0.0.1", 0), Broken) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            assert healthcheck(image, server.server_port) == 1
        finally:
            server.shutdown()
            thread.join()


def test_it_runs_what_the_procfile_runs() -> None:
    assert json.loads(only("CMD")) == shlex.split(web_line())
    assert "ENTRYPOINT" not in dict(instructions())


def test_it_has_the_python_of_the_repository_in_its_slim_form() -> None:
    version = Path(ROOT, ".python-version").read_text().strip()
    assert only("FROM") == f"python:{version}-slim"


def test_its_port_is_8000_and_its_user_a_number(image: Image) -> None:
    assert image.environment["PORT"] == only("EXPOSE") == "8000"
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", only("USER"))
    pod = MANIFESTS[0]["spec"]["template"]["spec"]
    assert only("USER").partition(":")[0] == str(pod["securityContext"]["runAsUser"])


def test_only_what_runs_is_in_it(image: Image) -> None:
    assert {one.name for one in image.app.iterdir()} - {"__pycache__"} == {
        *("petsage", "deploy", "wsgi.py", "requirements.txt")
    }
    for path in ("README.md", ".git/config", "tests/conftest.py", "deploy/rolling.py"):
        assert ignored(Path(path))
    for path in ("petsage/__main__.py", "petsage/client/cli.py", "deploy/healthcheck.py"):
        assert not ignored(Path(path))
    assert ignored(Path("petsage/__pycache__/cli.cpython-313.pyc"))


def test_everything_names_the_same_image() -> None:
    pod = MANIFESTS[0]["spec"]["template"]["spec"]
    texts = [*MANUAL, Path(ROOT, "Dockerfile").read_text()]
    named = {name for text in texts for name in re.findall(r"registry\.example/[\w.:-]+", text)}
    assert named | {WEB["image"]} == {pod["containers"][0]["image"]}
    # Its CMD is the Procfile's line, so that neither says it again.
    assert "command" not in pod["containers"][0]
    assert "command" not in WEB


def test_compose_builds_it_and_runs_it_as_kubernetes_does() -> None:
    folder = Path(ROOT, "deploy", WEB["build"]["context"])
    assert folder.resolve() == ROOT
    assert Path(folder, "Dockerfile").exists()
    assert set(WEB["build"]["args"]) == {only("ARG").partition("=")[0]}
    assert WEB["read_only"] is True
    assert WEB["cap_drop"] == ["ALL"]
    assert WEB["ports"] == [f"127.0.0.1:8000:{only('EXPOSE')}"]
    pod = MANIFESTS[0]["spec"]["template"]["spec"]
    assert set(WEB["environment"]) <= {one["name"] for one in pod["containers"][0]["env"]}
