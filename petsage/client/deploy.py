"""Runs the command that deploys, in a session of its own, and relays what it says.

As under `timeout`, a signal to petsage goes on to the whole group. What a command that ended by
itself has left behind is its own affair: it may well be the service.
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
from petsage.client.outcome import DeployRun

# What a command is given to end after a signal, before it is killed.
GRACE_SECONDS = 10.0
_NOT_STARTED = 126
_STEP_SECONDS = 0.02
_PIECE = 65_536
# Whatever the command has left behind may hold the terminal's other side open for ever.
_LAST_WORDS_SECONDS = 0.5


class Deploy:
    """The command `argv`, once. `output` is the descriptor that takes its stdout and its stderr."""

    def __init__(self, argv: tuple[str, ...], output: int) -> None:
        self.run = DeployRun(argv)
        self._output = output
        self._process: subprocess.Popen[bytes] | None = None
        self._killed = False

    @property
    def started(self) -> bool:
        """Whether the command was started."""
        return self.run.started_at is not None

    @property
    def ended(self) -> bool:
        """Whether the command was started and has ended."""
        return self.run.ended_at is not None

    def look(self) -> bool:
        """Note the command's end, and return whether it has come since the last look."""
        if not self.started or self.ended:
            return False
        status = self._process.poll() if self._process else _NOT_STARTED
        if status is not None:
            self._end(status)
        return self.ended

    def start(self) -> None:
        """Start the command. One that can't be started has ended with 126, as in a shell."""
        self.run.started_at = unix_time()
        # Without a terminal to ask at, a prompt for a password fails at once. In a group that is
        # not in the foreground it would be stopped until the deadline, and nobody would see why.
        terminal = sys.stdin is None or sys.stdin.closed or sys.stdin.isatty()
        try:
            self._process = subprocess.Popen(
                self.run.argv,
                stdin=subprocess.DEVNULL if terminal else None,
                stdout=self._output,
                stderr=self._output,
                start_new_session=True,
            )
        except (OSError, ValueError) as fault:
            self.run.fault = getattr(fault, "strerror", None) or str(fault)

    def stop(self, number: signal.Signals) -> None:
        """Pass a signal on to the command's group, wait for its end, and kill what is left."""
        self.look()
        process = self._process
        if process is None or self.ended:
            return
        self.run.cut_short = True
        self._signal(number)
        # One that is stopped takes no other signal.
        self._signal(signal.SIGCONT)
        give_up = time.monotonic() + GRACE_SECONDS
        while not self._killed and time.monotonic() < give_up and self._lives(process):
            time.sleep(_STEP_SECONDS)
        self.kill()
        self._end(process.wait())

    def kill(self) -> None:
        """Kill what there is of the command's group, at once; `stop` then waits no longer."""
        if self.started and not self.ended:
            self._killed = self.run.cut_short = True
            self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    def _lives(self, process: subprocess.Popen[bytes]) -> bool:
        # A shell dies of SIGTERM at once; what it has started may still have to clean up. While
        # one of the group lives, no other group can bear its number.
        if process.poll() is None:
            return True
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return True

    def _end(self, status: int) -> None:
        self.run.ended_at = unix_time()
        self.run.exit_code = status if status >= 0 else 128 - status


class Relay:
    """A terminal for the command, whose words then stand above the live line and not within it.

    Passes on, piece by piece, what is written to `side`, a terminal like that of `like`.
    """

    def __init__(self, say: Callable[[str], object], like: int) -> None:
        self._say = say
        self._reader, self.side = os.openpty()
        # The terminal at the other end makes its own line ends.
        settings = termios.tcgetattr(self.side)
        settings[1] &= ~termios.OPOST
        termios.tcsetattr(self.side, termios.TCSANOW, settings)
        termios.tcsetwinsize(self.side, termios.tcgetwinsize(like))
        self._thread = threading.Thread(target=self._run, name="petsage-relay", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while True:
            try:
                piece = os.read(self._reader, _PIECE)
            except OSError:
                # EIO: nobody holds the other side any more.
                return
            self._say(decoder.decode(piece))

    def close(self) -> None:
        """Pass on the last words."""
        os.close(self.side)
        self._thread.join(_LAST_WORDS_SECONDS)
