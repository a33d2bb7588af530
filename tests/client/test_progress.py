"""What is said on stderr while a run goes on must not hold it up, whoever reads it or does not."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from petsage.client.progress import Speaker


@contextmanager
def speaking_into_a_full_pipe() -> Iterator[tuple[Speaker, Callable[[], None]]]:
    """Give a speaker whose reader takes nothing, and what reads everything after all."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 4096)
    os.set_blocking(writer, True)

    def read_all() -> None:
        while os.read(reader, 65_536):
            pass

    thread = threading.Thread(target=read_all, daemon=True)
    with os.fdopen(writer, "w") as stream:
        try:
            yield Speaker(stream, live=False), thread.start
        finally:
            if not thread.ident:
                thread.start()


def ends(call: Callable[[], object]) -> bool:
    """Return whether the call comes back at once."""
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(2)
    return not thread.is_alive()


def test_what_nobody_reads_is_left_out_and_nothing_waits() -> None:
    with speaking_into_a_full_pipe() as (speaker, _):
        told: list[bool] = []
        assert ends(lambda: speaker.say("10 pings"))
        assert ends(lambda: told.append(speaker.say_above("it failed\n", wait=False)))
        assert ends(speaker.clear)
        assert told == [False]


def test_the_words_of_a_command_wait_and_hold_up_nothing_else() -> None:
    with speaking_into_a_full_pipe() as (speaker, read_all):
        words = threading.Thread(target=speaker.say_above, args=("step 1\n",), daemon=True)
        words.start()
        words.join(0.2)
        assert words.is_alive()
        assert ends(lambda: speaker.say("10 pings"))
        assert ends(speaker.clear)
        read_all()
        words.join(5)
        assert not words.is_alive()
