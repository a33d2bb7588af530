"""The deploy scripts of the README and of docs/ci.md, as they stand, with stubbed platforms."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from petsage import contract
from tests.client.fleets import NEW, OLD, login
from tests.client.runs import COMMAND, environment
from tests.client.servers import Received, Respond, constant, resets, serving
from tests.documents import DOCUMENTS, blocks
from tests.tools import require

pytestmark = pytest.mark.contract

COMMIT = "0f9a3b7c0f9a3b7c0f9a3b7c0f9a3b7c0f9a3b7c"
SCRIPTS = {
    name: block
    for name in ("README.md", "docs/ci.md")
    for block in blocks("sh", DOCUMENTS[name])
    if "1|3)" in block
}
DEPLOYED = NEW.named(commit=COMMIT, instance="web.1")
# What the stubs of the platforms log: the deploy, and what would undo it.
DEPLOYS = {"README.md": "git push heroku main", "docs/ci.md": "kubectl apply"}
UNDOES = {"README.md": "heroku rollback v42", "docs/ci.md": "kubectl rollout undo"}
BOTH = pytest.mark.parametrize("name", SCRIPTS)


@dataclass(frozen=True)
class Deploy:
    """What a run of a script has left: its exit code, and the calls of the platform's tools."""

    code: int
    calls: list[str]
    err: str

    def called(self, beginning: str) -> bool:
        return any(call.startswith(beginning) for call in self.calls)


def version_of(respond: Respond, release: str | None) -> Respond:
    """Let a service tell its release at its own path too."""
    body = {
        "name": "petsage",
        "version": "2.0.0",
        "release": release,
        "commit": COMMIT,
        "source": {"release": "HEROKU_RELEASE_VERSION", "commit": "HEROKU_SLUG_COMMIT"},
    }

    def told(request: Received, connection: socket.socket) -> bytes | None:
        if request.path == contract.VERSION_PATH:
            return OLD.ok(request, body)
        return respond(request, connection)

    return told


def deploy(
    name: str,
    folder: Path,
    after: Respond,
    *,
    before: Respond | None = None,
    push: int = 0,
    wait: float = 1,
    shell: tuple[str, ...] = ("sh", "-c"),
) -> Deploy:
    """Run a script: `before` responds until it deploys, `after` once it has.

    `wait` is how many seconds a release has to respond, in place of the script's minutes.
    """
    require("curl")
    log, deployed, tools = folder / "calls", folder / "deployed", folder / "bin"
    tools.mkdir()
    log.touch()
    preflight = before or version_of(OLD, "v42")
    git = f"""
        echo "git $*" >> {log}
        case $1 in
          push) touch {deployed}; exit {push} ;;
          rev-parse) echo {COMMIT} ;;
        esac"""
    kubectl = f"""
        echo "kubectl $*" >> {log}
        case $1 in
          apply) touch {deployed}; exit {push} ;;
          get) echo 41 ;;
        esac"""
    for tool, script in {
        "petsage": f'exec {shlex.join(COMMAND)} "$@"',
        "heroku": f'echo "heroku $*" >> {log}',
        "git": git,
        "kubectl": kubectl,
    }.items():
        (tools / tool).write_text(f"#!/bin/sh\n{script}\n")
        (tools / tool).chmod(0o755)

    def respond(request: Received, connection: socket.socket) -> bytes | None:
        return (after if deployed.exists() else preflight)(request, connection)

    with serving(respond) as server:
        script = SCRIPTS[name].replace("https://app.example", server.url)
        script = re.sub(r"--wait \d+", f"--wait {wait}", script).replace("--instances 3", "")
        ran = subprocess.run(
            [*shell, script.replace("petsage smoke-test", "petsage smoke-test --timeout 0.5")],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=folder,
            env=environment(
                PATH=f"{tools}{os.pathsep}{os.environ['PATH']}",
                PETSAGE_SMOKE_TEST_WAIT="3",
            ),
        )
    return Deploy(ran.returncode, log.read_text().splitlines(), ran.stderr)


