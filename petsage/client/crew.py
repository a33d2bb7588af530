"""Threads that work side by side: one more whenever all are busy, so that no task waits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class Crew(Generic[T]):
    """Calls `work` with each task in a thread of its own; a thread that is free is taken again.

    The threads are daemons: none of them holds up the end of the process.
    """

    def __init__(self, work: Callable[[T], None]) -> None:
        self._work = work
        self._tasks: SimpleQueue[T] = SimpleQueue()
        self._lock = threading.Lock()
        # Threads that wait for a task, less the tasks that wait for a thread.
        self._free = 0

    def give(self, task: T) -> None:
        """Have the task done. Where the machine gives no more threads it waits for a free one."""
        self._tasks.put(task)
        if self._add(-1) >= 0:
            return
        try:
            threading.Thread(target=self._run, name="petsage-ping", daemon=True).start()
        except RuntimeError:
            return
        self._add(1)

    def _add(self, change: int) -> int:
        with self._lock:
            self._free += change
            return self._free

    def _run(self) -> None:
        while True:
            self._work(self._tasks.get())
            self._add(1)
