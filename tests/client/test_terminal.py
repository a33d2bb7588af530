"""What stands on stderr while a run lasts: the live view, and plain lines elsewhere."""

from __future__ import annotations

import io
import os
import pty
import re
import select
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import pytest
from rich.console import Console

from petsage.client.progress import PLAIN_SECONDS, PlainProgress, progress_on, shares_of
from petsage.client.result import Failure, Outcome, PingResult
from petsage.client.run import DeployResult, Run
from petsage.client.terminal import LiveView, view
from tests.client.results import STARTED_AT, failed, nameless, old, rejection, result

LOST = {"failure": Failure.RESET, "detail": "connection reset by peer"}


def rollout_run(script: Callable[[int], PingResult], pings: int = 200, rate: float = 10) -> Run:
    """Return a rollout in which ping number n found `script(n)`."""
    run = Run(
        kind="rollout",
        url="https://app.example",
        expected="v43",
        started_at=STARTED_AT,
        consecutive=20,
        limit_s=900.0,
        rate=rate,
    )
    for number in range(pings):
        found = script(number)
        one = PingResult(
            **{
                name: getattr(found, name)
                for name in PingResult.__dataclass_fields__
                if name != "due_at"
            },
            due_at=STARTED_AT + number / rate,
        )
        run.history.add(one)
        run.streak.add(one)
    return run


def half_way(number: int) -> PingResult:
    """A switch at ping 175 that loses two pings."""
    if number in (175, 176):
        return failed(**LOST)
    return old() if number < 175 else result(latency_s=0.004)


def drawn(run: Run, width: int, doing: str = "") -> str:
    console = Console(
        file=io.StringIO(), width=width, force_terminal=True, color_system=None, markup=False
    )
    console.print(view(run, doing, 21.4, width, {}))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, text.splitlines())) <= width
    return str(text)


def line_of(text: str, name: str) -> str:
    return next(line for line in text.splitlines() if line.split()[:1] == [name])


