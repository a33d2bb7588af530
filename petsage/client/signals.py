"""SIGINT, SIGTERM and SIGHUP: they end a run where it waits, and the report is still written."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
EXIT_CODE = 130


class Interrupted(BaseException):
    """A signal asks the run to end; the argument is the signal's name, such as "SIGTERM"."""


class Interruptible(Protocol):
    """Makes a function one that a signal may end with Interrupted."""

    def __call__(self, call: Callable[P, T], /) -> Callable[P, T]:
        """Return the function so made."""


def not_interruptible(call: Callable[P, T]) -> Callable[P, T]:
    """Return the function as it is, for those who handle no signals."""
    return call


class Signals:
    """Raises Interrupted within interruptible calls; a signal at any other time waits for one.

    So no result is lost between two steps. A second signal calls `hurry`, which ends what delays
    the report; a third ends the process at once, in case the report itself hangs.
    """

    hurry: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self) -> None:
        self._caught: signal.Signals | None = None
        self._hurried = False
        self._interruptible = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)
        # Under nohup SIGHUP is ignored, and stays so.
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self._handle)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self._caught is None:
            self._caught = signal.Signals(number)
            self._raise_caught()
        elif not self._hurried:
            self._hurried = True
            self.hurry()
        else:
            os._exit(EXIT_CODE)

    def _raise_caught(self) -> None:
        if self._interruptible and self._caught is not None:
            self._interruptible = False
            raise Interrupted(self._caught.name)

    def interruptible(self, call: Callable[P, T]) -> Callable[P, T]:
        """Return `call` as a function that a signal ends with Interrupted."""

        def interruptible_call(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                self._interruptible = True
                self._raise_caught()
                return call(*args, **kwargs)
            except Exception:
                # An exception from a signal handler at the very beginning of threading's waits
                # makes them fail with "release unlocked lock".
                if self._caught is not None and not self._interruptible:
                    raise Interrupted(self._caught.name) from None
                raise
            finally:
                self._interruptible = False

        return interruptible_call
