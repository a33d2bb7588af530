"""SIGINT, SIGTERM, SIGHUP: they end what waits, and never tear what is counted or written."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
EXIT_CODE = 130


class Interrupted(BaseException):
    """The run was asked to end; the argument names the signal."""


class Interrupts:
    """Raises Interrupted where the run waits; a signal that comes elsewhere is kept until then.

    A second signal calls `hurry`, for whatever holds up the report; a third ends the process at
    once, should even the report hang.
    """

    hurry: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self) -> None:
        self._caught: signal.Signals | None = None
        self._hurried = False
        self._open = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._take)
        # nohup has it ignored, and so it stays.
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self._take)

    def _take(self, number: int, _frame: FrameType | None) -> None:
        if self._caught is not None:
            if self._hurried:
                os._exit(EXIT_CODE)
            self._hurried = True
            self.hurry()
            return
        self._caught = signal.Signals(number)
        self._raise()

    def _raise(self) -> None:
        if self._open and self._caught is not None:
            self._open = False
            raise Interrupted(self._caught.name)

    def during(self, call: Callable[P, T]) -> Callable[P, T]:
        """Return `call` as one that a signal may end."""

        def interruptible(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                self._open = True
                self._raise()
                return call(*args, **kwargs)
            finally:
                self._open = False

        return interruptible
