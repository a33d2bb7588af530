"""Signals: they raise only where a run waits, and are remembered elsewhere."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from petsage.client.signals import Interrupted, Signals, not_interruptible
from tests.client.runs import ROOT, environment

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture
def signals() -> Iterator[Signals]:
    before = {number: signal.signal(number, signal.SIG_DFL) for number in NUMBERS}
    yield Signals()
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number.name)
def test_a_signal_ends_an_interruptible_call(signals: Signals, number: signal.Signals) -> None:
    with pytest.raises(Interrupted, match=number.name):
        signals.interruptible(os.kill)(os.getpid(), number)


def test_a_signal_at_another_time_ends_the_next_interruptible_call(signals: Signals) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    done = []
    with pytest.raises(Interrupted, match="SIGTERM"):
        signals.interruptible(done.append)(1)
    assert not done


def test_an_interruptible_call_returns_what_it_returns(signals: Signals) -> None:
    assert signals.interruptible(int)("ff", base=16) == 255
    assert not_interruptible(int) is int


def test_after_an_interruptible_call_nothing_is_raised(signals: Signals) -> None:
    signals.interruptible(int)("1")
    os.kill(os.getpid(), signal.SIGINT)


def test_an_error_of_the_call_is_its_own(signals: Signals) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        signals.interruptible(int)("x")
    os.kill(os.getpid(), signal.SIGINT)


def test_an_error_that_the_signal_causes_is_the_signal(signals: Signals) -> None:
    def wait() -> None:
        # As threading.Event.wait does where the signal comes at its very beginning.
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            raise RuntimeError("release unlocked lock")

    with pytest.raises(Interrupted, match="SIGTERM"):
        signals.interruptible(wait)()


def test_a_second_signal_hurries(signals: Signals) -> None:
    hurried = []
    signals.hurry = lambda: hurried.append(True)
    os.kill(os.getpid(), signal.SIGINT)
    assert not hurried
    os.kill(os.getpid(), signal.SIGTERM)
    assert hurried == [True]


THIRD = """
import os, signal
from petsage.client.signals import Signals
signals = Signals()
for _ in range(3):
    os.kill(os.getpid(), signal.SIGINT)
print("still here")
"""
UNDER_NOHUP = """
import os, signal
signal.signal(signal.SIGHUP, signal.SIG_IGN)
from petsage.client.signals import Signals
signals = Signals()
os.kill(os.getpid(), signal.SIGHUP)
signals.interruptible(print)("still here")
"""


@pytest.mark.parametrize(
    ("code", "status", "output"),
    [(THIRD, 130, b""), (UNDER_NOHUP, 0, b"still here\n")],
    ids=["a third signal ends the process", "nohup is respected"],
)
def test_a_process(code: str, status: int, output: bytes) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env=environment(), cwd=ROOT, timeout=120
    )
    assert (done.returncode, done.stdout, done.stderr) == (status, output, b"")
