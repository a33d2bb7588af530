"""Runs the command that deploys, in a session of its own.

As under `timeout`, a signal to petsage goes on to the whole process group. Processes that a
command leaves behind after it ended by itself are not touched: one of them may be the service.
"""

from __future__ import annotations

import codecs
import os
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from petsage.client.clock import unix_time
from petsage.client.run import DeployResult

# How long a command may take to end after a signal, before it is killed.
GRACE_SECONDS = 10.0
# The exit code of a shell for a command that it can't run.
_CANNOT_RUN = 126
_POLL_SECONDS = 0.02
_READ_BYTES = 65_536
# A process that the command left behind may keep the terminal's other side open for ever.
_LAST_OUTPUT_SECONDS = 0.5


class Deploy:
    """The command `argv`, run once. The descriptor `output` takes its stdout and stderr."""

    def __init__(self, argv: tuple[str, ...], output: int) -> None:
        self.result = DeployResult(argv)
        self._output = output
        self._process: subprocess.Popen[bytes] | None = None
        self._killed = False

    def start(self) -> None:
        """Start the command. One that can't be started has ended with 126, as in a shell."""
        self.result.started_at = unix_time()
        # Without a terminal to read from, a prompt for a password fails at once. In a group that
        # is not in the foreground it would be stopped until the deadline, without a word.
        no_input = sys.stdin is None or sys.stdin.closed or sys.stdin.isatty()
        try:
            self._process = subprocess.Popen(
                self.result.argv,
                stdin=subprocess.DEVNULL if no_input else None,
                stdout=self._output,
                stderr=self._output,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            self.result.error = getattr(error, "strerror", None) or str(error)

    def poll(self) -> None:
        """Note the command's end, if it has ended."""
        if self.result.started_at is None or self.result.ended_at is not None:
            return
        status = self._process.poll() if self._process else _CANNOT_RUN
        if status is not None:
            self._note_end(status)

    def stop(self, number: signal.Signals) -> None:
        """Pass a signal on to the command's group, wait for its end, and kill what is left."""
        self.poll()
        process = self._process
        if process is None or self.result.ended_at is not None:
            return
        self.result.stopped = True
        self._signal(number)
        # A stopped process handles no other signal.
        self._signal(signal.SIGCONT)
        deadline = time.monotonic() + GRACE_SECONDS
        while not self._killed and time.monotonic() < deadline and self._group_exists(process):
            time.sleep(_POLL_SECONDS)
        self.kill()
        self._note_end(process.wait())

    def kill(self) -> None:
        """Kill what there is of the command's group, at once; `stop` then waits no longer."""
        if self.result.started_at is not None and self.result.ended_at is None:
            self._killed = self.result.stopped = True
            self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    def _group_exists(self, process: subprocess.Popen[bytes]) -> bool:
        # A shell dies of SIGTERM at once, while what it has started may still have to clean up.
        # As long as the group has a member, no other group can get its number.
        if process.poll() is None:
            return True
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return True

    def _note_end(self, status: int) -> None:
        self.result.ended_at = unix_time()
        self.result.exit_code = status if status >= 0 else 128 - status


class TerminalRelay:
    """A pseudo-terminal for the command, so that its output can stand above the live view.

    Each line that is written to the descriptor `side` is passed to `write_line`, in a thread.
    `side` is set up like the terminal `like`.
    """

    def __init__(self, write_line: Callable[[str], object], like: int) -> None:
        self._write_line = write_line
        self._reader, self.side = os.openpty()
        settings = termios.tcgetattr(self.side)
        # Line ends are left to the real terminal.
        settings[1] &= ~termios.OPOST
        termios.tcsetattr(self.side, termios.TCSANOW, settings)
        termios.tcsetwinsize(self.side, termios.tcgetwinsize(like))
        self._thread = threading.Thread(target=self._run, name="petsage-relay", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        unfinished = ""
        while True:
            try:
                data = os.read(self._reader, _READ_BYTES)
            except OSError:
                # EIO: nobody holds the other side any more.
                break
            *lines, unfinished = (unfinished + decoder.decode(data)).split("\n")
            if len(unfinished) > _READ_BYTES:
                lines, unfinished = [*lines, unfinished], ""
            for line in lines:
                self._write_line(line)
        if unfinished:
            self._write_line(unfinished)

    def close(self) -> None:
        """Pass on the last lines."""
        os.close(self.side)
        self._thread.join(_LAST_OUTPUT_SECONDS)
