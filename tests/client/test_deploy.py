"""The command that a rollout runs: its output, its end, and what becomes of its children."""

from __future__ import annotations

import os
import pty
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from petsage.client import deploy as deploys
from petsage.client.deploy import Deploy, TerminalRelay
from tests.running import until_gone


@pytest.fixture
def output(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path / "output", os.O_RDWR | os.O_CREAT)
    yield descriptor
    os.close(descriptor)


def text_of(descriptor: int) -> str:
    return os.pread(descriptor, 65_536, 0).decode()


def until_written(descriptor: int, text: str) -> None:
    """Wait until a command has written `text`."""
    deadline = time.monotonic() + 60
    while text not in text_of(descriptor) and time.monotonic() < deadline:
        time.sleep(0.02)


def ended(deploy: Deploy) -> Deploy:
    """Return the deploy once it has ended."""
    deadline = time.monotonic() + 60
    while deploy.result.ended_at is None:
        assert time.monotonic() < deadline, "the command did not end"
        time.sleep(0.02)
        deploy.poll()
    return deploy


def content(path: Path) -> str:
    """Return what a command has written to a file, as soon as there is a whole line."""
    deadline = time.monotonic() + 60
    while not (path.exists() and path.read_text().endswith("\n")):
        assert time.monotonic() < deadline, f"{path} did not come"
        time.sleep(0.02)
    return path.read_text()


def test_its_output_and_its_exit_code(output: int) -> None:
    deploy = Deploy(("sh", "-c", "echo out; echo err >&2; exit 3"), output)
    deploy.poll()
    assert (deploy.result.started_at, deploy.result.ended_at) == (None, None)
    deploy.start()
    result = ended(deploy).result
    assert (result.exit_code, result.error, result.stopped) == (3, "", False)
    assert result.started_at is not None
    assert result.ended_at is not None
    assert result.started_at <= result.ended_at
    assert text_of(output) == "out\nerr\n"


def test_one_that_dies_of_a_signal_has_the_exit_code_of_a_shell(output: int) -> None:
    deploy = Deploy(("sh", "-c", "kill -KILL $$"), output)
    deploy.start()
    assert ended(deploy).result.exit_code == 137


def test_one_that_cannot_be_started_has_ended_with_126(tmp_path: Path, output: int) -> None:
    script = tmp_path / "script"
    script.write_text("no program\n")
    script.chmod(0o755)
    deploy = Deploy((str(script),), output)
    deploy.start()
    result = ended(deploy).result
    assert (result.exit_code, bool(result.error)) == (126, True)


def test_it_can_not_read_the_terminal(output: int, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, side = pty.openpty()
    with os.fdopen(side) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        deploy = Deploy(("sh", "-c", "read answer || echo empty"), output)
        deploy.start()
        ended(deploy)
    os.close(terminal)
    assert text_of(output) == "empty\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_reaches_the_whole_group(
    tmp_path: Path, output: int, number: signal.Signals
) -> None:
    pids = tmp_path / "pids"
    # A shell starts what runs in the background with SIGINT ignored: the end of the group kills it.
    script = f"trap 'echo trapped; exit 0' {number.name[3:]}; sleep 600 & echo $! $$ > {pids}; wait"
    deploy = Deploy(("sh", "-c", script), output)
    deploy.start()
    left = content(pids).split()
    if number is signal.SIGINT:
        # Nothing waits ten seconds for what ignores the signal.
        threading.Thread(target=lambda: (until_written(output, "trapped"), deploy.kill())).start()
    deploy.stop(number)
    assert deploy.result.stopped
    assert "trapped" in text_of(output)
    assert all(until_gone(int(pid)) for pid in left)


def test_what_ignores_the_signal_is_killed_after_the_grace(
    tmp_path: Path, output: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deploys, "GRACE_SECONDS", 0.2)
    pids = tmp_path / "pids"
    deploy = Deploy(("sh", "-c", f"trap '' TERM; echo $$ > {pids}; sleep 600; sleep 600"), output)
    deploy.start()
    pid = int(content(pids))
    deploy.stop(signal.SIGTERM)
    assert deploy.result.exit_code == 137
    assert until_gone(pid)


def test_a_stopped_process_is_woken_to_end(output: int) -> None:
    deploy = Deploy(("sh", "-c", "kill -STOP $$; sleep 600"), output)
    deploy.start()
    began = time.monotonic()
    deploy.stop(signal.SIGTERM)
    assert time.monotonic() - began < deploys.GRACE_SECONDS
    assert deploy.result.exit_code == 143


def test_what_it_leaves_behind_when_it_ends_by_itself_is_not_touched(
    tmp_path: Path, output: int
) -> None:
    pids = tmp_path / "pids"
    deploy = Deploy(("sh", "-c", f"sleep 600 & echo $! > {pids}"), output)
    deploy.start()
    ended(deploy)
    deploy.stop(signal.SIGTERM)
    pid = int(content(pids))
    assert not deploy.result.stopped
    os.kill(pid, 0)
    os.kill(pid, signal.SIGKILL)


def relayed(*written: bytes) -> list[str]:
    """Return the lines that the relay passes on of what is written to its side."""
    lines: list[str] = []
    terminal, like = pty.openpty()
    relay = TerminalRelay(lines.append, like)
    for data in written:
        os.write(relay.side, data)
    relay.close()
    relay._thread.join(60)
    os.close(terminal)
    os.close(like)
    return lines


def test_the_relay_passes_on_lines_and_the_unfinished_last_one() -> None:
    assert relayed(b"remote: Comp", b"ressing\nremote: done\n", "größer".encode()) == [
        "remote: Compressing",
        "remote: done",
        "größer",
    ]


def test_the_relay_does_not_wait_for_ever_for_the_end_of_a_line() -> None:
    lines = relayed(*[b"x" * 4_000] * 20)
    assert len(lines) > 1
    assert len("".join(lines)) == 80_000


def test_the_command_sees_a_terminal_as_wide_as_the_real_one() -> None:
    lines: list[str] = []
    terminal, like = pty.openpty()
    deploys.termios.tcsetwinsize(like, (24, 77))
    relay = TerminalRelay(lines.append, like)
    deploy = Deploy(("sh", "-c", "test -t 1 && stty size <&1"), relay.side)
    deploy.start()
    ended(deploy)
    relay.close()
    relay._thread.join(60)
    os.close(terminal)
    os.close(like)
    assert lines == ["24 77"]