def test_each_document_has_its_script() -> None:
    assert set(SCRIPTS) == set(DEPLOYS)


CRASHES: dict[str, Respond] = {
    "no connection": resets,
    "a router's page": constant(503, b"<h1>Application error</h1>", Content_Type="text/html"),
}


@BOTH
@pytest.mark.parametrize("crashed", CRASHES.values(), ids=CRASHES.keys())
def test_a_release_that_crashes_at_boot_is_rolled_back(
    name: str, crashed: Respond, tmp_path: Path
) -> None:
    done = deploy(name, tmp_path, crashed)
    assert (done.code, done.calls[-1].startswith(UNDOES[name])) == (3, True)


@BOTH
@pytest.mark.parametrize("shell", [("sh", "-c"), ("sh", "-ec"), ("bash", "-euc")], ids=str)
def test_a_release_that_responds_500_is_rolled_back(
    name: str, shell: tuple[str, ...], tmp_path: Path
) -> None:
    done = deploy(name, tmp_path, DEPLOYED.broken, shell=shell)
    assert (done.code, done.calls[-1].startswith(UNDOES[name])) == (1, True)


def test_the_rollback_goes_to_what_was_noted_before(tmp_path: Path) -> None:
    done = deploy("docs/ci.md", tmp_path, DEPLOYED.broken)
    assert done.calls[-1].endswith("--to-revision=41")


def test_where_no_release_is_known_to_go_back_to_nothing_is_deployed(tmp_path: Path) -> None:
    done = deploy("README.md", tmp_path, DEPLOYED, before=version_of(OLD, None))
    assert (done.code, done.calls) == (1, [])


@BOTH
def test_a_good_deploy_passes(name: str, tmp_path: Path) -> None:
    done = deploy(name, tmp_path, DEPLOYED, wait=60)
    assert (done.code, done.called(DEPLOYS[name]), done.called(UNDOES[name])) == (0, True, False)


def test_a_start_that_ends_within_wait_rolls_nothing_back(tmp_path: Path) -> None:
    seen: list[Received] = []

    def starting(request: Received, connection: socket.socket) -> bytes | None:
        seen.append(request)
        return (resets if len(seen) < 3 else DEPLOYED)(request, connection)

    script = SCRIPTS["README.md"]
    wait = re.search(r"--wait (\d+)", script)
    assert wait is not None
    assert int(wait[1]) >= 60
    done = deploy("README.md", tmp_path, starting, wait=60)
    assert (done.code, done.called("heroku")) == (0, False)


def test_an_old_release_and_a_login_after_the_deploy_roll_nothing_back(tmp_path: Path) -> None:
    for number, (after, code) in enumerate(((OLD, 4), (login, 9))):
        folder = tmp_path / str(number)
        folder.mkdir()
        done = deploy("README.md", folder, after)
        assert (done.code, done.called("heroku")) == (code, False)


@BOTH
def test_a_deploy_that_fails_rolls_nothing_back(name: str, tmp_path: Path) -> None:
    done = deploy(name, tmp_path, OLD, push=1)
    assert (done.code, done.called(UNDOES[name])) == (1, False)


PREFLIGHTS: dict[str, tuple[Respond, int]] = {
    "a mistyped URL": (constant(404, b"No such app", Content_Type="text/plain"), 9),
    "a login": (login, 9),
    "a redirect": (constant(301, Location="https://www.app.example/"), 9),
    "an outage": (constant(503), 3),
}


@pytest.mark.parametrize("trouble", PREFLIGHTS)
def test_a_preflight_that_fails_deploys_nothing(trouble: str, tmp_path: Path) -> None:
    before, code = PREFLIGHTS[trouble]
    done = deploy("README.md", tmp_path, DEPLOYED, before=before)
    assert (done.code, done.calls) == (code, [])
