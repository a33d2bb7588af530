"""A stream of log lines that never blocks: a line is written whole and at once, or it is lost.

A pipe whose reader sleeps would otherwise stop every request of the process that logs to it.
"""

import os
import select
import socket
import stat
from collections.abc import Callable

# Writes of up to PIPE_BUF bytes are atomic (POSIX, write(2)): the lines of several workers
# that share one pipe don't interleave.
MAX_LINE_BYTES = 4096

_Write = Callable[[bytes], int]
_Close = Callable[[], None]


class LogStream:
    """The log stream of this process, on a file descriptor that it shares with others.

    Attributes:
        working: whether the last write worked; true before the first.
        lost: how many lines were lost since the last write that worked.

    """

    def __init__(self, descriptor: int = 1) -> None:
        self.working = True
        self.lost = 0
        self._torn = False
        self._write, self._close = _never_blocking(descriptor)

    def write(self, line: bytes) -> bool:
        """Write one line of at most `MAX_LINE_BYTES` bytes; return whether it was written."""
        if self._torn:
            line = b"\n" + line
        try:
            written = self._write(line)
        except OSError:
            # EAGAIN (the reader sleeps), EPIPE (it is gone), ENOSPC (the disk is full) ...
            written = 0
        self.working = written == len(line)
        self.lost = 0 if self.working else self.lost + 1
        if written:
            # Pipes take a line whole or not at all; terminals and disks may take a part.
            self._torn = not self.working
        return self.working

    def close(self) -> None:
        """Give back what was opened for this stream; the shared descriptor stays open."""
        self._close()


def _never_blocking(descriptor: int) -> tuple[_Write, _Close]:
    try:
        kind = os.fstat(descriptor).st_mode
    except OSError:
        _hold_closed(descriptor)
        kind = stat.S_IFIFO
    if stat.S_ISSOCK(kind):  # systemd's journal
        peer = socket.socket(fileno=os.dup(descriptor))
        return lambda line: peer.send(line, socket.MSG_DONTWAIT), peer.close
    if stat.S_ISREG(kind):
        return lambda line: os.write(descriptor, line), lambda: None
    # A pipe or a terminal. O_NONBLOCK belongs to the open file description, which other processes
    # share: a description of our own is opened, through Linux's /proc.
    try:
        own = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return lambda line: _write_if_ready(descriptor, line), lambda: None
    return lambda line: os.write(own, line), lambda: os.close(own)


def _hold_closed(descriptor: int) -> None:
    """Have each write to a closed descriptor fail.

    Otherwise the next file or connection that is opened gets its number, and the log.
    """
    reader, writer = os.pipe()
    os.close(reader)
    if writer != descriptor:
        os.dup2(writer, descriptor)
        os.close(writer)


def _write_if_ready(descriptor: int, line: bytes) -> int:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return os.write(descriptor, line) if poll.poll(0) else 0
