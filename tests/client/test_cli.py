"""What the command line promises beside its verdicts; the contract tests hold those."""

from __future__ import annotations

import errno
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import click
import pytest

from petsage import __version__
from petsage.client import cli as command_line
from petsage.client.cli import cli, exit_status
from petsage.client.options import Lines
from petsage.client.verdict import ExitCode
from tests.client.runs import ROOT, checked, environment, petsage, start
from tests.client.servers import Running

COMMANDS: dict[str, click.Command] = dict(cli.commands)
OPTIONS = [
    (name, option)
    for name, command in COMMANDS.items()
    for option in command.params
    if isinstance(option, click.Option) and option.name != "help"
]
OPTION_IDS = [f"{name} {option.opts[-1]}" for name, option in OPTIONS]


@pytest.fixture(autouse=True)
def _own_signal_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Running the command line in this process must not take over its signals."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)


@pytest.mark.parametrize("code", [code for code in ExitCode if code is not ExitCode.PASSED])
def test_help_explains_each_exit_code(code: ExitCode) -> None:
    epilog = cli.epilog or ""
    assert re.search(rf"^ +{code.value}  {code.word} ", epilog, re.MULTILINE)


@pytest.mark.parametrize(("command", "option"), OPTIONS, ids=OPTION_IDS)
def test_each_option_has_a_variable_and_stands_in_the_docs(
    command: str, option: click.Option
) -> None:
    long = max(option.opts, key=len)
    # click makes the variable's name from the parameter's.
    assert option.name == long.removeprefix("--").replace("-", "_")
    assert option.allow_from_autoenv
    assert f"`{long}" in Path(ROOT, "docs", "commands.md").read_text()
    assert option.help
    if option.multiple:
        assert isinstance(option.type, Lines)


def test_help_fits_a_terminal_of_80_columns() -> None:
    shown = petsage("--help").out
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_in_help_are_commands(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each example is parsed and its options are checked; nothing is pinged."""
    epilog = (COMMANDS[name].epilog or "").replace("heroku logs --tail | ", "")
    examples = [line.strip() for line in epilog.splitlines() if "petsage" in line]
    assert len(examples) > 5
    for example in examples:
        first, *arguments = shlex.split(example)
        assert (first, arguments[0]) == ("petsage", name)
        with COMMANDS[name].make_context(name, arguments[1:]) as context:
            assert context.params["url"].startswith("https://app.example")


def test_version_is_the_packages_own() -> None:
    assert petsage("--version").out == f"petsage {__version__}\n"


LOADED = """
import sys
try:
    from petsage.client.cli import main
    main({arguments})
except SystemExit:
    pass
wanted = {{"rich", "ssl", "flask", "socket", "json", "marshmallow", "gunicorn"}}
print(sorted(wanted & set(sys.modules)), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["smoke-test", "--help"], ["rollout", "--help"]],
    ids=" ".join,
)
def test_help_and_version_load_nothing_heavy(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(arguments=arguments)],
        capture_output=True,
        text=True,
        env=environment(),
        cwd=ROOT,
        timeout=120,
    )
    assert done.stderr == "[]\n"


def test_a_run_without_a_terminal_loads_no_rich_and_no_flask(service: Running) -> None:
    code = LOADED.format(arguments=["smoke-test", service.url])
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment(),
        cwd=ROOT,
        timeout=120,
    )
    loaded = done.stderr.splitlines()[-1]
    assert "PASSED" in done.stdout
    assert "rich" not in loaded
    assert "flask" not in loaded


class Failing(click.Command):
    """A command that raises what a test wants."""

    def __init__(self, error: BaseException) -> None:
        super().__init__("fail")
        self._error = error

    def invoke(self, ctx: click.Context) -> Any:
        raise self._error


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ValueError("a bug"), 70, r"petsage: internal error, no verdict: ValueError: a bug \(.+\)"),
        (click.ClickException("wrong"), 2, "Error: wrong"),
        (click.FileError("x", "gone"), 2, "Error: Could not open file"),
        (KeyboardInterrupt(), 130, ""),
        (SystemExit(1), 70, ""),
    ],
    ids=["a bug", "click's own error", "click's error with 1", "Ctrl-C", "click exits"],
)
def test_no_error_is_a_verdict(
    error: BaseException,
    code: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(command_line, "cli", click.Group(commands={"fail": Failing(error)}))
    assert exit_status(["fail"]) == code
    told = capsys.readouterr().err
    assert re.match(line, told)
    assert told.count("\n") <= 1


class TestOutput:
    """Where the report goes."""

    def test_a_fifo_is_written_once(self, service: Running, tmp_path: Path) -> None:
        fifo = tmp_path / "report"
        os.mkfifo(fifo)
        read: list[str] = []
        # One reader, which sees the end of the file when petsage has closed it.
        reader = threading.Thread(target=lambda: read.append(fifo.read_text()), daemon=True)
        reader.start()
        done = petsage("smoke-test", service.url, "-o", fifo, "--format", "json")
        reader.join(60)
        assert done.code == 0
        assert checked(read[0])["exit_code"] == 0
        assert done.out.startswith("PASSED")

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda one: one.name)
    def test_a_signal_ends_the_wait_for_a_reader(
        self, service: Running, tmp_path: Path, number: signal.Signals
    ) -> None:
        fifo = tmp_path / "report"
        os.mkfifo(fifo)
        process = start("smoke-test", service.url, "-o", fifo)
        assert process.stdout is not None
        # The report on stdout comes first; then it waits for a reader.
        assert process.stdout.readline().startswith(b"PASSED")
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130
        assert b"Traceback" not in err

    def test_a_file_is_written_and_stdout_shows_text(
        self, service: Running, tmp_path: Path
    ) -> None:
        path = tmp_path / "report.json"
        done = petsage("smoke-test", service.url, "--output", path)
        assert done.out.startswith("PASSED")
        assert checked(path.read_text())["exit_code"] == 0

    def test_an_unknown_ending_is_text_and_a_line_says_so(
        self, service: Running, tmp_path: Path
    ) -> None:
        path = tmp_path / "report.new"
        done = petsage("smoke-test", service.url, "--output", path)
        assert path.read_text().startswith("PASSED")
        assert ".json" in done.err
        assert done.err.count("\n") == 1
        quiet = petsage("smoke-test", service.url, "--output", path, "-q")
        assert (quiet.out, quiet.err) == ("", "")

    def test_a_disk_that_is_full_changes_no_verdict(self, service: Running) -> None:
        done = petsage("smoke-test", service.url, "--output", "/dev/full", "--format", "json")
        assert done.code == 0
        assert os.strerror(errno.ENOSPC) in done.err

    def test_quiet_is_one_line_with_the_verdict_and_the_next_step(self, service: Running) -> None:
        asked = ("--expect-release", "v44", "--wait", 1, "-q")
        done = petsage("smoke-test", service.url, *asked)
        assert (done.code, done.out) == (4, "")
        assert re.fullmatch(r"petsage: old: [^\n]+\. [^\n]+\.\n", done.err)
        passed = petsage("smoke-test", service.url, "-q")
        assert (passed.code, passed.out, passed.err) == (0, "", "")
