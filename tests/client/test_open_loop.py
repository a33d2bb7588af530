"""The open loop: pings go out when they are due, whatever became of the ones before."""

from __future__ import annotations

import threading
import time
from itertools import pairwise
from typing import Any

import pytest

from petsage.client import crew as crews
from petsage.client.crew import Crew
from petsage.client.fact import Fact
from petsage.client.open_loop import STALL_SECONDS, Due, Ended, OpenLoop
from tests.client.facts import NEW

pytestmark = pytest.mark.alone


def driven(loop: OpenLoop, seconds: float) -> list[Ended]:
    """Drive the loop for so long, and return what has ended, as it ended."""
    ended = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        loop.send_due()
        if one := loop.wait(min(loop.next_due, end) - time.monotonic()):
            ended.append(one)
    return ended


def test_pings_that_hang_delay_no_other() -> None:
    release = threading.Event()

    def send(due: Due) -> Fact:
        if due.number % 2:
            release.wait(30)
        return NEW

    loop = OpenLoop(send, rate=100)
    ended = driven(loop, 1.0)
    release.set()
    assert {one.due.number % 2 for one in ended} == {0}
    assert loop.sent >= 95
    # Half of them hang, and the other half went out when it was due, but for a busy machine.
    lateness = sorted(one.late_s for one in ended)
    assert lateness[len(lateness) // 2] < 0.05


def test_they_are_due_at_a_fixed_rate() -> None:
    loop = OpenLoop(lambda _due: NEW, rate=50)
    dues = sorted(one.due.at for one in driven(loop, 0.5))
    steps = [after - before for before, after in pairwise(dues)]
    assert all(step == pytest.approx(0.02, abs=1e-6) for step in steps)


def test_their_turn_comes_by_due_time_and_waits_for_the_slow() -> None:
    first = threading.Event()

    def send(due: Due) -> Fact:
        if due.number == 0:
            first.wait(30)
        return NEW

    loop = OpenLoop(send, rate=100)
    assert driven(loop, 0.2)
    assert list(loop.in_turn()) == []
    first.set()
    driven(loop, 0.2)
    numbers = [one.due.number for one in loop.in_turn()]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) > 20


def test_what_was_due_while_the_machine_stood_still_is_left_out_and_said() -> None:
    loop = OpenLoop(lambda _due: NEW, rate=20)
    driven(loop, 0.2)
    sent = loop.sent
    time.sleep(STALL_SECONDS + 0.5)
    ended = driven(loop, 0.3)
    assert loop.sent - sent < 12
    assert loop.paused_s > STALL_SECONDS
    assert [one.due.after_pause for one in ended].count(True) == 1


def test_a_fault_of_the_sender_is_not_swallowed() -> None:
    def send(_due: Due) -> Fact:
        raise ValueError("a bug")

    loop = OpenLoop(send, rate=10)
    loop.send_due()
    with pytest.raises(ValueError, match="a bug"):
        loop.wait(5)


def test_a_crew_grows_only_when_all_are_busy() -> None:
    done: list[str] = []
    busy = threading.Barrier(4)

    def work(task: str) -> None:
        if task == "wait":
            busy.wait(10)
        done.append(threading.current_thread().name + str(threading.get_ident()))

    crew = Crew(work)
    for _ in range(3):
        crew.give("wait")
    busy.wait(10)
    time.sleep(0.3)
    for _ in range(20):
        crew.give("go")
        time.sleep(0.01)
    assert len(done) == 23
    assert len(set(done)) == 3


def test_where_the_machine_gives_no_more_threads_tasks_wait_for_a_free_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[int] = []
    crew = Crew(done.append)
    crew.give(1)
    time.sleep(0.2)

    class NoThread:
        def __init__(self, **_: Any) -> None: ...
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(crews.threading, "Thread", NoThread)
    for number in range(2, 6):
        crew.give(number)
    time.sleep(0.3)
    assert sorted(done) == [1, 2, 3, 4, 5]
