"""`petsage rollout` while it runs: what stands on a terminal, in a log, and nowhere."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import termios
import time

from tests.client.fleets import OLD, page, resets, switching
from tests.client.runs import COMMAND, ROOT, environment, petsage, rollout
from tests.client.servers import Running, serving


def test_without_a_petsage_the_progress_says_that_the_command_is_not_started() -> None:
    with serving(page) as server:
        done = rollout(server.url, "--deadline", 6, "--", "true")
    assert (done.code, done.report["command"]["started_at"]) == (3, None)
    assert "PetSage has not answered yet, and so the command is not started" in done.err
    assert "but not PetSage" in done.report["headline"]


def test_after_a_command_that_worked_the_progress_says_for_how_long_it_waits() -> None:
    with serving(OLD) as server:
        done = rollout(server.url, "--deadline", 6, "--", "true")
    assert done.code == 4
    assert (
        "the command has ended; waiting for v43 until 6 s (bound it with --after-command)"
        in done.err
    )


def test_quiet_says_nothing_but_the_commands_own_words(service: Running) -> None:
    done = petsage(
        *("rollout", service.url, "--expect-release", "v43", "--rate", 50, "-q"),
        *("--", "echo", "deployed"),
    )
    assert (done.code, done.out, done.err) == (0, "", "deployed\n")


def test_without_a_terminal_it_says_a_plain_line_now_and_then(service: Running) -> None:
    done = rollout(service.url, "--consecutive", 280)
    (line,) = done.err.splitlines()
    assert line.startswith("petsage: 5 s  50.")
    assert "v43 100 %  0 failed of 25" in line
    assert "\x1b" not in done.err


# Makes the terminal on its stdin the one that it can be signalled from, as a login does.
LOGIN = [
    sys.executable,
    "-c",
    "import os, sys; os.login_tty(0); os.execv(sys.argv[1], sys.argv[1:])",
]


def on_a_terminal(
    *arguments: object, seconds: float = 30.0, through: tuple[str, ...] = (), columns: int = 160
) -> tuple[int, str]:
    """Run petsage with its stderr on a terminal; return its exit code and what stood there."""
    terminal, side = pty.openpty()
    termios.tcsetwinsize(side, (24, columns))
    process = subprocess.Popen(
        [*through, *COMMAND, *map(str, arguments)],
        stdin=side,
        stdout=subprocess.DEVNULL,
        stderr=side,
        env=environment(TERM="xterm"),
        cwd=ROOT,
    )
    os.close(side)
    shown = b""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not select.select([terminal], [], [], 0.2)[0]:
            continue
        try:
            piece = os.read(terminal, 65_536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(terminal)
    return process.wait(5), shown.decode()


def test_on_a_terminal_a_live_line_shows_who_answers_and_what_fails() -> None:
    with serving(switching(40, resets)) as server:
        code, shown = on_a_terminal(
            *("rollout", server.url, "--expect-release", "v43", "--rate", 50)
        )
    assert code == 7
    live = [line for line in shown.split("\r\x1b[K") if line]
    assert any("v42 100 %" in line and "waiting for v43" in line for line in live)
    assert any("1 failed of" in line and "last: reset" in line and "█" in line for line in live)
    assert shown.endswith("\r\x1b[K")


def test_the_live_line_fits_its_own_terminal_wherever_stdout_goes(service: Running) -> None:
    code, shown = on_a_terminal(
        *("rollout", service.url, "--expect-release", "v43", "--rate", 50), columns=20
    )
    assert code == 0
    live = [line for line in shown.split("\r\x1b[K") if line]
    assert {len(line) for line in live} == {19}


def test_while_it_watches_on_the_live_line_says_that_the_command_failed() -> None:
    with serving(OLD) as server:
        code, shown = on_a_terminal(
            *("rollout", server.url, "--expect-release", "v43", "--rate", 50),
            *("--after-command", 1, "--", "sh", "-c", "exit 3"),
        )
    assert code == 8
    assert "watching on for v43 for up to 1 s" in shown
    live = [line for line in shown.split("\r\x1b[K") if "the command failed (3)" in line]
    assert len(live) > 3
    assert all("waiting for v43" in line for line in live)


def test_the_live_line_says_what_answers_under_a_wrong_url() -> None:
    with serving(page) as server:
        _, shown = on_a_terminal(
            *("rollout", server.url, "--expect-release", "v43", "--rate", 50, "--deadline", 1)
        )
    assert "last: not PetSage (404)" in shown


def test_the_commands_lines_stand_whole_above_the_live_line(service: Running) -> None:
    script = "for step in 1 2 3; do echo step $step of the deploy; sleep 0.4; done"
    code, shown = on_a_terminal(
        *("rollout", service.url, "--expect-release", "v43", "--rate", 50),
        *("--", "sh", "-c", script),
    )
    assert code == 0
    for step in (1, 2, 3):
        assert re.search(rf"(^|\n|\x1b\[K)step {step} of the deploy\r?\n", shown), shown
    assert "the command runs" in shown


def test_a_command_that_reads_a_terminal_is_told_at_once_that_there_is_nothing(
    service: Running,
) -> None:
    code, _ = on_a_terminal(
        *("rollout", service.url, "--expect-release", "v43", "--rate", 50),
        *("--", "sh", "-c", "read answer"),
    )
    # `read` fails at the end of its input; a stopped one would hang until the deadline.
    assert code == 8


def test_a_command_that_asks_at_the_terminal_itself_is_not_stopped(service: Running) -> None:
    code, shown = on_a_terminal(
        *("rollout", service.url, "--expect-release", "v43", "--rate", 50, "--deadline", 8),
        *("--", "sh", "-c", "read answer < /dev/tty || echo no password"),
        through=tuple(LOGIN),
    )
    # As git, ssh and sudo ask for a password: in the background they would wait for ever.
    assert (code, "no password" in shown) == (0, True)