class TestView:
    """What is drawn, at several widths."""

    def test_a_line_per_release_and_one_for_failures(self) -> None:
        text = drawn(rollout_run(half_way), 120)
        assert "rollout v43  https://app.example  21 s of 900  200 pings at 10/s  2 failed" in text
        # The window is the last five seconds.
        assert re.search(r"v43 █+ +45% p50 4 ms", line_of(text, "v43"))
        assert re.search(r"v42 █+ +51% p50 2 ms +▅+", line_of(text, "v42"))
        assert re.search(r"failed █+ +4% reset 2 +·+x·+", line_of(text, "failed"))
        assert text.index("v43 █") < text.index("v42 █") < text.index("failed █")
        assert "22 of 20" not in text
        assert "22 in a row (20 needed)" in text
        assert "last failure: reset: connection reset by peer" in text

    def test_failures_are_a_share_of_the_same_bar(self) -> None:
        run = rollout_run(lambda number: result() if number < 100 else failed(**LOST))
        assert dict(shares_of(run)) == {None: 1.0}
        text = drawn(run, 120)
        assert "100%" in line_of(text, "failed")
        assert " 0%" in line_of(text, "v43")

    @pytest.mark.parametrize(
        ("width", "spark", "p50", "bar", "url"),
        [
            (120, True, True, True, True),
            (80, True, True, True, True),
            (79, False, True, True, True),
            (59, False, False, True, False),
            (39, False, False, False, False),
            (20, False, False, False, False),
        ],
    )
    def test_the_least_important_goes_first(
        self, width: int, spark: bool, p50: bool, bar: bool, url: bool
    ) -> None:
        text = drawn(rollout_run(half_way), width)
        line = line_of(text, "v42")
        assert ["▅" in line, "p50" in line, "██" in line] == [spark, p50, bar]
        assert ("https://app.example" in text) is url
        assert "51%" in line

    def test_the_command_and_what_is_missing(self) -> None:
        run = rollout_run(lambda _: result(address="192.0.2.1:80"))
        run.addresses = ("192.0.2.1:80", "192.0.2.2:80")
        run.deploy = DeployResult(("/usr/bin/git", "push"))
        assert "git starts once the service has responded for a second" in drawn(run, 120)
        run.deploy.started_at = STARTED_AT
        text = drawn(run, 120)
        assert "git runs" in text
        assert "nothing yet from 192.0.2.2:80" in text
        run.deploy.ended_at, run.deploy.exit_code = STARTED_AT, 3
        assert "git failed with exit code 3" in drawn(run, 120)
        run.deploy.exit_code = 0
        assert "git has ended" in drawn(run, 120)

    def test_a_release_is_no_markup(self) -> None:
        run = rollout_run(lambda _: old(release="[red]v42[/red]"))
        assert "[red]v42[/red]" in drawn(run, 120)

    def test_bogus_pings_and_cached_responses_are_counted_for_no_release(self) -> None:
        run = rollout_run(lambda number: rejection() if number % 2 else nameless())
        assert dict(shares_of(run)) == {"v43": 1.0}
        cached = rollout_run(lambda _: result(outcome=Outcome.CACHED))
        assert drawn(cached, 120)

    def test_many_releases_do_not_fill_the_terminal(self) -> None:
        run = rollout_run(lambda number: old(release=f"v{number}"))
        assert len(drawn(run, 80).splitlines()) < 20

    def test_a_smoke_test_has_a_smaller_one(self) -> None:
        run = rollout_run(lambda _: result(), pings=10)
        run.kind, run.rate, run.limit_s = "smoke-test", 0.0, 60.0
        text = drawn(run, 80, doing="bad request 3 of 11")
        assert "smoke-test v43  https://app.example  21 s of 60  10 pings" in text
        assert "9 of 20 in a row" in text
        assert "bad request 3 of 11" in text
        assert "p50" not in text

    def test_nothing_has_happened_yet(self) -> None:
        assert "waiting for v43" in drawn(rollout_run(half_way, pings=0), 80)


