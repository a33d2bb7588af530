"""Services that are not PetSage, each with the old release, the new one, both, and none (3.5).

The ASGI app runs in gunicorn, which is there anyway: FastAPI is a dependency of the benchmark
alone, and a probe from outside sees the same of it.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.client.runs import Done, checked, smoke_test
from tests.rolling import rolling_fleet
from tests.running import PATIENCE_SECONDS, ROOT, Service, eventually, running_service
from tests.tools import express_modules, require

pytestmark = pytest.mark.contract

GUNICORN = "gunicorn --no-control-socket --bind 127.0.0.1:$PORT"


def told(release: str | None) -> dict[str, str]:
    """Return the variable that tells an app its release."""
    return {} if release is None else {"APP_RELEASE": release}


def wsgi(release: str | None) -> AbstractContextManager[Service]:
    return running_service("python -m tests.end_to_end.foreign_apps", **told(release))


def asgi(release: str | None) -> AbstractContextManager[Service]:
    command = f"{GUNICORN} --worker-class asgi --asgi-lifespan off"
    return running_service(f"{command} tests.end_to_end.foreign_apps:asgi", **told(release))


def express(release: str | None) -> AbstractContextManager[Service]:
    require("node")
    variables = told(release) | {"NODE_PATH": str(express_modules())}
    return running_service("node tests/end_to_end/foreign_app.js", **variables)


@contextmanager
def static_file(release: str | None) -> Iterator[Service]:
    with TemporaryDirectory() as folder:
        if release is not None:
            Path(folder, "version.txt").write_text(f"{release}\n")
        command = f"{shlex.quote(sys.executable)} -m http.server --bind 127.0.0.1 $PORT"
        with running_service(command, cwd=Path(folder)) as service:
            yield service


@contextmanager
def haproxy(rules: str, *servers: Service) -> Iterator[Service]:
    """Run HAProxy with these rules; its servers have their turns one after the other."""
    require("haproxy")
    lines = ["defaults", "mode http", "timeout connect 60s", "timeout client 60s"]
    lines += ["timeout server 60s", "cache copies", "total-max-size 4", "max-age 3600"]
    lines += ["frontend shop", 'bind "127.0.0.1:${PORT}"', rules]
    if servers:
        lines += ["default_backend apps", "backend apps", "balance roundrobin"]
        lines += [f"server app{one.port} 127.0.0.1:{one.port}" for one in servers]
    with TemporaryDirectory() as folder:
        path = Path(folder, "haproxy.cfg")
        path.write_text("\n".join([*lines, ""]))
        with running_service(f"haproxy -db -f {shlex.quote(str(path))}") as service:
            yield service


def fixed_response(release: str | None) -> AbstractContextManager[Service]:
    members = {"status": "up"} if release is None else {"version": release}
    body = json.dumps(members)
    return haproxy(f"http-request return status 200 content-type application/json string '{body}'")


REDIRECT = "http-request redirect location /health code 302 if { path / }"
CACHE = """
http-request cache-use copies
http-response set-header Cache-Control "public, max-age=3600"
http-response cache-store copies
"""
# As a CDN does it: a caller can't have a fresh response.
DEAF_CACHE = f"http-request del-header Cache-Control{CACHE}"


@dataclass(frozen=True)
class Kind:
    """A kind of service, where it tells its release, and the exit code for each state of it.

    `rules` are those of HAProxy before it. `instead` is shown where no release is told.
    """

    start: Callable[[str | None], AbstractContextManager[Service]]
    path: str
    place: tuple[str, str]
    instead: str
    old: int = 4
    new: int = 0
    mixed: int = 5
    missing: int = 9
    rules: str = ""


JSON = ("--release-json", "version")
KINDS = {
    "WSGI": Kind(wsgi, "/health", JSON, "members status, without version"),
    "ASGI": Kind(asgi, "/", ("--release-header", "X-App-Version"), "content-length"),
    "Express": Kind(express, "/info", ("--release-json", "/build/version"), "members name"),
    "file": Kind(static_file, "/version.txt", ("--release-text", r"^(\S+)$"), "404"),
    "HAProxy": Kind(fixed_response, "/", JSON, "members status, without version"),
    "redirect": Kind(
        wsgi, "/", JSON, "302 to /health", old=9, new=9, mixed=9, missing=9, rules=REDIRECT
    ),
    "cache": Kind(wsgi, "/health", JSON, "members status, without version", rules=CACHE),
    "deaf cache": Kind(
        wsgi, "/health", JSON, "members status", old=5, new=5, mixed=5, rules=DEAF_CACHE
    ),
}
each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


@contextmanager
def fleet(kind: Kind, *releases: str | None) -> Iterator[str]:
    """Run an instance for each release, and HAProxy where it is needed; yield the URL to ask."""
    with ExitStack() as stack:
        instances = [stack.enter_context(kind.start(release)) for release in releases]
        front = instances[0]
        if kind.rules or len(instances) > 1:
            front = stack.enter_context(haproxy(kind.rules, *instances))
        url = front.url + kind.path
        if kind.rules == DEAF_CACHE:
            assert eventually(lambda: age(url) > 0)
        yield url


def age(url: str) -> int:
    with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS) as response:
        return int(response.headers["Age"] or 0)


def asked(url: str, kind: Kind, wait: float) -> Done:
    """Wait for v43 at the URL, so long at most."""
    return smoke_test(
        *(url, *kind.place, "--expect-release", "v43"),
        *("--consecutive", 5, "--wait", wait),
        within=2 * PATIENCE_SECONDS,
    )


@each_kind
def test_the_old_release(kind: Kind) -> None:
    with fleet(kind, "v42") as url:
        done = asked(url, kind, 0.5)
    assert done.code == kind.old, done.out
    assert "v43" not in done.report["releases"]


@each_kind
def test_the_new_release(kind: Kind) -> None:
    with fleet(kind, "v43") as url:
        done = asked(url, kind, PATIENCE_SECONDS if kind.new == 0 else 0.5)
    assert done.code == kind.new, done.out
    assert (done.report["streak"]["reached"] >= 5) == (kind.new == 0)
    # Where a cache is why, it is named.
    assert ("from a cache (Age: " in done.sentences) == (kind.new == 5)


@each_kind
def test_both_releases(kind: Kind) -> None:
    with fleet(kind, "v42", "v43") as url:
        # Long enough for a response of each, on any machine.
        done = asked(url, kind, 3)
    assert done.code == kind.mixed, done.out
    if not kind.rules:
        assert set(done.report["releases"]) == {"v42", "v43"}


@each_kind
def test_no_release(kind: Kind) -> None:
    with fleet(kind, None) as url:
        done = asked(url, kind, 0.5)
    assert done.code == kind.missing, done.out
    assert kind.instead in done.sentences


def test_copies_that_are_younger_than_a_second_prove_nothing_either() -> None:
    with wsgi("v43") as app, haproxy(DEAF_CACHE, app) as front:
        done = asked(f"{front.url}/health", KINDS["deaf cache"], 3)
    assert done.code == 5, done.out
    assert done.report["streak"]["reached"] < 5


def shop(folder: Path) -> Path:
    """Return a folder with the WSGI app, a Procfile, and deploy/ for the path of its health."""
    (folder / "deploy").mkdir(parents=True)
    for name in ("fleet.py", "rolling.py", "haproxy.cfg"):
        text = Path(ROOT, "deploy", name).read_text()
        (folder / "deploy" / name).write_text(text.replace("/system/ready", "/health"))
    shutil.copy(Path(ROOT, "tests", "end_to_end", "foreign_apps.py"), folder)
    command = f'env APP_RELEASE="$PETSAGE_RELEASE" {GUNICORN} foreign_apps:wsgi'
    (folder / "Procfile").write_text(f"web: {command}\n")
    return folder


class Rollouts:
    """A shop behind HAProxy that goes from v1 to v2 drained, and then to v3 naively."""

    def __init__(self, folder: Path) -> None:
        watch = [*JSON, "--format", "json"]
        with rolling_fleet(folder / "run", "v1", shop(folder / "shop")) as fleet:
            url = f"{fleet.url}/health"
            self.drained = fleet.deploy("v2", [], watch, url)
            self.naive = fleet.deploy("v3", ["--naive"], watch, url)


@pytest.fixture(scope="module")
def rollouts(tmp_path_factory: pytest.TempPathFactory) -> Rollouts:
    return Rollouts(tmp_path_factory.mktemp("shop"))


def judged(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return the report of a rollout whose command has done its part."""
    report = checked(done.stdout)
    assert report["exit_code"] == done.returncode
    assert report["command"]["exit_code"] == 0, done.stderr
    assert report["switch"]
    return report


def test_a_rollout_that_drains_first_loses_no_ping(rollouts: Rollouts) -> None:
    report = judged(rollouts.drained)
    assert (report["exit_code"], report["pings"]["failed"]) == (0, {}), report
    assert set(report["releases"]) == {"v1", "v2"}


def test_a_naive_rollout_is_over_budget(rollouts: Rollouts) -> None:
    report = judged(rollouts.naive)
    assert (report["exit_code"], set(report["pings"]["failed"])) == (7, {"5xx"}), report
    assert set(report["releases"]) == {"v2", "v3"}
