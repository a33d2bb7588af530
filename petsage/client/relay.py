"""A terminal for the command, whose words then stand above the live line and not within it."""

from __future__ import annotations

import codecs
import os
import termios
import threading
from collections.abc import Callable

_PIECE = 65_536
# Whatever the command has left behind may hold the terminal's other side open for ever.
_LAST_WORDS_SECONDS = 0.5


class Relay:
    """Passes on, piece by piece, what is written to `side`, a terminal like that of `like`."""

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
