"""A stream of log lines that never blocks: a line is written whole and at once, or it is lost.

A pipe whose reader sleeps would otherwise stop every request of the process that logs to it.
"""

import os
import select
import socket
import stat
from collections.abc import Callable
from contextlib import suppress

# Writes of up to PIPE_BUF bytes are atomic (POSIX, write(2)): the lines of several workers
# that share one pipe don't interleave.
MAX_LINE_BYTES = 4096


class LogStream:
    """The log stream of this process, on a file descriptor that it shares with others.

    Attributes:
        working: whether the last write worked; true before the first.
        lost: how many lines were lost since the last write that worked.

    """

    def __init__(self, descriptor: int = 1) -> None:
        self.working = True
        self.lost = 0
        self._write = _never_blocking_writer(descriptor)

    def write(self, line: bytes) -> bool:
        """Write one line of at most `MAX_LINE_BYTES` bytes; return whether it was written."""
        try:
            written = self._write(line)
        except OSError:
            # EAGAIN (the reader sleeps), EPIPE (it is gone), ENOSPC (the disk is full) ...
            written = 0
        self.working = written == len(line)
        self.lost = 0 if self.working else self.lost + 1
        return self.working


def _never_blocking_writer(descriptor: int) -> Callable[[bytes], int]:
    try:
        kind = os.fstat(descriptor).st_mode
    except OSError:
        return lambda line: os.write(descriptor, line)  # closed: each write fails, as it should
    if stat.S_ISSOCK(kind):  # systemd's journal
        peer = socket.socket(fileno=os.dup(descriptor))
        return lambda line: peer.send(line, socket.MSG_DONTWAIT)
    if stat.S_ISFIFO(kind):
        # O_NONBLOCK belongs to the open file description, which other processes share: a
        # description of our own is opened, through Linux's /proc.
        with suppress(OSError):
            own = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK)
            return lambda line: os.write(own, line)
    if stat.S_ISREG(kind):
        return lambda line: os.write(descriptor, line)
    return lambda line: _write_if_ready(descriptor, line)


def _write_if_ready(descriptor: int, line: bytes) -> int:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return os.write(descriptor, line) if poll.poll(0) else 0