def until(met: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not met():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


class Terminal:
    """A pseudo-terminal whose output a thread gathers, until it is told to stop."""

    def __init__(self, columns: int = 100) -> None:
        self.reader, side = pty.openpty()
        termios.tcsetwinsize(side, (24, columns))
        self.stream: TextIO = os.fdopen(side, "w")
        self.shown = b""
        self.takes = True
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while True:
            if not self.takes or not select.select([self.reader], [], [], 0.05)[0]:
                time.sleep(0.01)
                continue
            try:
                self.shown += os.read(self.reader, 65_536)
            except OSError:
                return

    def until(self, text: str) -> None:
        deadline = time.monotonic() + 60
        while text.encode() not in self.shown:
            assert time.monotonic() < deadline, self.shown
            time.sleep(0.02)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    opened = Terminal()
    yield opened
    opened.stream.close()


@pytest.fixture
def environ() -> dict[str, str]:
    return {"TERM": "xterm-256color"}


def test_a_terminal_gets_the_live_view(terminal: Terminal, environ: dict[str, str]) -> None:
    live = progress_on(terminal.stream, environ)
    assert isinstance(live, LiveView)
    live(rollout_run(half_way))
    terminal.until("last failure")
    live.write_line("remote: \x1b[32mBuilding\x1b[0m source")
    terminal.until("remote: ")
    terminal.until("Building")
    terminal.until("\x1b[31m")
    live.close()
    # The cursor is shown again.
    terminal.until("\x1b[?25h")


def test_no_color_means_no_styles_at_all(terminal: Terminal, environ: dict[str, str]) -> None:
    live = progress_on(terminal.stream, environ | {"NO_COLOR": "1"})
    live(rollout_run(half_way))
    terminal.until("last failure")
    live.write_line("\x1b[31mred\x1b[0m")
    terminal.until("red")
    live.close()
    assert not re.search(rb"\x1b\[[\d;]*m", terminal.shown.replace(b"\x1b[0m", b""))


def test_a_terminal_that_takes_nothing_blocks_neither_the_pings_nor_the_end(
    terminal: Terminal,
    environ: dict[str, str],
) -> None:
    live = progress_on(terminal.stream, environ)
    assert isinstance(live, LiveView)
    terminal.takes = False
    # As Ctrl-S: what is written stays where it is.
    termios.tcflow(terminal.stream.fileno(), termios.TCOOFF)
    run = rollout_run(half_way)
    time.sleep(1)
    began = time.monotonic()
    for _ in range(20):
        live(run)
        time.sleep(0.02)
    live.close()
    assert time.monotonic() - began < 20
    termios.tcflow(terminal.stream.fileno(), termios.TCOON)
    terminal.takes = True
    live._thread.join(60)
    live.close()


def test_a_dumb_terminal_gets_plain_lines(terminal: Terminal) -> None:
    assert isinstance(progress_on(terminal.stream, {"TERM": "dumb"}), PlainProgress)
    assert isinstance(progress_on(io.StringIO(), {}), PlainProgress)


class TestPlainLines:
    """A line every ten seconds where stderr is no terminal."""

    def test_lines_go_on_while_nothing_happens(self) -> None:
        stream = io.StringIO()
        progress = PlainProgress(stream, every_s=0.05)
        progress(rollout_run(half_way))
        until(lambda: stream.getvalue().count("\n") >= 3)
        progress.close()
        assert stream.getvalue().splitlines()[0] == (
            "petsage: 0 s, 200 pings, 2 failed, v43 45%, v42 51%, failed 4%, "
            "22 in a row (20 needed)"
        )
        assert "\x1b" not in stream.getvalue()

    def test_ten_seconds_are_the_default(self) -> None:
        stream = io.StringIO()
        progress = PlainProgress(stream)
        progress(rollout_run(half_way))
        progress.close()
        assert stream.getvalue() == ""
        assert PLAIN_SECONDS == 10.0

    def test_what_becomes_of_the_command_is_shown_at_once(self) -> None:
        stream = io.StringIO()
        progress = PlainProgress(stream)
        run = rollout_run(half_way)
        run.deploy = DeployResult(("git", "push"))
        progress(run)
        assert stream.getvalue() == ""
        run.deploy.started_at = STARTED_AT
        progress(run)
        progress(run)
        run.deploy.ended_at, run.deploy.exit_code = STARTED_AT, 3
        progress(run)
        first, second = stream.getvalue().splitlines()
        assert first.endswith("git runs")
        assert "git failed with exit code 3" in second

    def test_what_a_smoke_test_does(self) -> None:
        stream = io.StringIO()
        progress = PlainProgress(stream, every_s=0.05)
        run = rollout_run(lambda _: failed(), pings=3)
        run.kind, run.rate = "smoke-test", None
        progress(run, "connection refused")
        until(stream.getvalue)
        progress.close()
        assert stream.getvalue().splitlines()[0] == (
            "petsage: 0 s, 3 pings, 3 failed, failed 100%, waiting for v43, connection refused"
        )

    def test_nobody_is_told_with_quiet(self) -> None:
        progress = progress_on(None, {})
        progress(rollout_run(half_way))
        progress.write_line("x")
        progress.close()

    def test_a_pipe_that_nobody_reads_delays_nothing(self) -> None:
        read, write = os.pipe()
        os.set_blocking(write, False)
        try:
            while True:
                os.write(write, b"x" * 4_096)
        except BlockingIOError:
            os.set_blocking(write, True)
        with os.fdopen(write, "w") as stream:
            PlainProgress(stream).write_line("left out")
            os.read(read, 65_536)
        os.close(read)

    def test_a_stream_that_is_gone_ends_nothing(self, tmp_path: Path) -> None:
        with Path(tmp_path, "gone").open("w") as stream:
            progress = PlainProgress(stream)
        progress.write_line("nobody hears it")
