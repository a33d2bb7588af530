"""petsage.pyz: one file, the same bytes everywhere, that runs where nothing else is."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
import sys
import time
import zipapp
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from petsage import __version__
from tests.client.fleets import NEW as RELEASE
from tests.client.servers import Running, serving
from tests.distribution.building import NEW, OLD, SCRIPT, build
from tests.documents import README
from tests.running import ROOT
from tests.tools import require

pytestmark = pytest.mark.contract

VERDICT_SECONDS = 5.0
EVERY_PYTHON = pytest.mark.parametrize("python", NEW.values(), ids=NEW.keys())


@pytest.fixture(scope="module")
def service() -> Iterator[Running]:
    with serving(RELEASE) as server:
        yield server


@pytest.fixture
def empty(pyz: Path, tmp_path: Path) -> Path:
    """A folder with the file and nothing else."""
    shutil.copy(pyz, tmp_path)
    return tmp_path


def run(
    folder: Path, *arguments: object, python: str = sys.executable, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the file as a stranger's machine would: no variables, no packages, no working copy."""
    return subprocess.run(
        [python, "-I", "petsage.pyz", *map(str, arguments)],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        timeout=120,
    )


@EVERY_PYTHON
def test_a_verdict_in_an_empty_folder_with_an_empty_environment(
    python: str, empty: Path, service: Running
) -> None:
    before = os.times()
    done = run(empty, "smoke-test", service.url, "--expect-release", "v43", python=python)
    after = os.times()
    assert (done.returncode, done.stdout[:6], done.stderr) == (0, "PASSED", "")
    assert [one.name for one in empty.iterdir()] == ["petsage.pyz"]
    # What it needs of the processor: the time on the clock depends on what else the machine does.
    used = after.children_user + after.children_system
    assert used - before.children_user - before.children_system < VERDICT_SECONDS


@EVERY_PYTHON
def test_a_rollout_and_the_help(python: str, empty: Path, service: Running) -> None:
    fast = ("--expect-release", "v43", "--rate", 50, "--consecutive", 5)
    reports = [f"report.{ending}" for ending in ("json", "xml", "md", "html")]
    outputs = [argument for report in reports for argument in ("-o", report)]
    done = run(empty, "rollout", service.url, *fast, *outputs, python=python)
    assert (done.returncode, done.stderr) == (0, "")
    assert all((empty / report).stat().st_size for report in reports)
    assert "--release-json" in run(empty, "rollout", "--help", python=python).stdout
    assert run(empty, "--version", python=python).stdout == f"petsage {__version__}\n"


WATCH = """
import json, runpy, sys
seen = []
def watch(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "subprocess.Popen"):
        seen.append([event, str(args[1] if event == "socket.connect" else args[0])])
    elif event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
        seen.append([event, str(args[0])])
sys.addaudithook(watch)
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    sys.stderr.write(json.dumps(seen))
"""


def test_it_connects_to_the_service_alone_and_writes_no_file(empty: Path, service: Running) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", WATCH, "petsage.pyz", "smoke-test", service.url],
        cwd=empty,
        env={},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert {tuple(one) for one in json.loads(done.stderr)} == {
        ("socket.getaddrinfo", service.host),
        ("socket.connect", str((service.host, service.port))),
    }


