"""What a run shows while it lasts: on a terminal, in the log of a CI job, and with `-q`."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from tests.client.fleets import OLD, resets
from tests.client.runs import COMMAND, ROOT, checked, done, environment, petsage, start
from tests.client.servers import Fleet, Running, serving

pytestmark = pytest.mark.contract

R = ("--expect-release", "v43")
FAST = ("--consecutive", 2, "--no-bad-requests")
# Makes the terminal on its stdin the one that controls it, as a login does.
LOGIN = "import os, sys; os.login_tty(0); os.execv(sys.argv[1], sys.argv[1:])"


def on_a_terminal(*arguments: object, **variables: str) -> tuple[int, str]:
    """Run petsage in a session on a terminal of its own; return what was shown there."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, 120))
    process = subprocess.Popen(
        [sys.executable, "-c", LOGIN, *COMMAND, *map(str, arguments)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment(TERM="xterm-256color", **variables),
        cwd=ROOT,
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 65_536)
        except OSError:  # Linux's way to say that the other side is closed
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    return process.wait(30), shown.decode()


COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def test_colours_are_for_terminals_alone_and_no_color_is_honoured(service: Running) -> None:
    code, shown = on_a_terminal("smoke-test", service.url, *FAST)
    assert (code, COLOUR.search(shown) is not None) == (0, True)
    code, shown = on_a_terminal("smoke-test", service.url, *FAST, NO_COLOR="1")
    assert (code, COLOUR.search(shown)) == (0, None)
    assert on_a_terminal("smoke-test", service.url, *FAST, "-q") == (0, "")


def test_the_live_view_counts_failures_as_a_share_beside_the_releases(tmp_path: Path) -> None:
    fleet = Fleet(lambda number: OLD if number < 20 else resets)
    report = tmp_path / "report.json"
    with serving(fleet) as server:
        code, shown = on_a_terminal(
            *("rollout", server.url, *R, "--rate", 40, "--deadline", 4, "-o", report)
        )
    assert (code, checked(report.read_text())["pings"]["failed"].keys()) == (3, {"reset"})
    plain = COLOUR.sub("", shown)
    lines = [line for line in re.split(r"[\r\n]+", plain) if "%" in line]
    assert any("v42" in line for line in lines)
    shares = [int(found) for found in re.findall(r"fail[^%\n\r]*?(\d+) ?%", plain)]
    # At first none fail, and in the end most do.
    assert max(shares) > 50


def test_elsewhere_a_line_now_and_then_shows_that_it_is_alive() -> None:
    with serving(OLD) as server:
        process = start("rollout", server.url, *R, "--rate", 10, "--deadline", 11)
        run = done(process)
    assert run.code == 4
    assert 1 <= len(run.err.splitlines()) <= 3
    assert "\x1b" not in run.err


def test_the_commands_lines_stand_complete_on_the_terminal(service: Running) -> None:
    script = "for step in 1 2 3; do echo step $step of the deploy; sleep 0.3; done"
    more = ("--rate", 20, "--consecutive", 2, "--", "sh", "-c", script)
    code, shown = on_a_terminal("rollout", service.url, *R, *more)
    assert code == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    for step in (1, 2, 3):
        assert re.search(rf"(^|[\r\n])step {step} of the deploy *\r?\n", plain), shown


@pytest.mark.parametrize(
    ("script", "code"),
    [("read answer", 8), ("read answer < /dev/tty || exit 0", 0)],
    ids=["its input", "the terminal itself"],
)
def test_a_command_that_asks_for_a_password_fails_at_once(
    service: Running, script: str, code: int
) -> None:
    # In the background it would be stopped by the terminal, and wait for ever.
    more = ("--rate", 20, "--consecutive", 2, "--deadline", 600, "--", "sh", "-c", script)
    assert on_a_terminal("rollout", service.url, *R, *more)[0] == code


def test_a_terminal_that_takes_nothing_holds_no_ping_up(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    ours, theirs = pty.openpty()
    # As Ctrl-S does.
    termios.tcflow(theirs, termios.TCOOFF)
    with serving(OLD) as server:
        process = subprocess.Popen(
            [
                *(*COMMAND, "rollout", server.url, *R, "-o", str(report)),
                *("--rate", "20", "--deadline", "3"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=theirs,
            env=environment(TERM="xterm-256color"),
            cwd=ROOT,
        )
        try:
            assert process.wait(60) == 4
        finally:
            process.kill()
            os.close(theirs)
            os.close(ours)
    assert checked(report.read_text())["pings"]["sent"] > 40


def test_quiet_leaves_the_commands_own_words(service: Running) -> None:
    more = ("-q", "--rate", 20, "--consecutive", 2, "--", "echo", "deployed")
    run = petsage("rollout", service.url, *R, *more)
    assert (run.code, run.out, run.err) == (0, "", "deployed\n")
