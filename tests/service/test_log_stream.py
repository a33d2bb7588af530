"""json_logs.LogStream: a line is written whole and at once, or it is lost; whatever stdout is."""

import os
import pty
import socket
from pathlib import Path

from petsage.service.json_logs import LogStream


def test_a_file_gets_its_lines(tmp_path: Path) -> None:
    with (tmp_path / "log").open("ab") as file:
        stream = LogStream(file.fileno())
        assert stream.write(b"one\n")
        assert stream.write(b"two\n")
    assert (tmp_path / "log").read_bytes() == b"one\ntwo\n"


def test_a_full_pipe_loses_whole_lines_and_recovers() -> None:
    reader, writer = os.pipe()
    stream = LogStream(writer)
    written = 0
    while stream.write(b"x" * 4_095 + b"\n"):
        written += 1
    assert not stream.write(b"lost\n" * 500)
    assert (stream.working, stream.lost) == (False, 2)
    got = b""
    while len(got) < written * 4_096:
        got += os.read(reader, 65_536)
    assert stream.write(b"again\n")
    assert (stream.working, stream.lost) == (True, 0)
    assert os.read(reader, 100) == b"again\n"
    os.close(reader)
    os.close(writer)


def test_a_line_that_was_torn_ends_before_the_next_begins() -> None:
    reader, writer = os.pipe()
    stream = LogStream(writer)
    assert not stream.write(b"x" * 1_000_000)
    assert os.read(reader, 1_000_000) == b"x" * 65_536
    assert stream.write(b"whole\n")
    assert os.read(reader, 100) == b"\nwhole\n"
    os.close(reader)
    os.close(writer)


def test_the_pipe_itself_keeps_blocking_for_others_that_share_it() -> None:
    reader, writer = os.pipe()
    LogStream(writer)
    assert os.get_blocking(writer)
    os.close(reader)
    os.close(writer)


def test_a_full_socket_loses_lines_and_never_blocks() -> None:
    near, far = socket.socketpair()
    stream = LogStream(near.fileno())
    while stream.write(b"x" * 1_000):
        pass
    assert not stream.working
    stream.close()
    near.close()
    far.close()


def test_a_terminal_that_is_not_read_never_blocks() -> None:
    controller, terminal = pty.openpty()
    stream = LogStream(terminal)
    for _ in range(1_000):
        if not stream.write(b"x" * 999 + b"\n"):
            break
    assert not stream.working
    os.close(controller)
    os.close(terminal)


def test_what_is_opened_later_does_not_get_the_log_of_a_closed_stdout(tmp_path: Path) -> None:
    reader, closed = os.pipe()
    os.close(reader)
    os.close(closed)
    stream = LogStream(closed)
    with (tmp_path / "one").open("wb") as one, (tmp_path / "two").open("wb") as two:
        assert not stream.write(b"line\n")
        assert closed not in (one.fileno(), two.fileno())
    assert (tmp_path / "one").read_bytes() + (tmp_path / "two").read_bytes() == b""
    os.close(closed)