def test_the_live_view_is_in_it(empty: Path, service: Running) -> None:
    leader, terminal = pty.openpty()
    fast = ("--expect-release", "v43", "--rate", "20", "--consecutive", "30")
    process = subprocess.Popen(
        [sys.executable, "-I", "petsage.pyz", "rollout", service.url, *fast],
        cwd=empty,
        env={"TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=terminal,
    )
    os.close(terminal)
    shown = b""
    try:
        while chunk := os.read(leader, 65536):
            shown += chunk
    except OSError:
        # Linux says so where the last process has closed the terminal.
        pass
    finally:
        os.close(leader)
        process.communicate(timeout=120)
    assert process.returncode == 0, shown
    assert b"\x1b[" in shown
    assert b"v43" in shown
    assert b"Traceback" not in shown


def pretending(folder: Path, change: str) -> subprocess.CompletedProcess[str]:
    """Run the file under a Python that has been told another thing of itself."""
    script = f"import runpy, sys\n{change}\nrunpy.run_path('petsage.pyz', run_name='__main__')"
    return subprocess.run(
        [sys.executable, "-I", "-c", script], cwd=folder, capture_output=True, text=True
    )


ELSEWHERE = {
    "Windows": ("sys.platform = 'win32'", "not on Windows"),
    "Python 3.10": ("sys.version_info = (3, 10)", "Python 3.11 or newer"),
}


@pytest.mark.parametrize(("change", "said"), ELSEWHERE.values(), ids=ELSEWHERE.keys())
def test_where_it_cannot_run_it_says_so_in_a_sentence(empty: Path, change: str, said: str) -> None:
    done = pretending(empty, change)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_old_python_says_that_it_is_too_old(empty: Path) -> None:
    for version, python in OLD.items():
        done = subprocess.run(
            [python, "petsage.pyz", "--version"], cwd=empty, env={}, capture_output=True, text=True
        )
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert f"this is {version}." in done.stderr


def test_the_same_bytes_from_every_python_in_every_place(tmp_path: Path) -> None:
    # A commit while this runs would be another one.
    epoch = {"SOURCE_DATE_EPOCH": "1800000000"}
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    build(here, **epoch)
    umask = os.umask(0o077)
    try:
        for python in NEW.values():
            build(elsewhere, python, TZ="Pacific/Auckland", LC_ALL="C", **epoch)
            assert elsewhere.read_bytes() == here.read_bytes()
    finally:
        os.umask(umask)


def test_what_is_in_it(pyz: Path) -> None:
    assert pyz.stat().st_size < 3_000_000
    assert os.access(pyz, os.X_OK)
    assert zipapp.get_interpreter(pyz) == "/usr/bin/env python3"
    with zipfile.ZipFile(pyz) as archive:
        names = archive.namelist()
        times = {one.date_time for one in archive.infolist()}
    assert names == sorted(names)
    assert len(times) == 1
    assert {name.split("/")[0] for name in names} == {
        *("__main__.py", "petsage", "click", "rich", "licenses")
    }
    assert not [name for name in names if name.startswith(("petsage/service", "petsage/server"))]
    licensed = {name.split("/")[1].split("-")[0] for name in names if name.startswith("licenses/")}
    assert licensed == {"petsage", "click", "rich"}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the script reads, outside of any git repository."""
    folder = tmp_path / "checkout"
    for name in ("LICENSE", "requirements.txt", "petsage", "deploy"):
        copy = shutil.copytree if Path(ROOT, name).is_dir() else shutil.copy
        folder.mkdir(exist_ok=True)
        copy(Path(ROOT, name), folder / name)
    return folder


def test_its_time_is_that_of_the_commit(checkout: Path) -> None:
    script = checkout / SCRIPT.relative_to(ROOT)
    target = checkout / "petsage.pyz"
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.example"]
    committed = 1_800_000_000
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "a"]):
        subprocess.run(
            [*git, *command],
            check=True,
            cwd=checkout,
            env=os.environ | {"GIT_COMMITTER_DATE": f"{committed} +1300"},
        )
    subprocess.run([sys.executable, script, target], check=True)
    with zipfile.ZipFile(target) as archive:
        assert {one.date_time for one in archive.infolist()} == {time.gmtime(committed)[:6]}


def test_a_package_with_another_hash_is_not_taken(checkout: Path) -> None:
    requirements = checkout / "requirements.txt"
    before, _, after = requirements.read_text().partition("\nclick==")
    pin, _, rest = after.partition(" \\\n")
    after = f"{pin} \\\n    --hash=sha256:{'0' * 64}\n{rest.partition('    # via')[2]}"
    requirements.write_text(f"{before}\nclick=={after}")
    target = checkout / "petsage.pyz"
    done = subprocess.run(
        [sys.executable, checkout / SCRIPT.relative_to(ROOT), target],
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "hash" in done.stderr.lower()
    assert not target.exists()


def test_make_builds_it_with_this_script() -> None:
    done = subprocess.run(
        ["make", "--dry-run", "petsage.pyz"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert f"{SCRIPT.relative_to(ROOT)} petsage.pyz" in done.stdout


COMPLETE = {
    "bash": """
        COMP_WORDS=(petsage smoke-test --expect-r); COMP_CWORD=2
        _petsage_completion petsage
        printf '%s\\n' "${COMPREPLY[@]}"
    """,
    "zsh": """
        words=(petsage smoke-test --expect-r); CURRENT=3
        _describe() { shift 2; print -l -- "${(P)1[@]}"; }
        compadd() { print -l -- "${(P)@[-1]}"; }
        _petsage_completion
    """,
}


@pytest.mark.parametrize("shell", COMPLETE)
def test_a_shell_completes_with_the_line_of_the_readme(
    shell: str, pyz: Path, tmp_path: Path
) -> None:
    (line,) = re.findall(r"`(eval [^`]*bash_source[^`]*)`", README)
    line = line.replace("bash_source", f"{shell}_source")
    (tmp_path / "petsage").symlink_to(pyz)
    # In zsh, compinit makes the function that a completion registers itself with.
    start = "compdef() { :; }\n" if shell == "zsh" else ""
    done = subprocess.run(
        [require(shell), "-c", f"{start}{line}\n{COMPLETE[shell]}"],
        env={"PATH": f"{tmp_path}:{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert re.search(r"^--expect-release\b", done.stdout, re.MULTILINE), done
