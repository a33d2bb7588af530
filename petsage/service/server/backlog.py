"""The end of a listening socket without the loss of a connection (Linux).

Closing it resets what the kernel has accepted and nobody has taken yet. So first the kernel is
told to take nothing new, and then the queue is emptied.
"""

import ctypes
import os
import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

# asm-generic/socket.h; the socket module has no name for them.
_SO_ATTACH_FILTER = 26
_SO_DETACH_FILTER = 27


class _Instruction(ctypes.Structure):
    """`struct sock_filter` of linux/filter.h."""

    _fields_ = (
        ("code", ctypes.c_uint16),
        ("if_true", ctypes.c_uint8),
        ("if_false", ctypes.c_uint8),
        ("operand", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    """`struct sock_fprog` of linux/filter.h."""

    _fields_ = (("length", ctypes.c_uint16), ("instructions", ctypes.POINTER(_Instruction)))


# The packet begins with the TCP header. One with SYN and without ACK is dropped, so that its
# sender tries again, after a second; any other belongs to a handshake that has begun.
_DROP_SYN = (_Instruction * 5)(
    _Instruction(0x30, 0, 0, 13),  # load the byte of the flags
    _Instruction(0x54, 0, 0, 0x12),  # keep SYN (2) and ACK (16)
    _Instruction(0x15, 0, 1, 0x02),  # only SYN?
    _Instruction(0x06, 0, 0, 0),  # yes: drop
    _Instruction(0x06, 0, 0, 0xFFFFFFFF),  # no: pass
)


def refuse_new_connections(listener: socket.socket) -> None:
    """Have the kernel queue no new connection on this listener, in every process that shares it.

    Where the kernel has no such filter, connections go on to arrive until the socket is closed.
    """
    if listener.family not in (socket.AF_INET, socket.AF_INET6):
        return
    program = _Program(len(_DROP_SYN), _DROP_SYN)
    with suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, bytes(program))


def accept_new_connections(listener: socket.socket) -> None:
    """Undo `refuse_new_connections`, for a listener that was stopped and is used again."""
    with suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)


def is_held_by(pid: int, listeners: Iterable[socket.socket]) -> bool:
    """Tell whether a process has one of these sockets open; yes where it can't be seen."""
    inodes = {f"socket:[{os.fstat(one.fileno()).st_ino}]" for one in listeners}
    try:
        links = list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return True
    for link in links:
        with suppress(OSError):
            if str(link.readlink()) in inodes:
                return True
    return False


def has_successor(master: int) -> bool:
    """Tell whether a gunicorn was started, by SIGUSR2, to follow this one on the same sockets."""
    # It is told whom it follows.
    told = f"GUNICORN_PID={master}".encode()
    for process in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if told in process.read_bytes().split(b"\0"):
                return True
    return False
