"""Threads for views that may block: daemons, so that one that hangs for ever holds up no exit.

(`concurrent.futures` waits for its threads when the interpreter exits.)
"""

import threading
from collections.abc import Callable
from queue import SimpleQueue


class Threads:
    """At most `limit` threads (one at least), started when needed, that run what they are given.

    What waits for a free thread waits without a limit: there is at most one call a connection.
    """

    def __init__(self, limit: int) -> None:
        self._limit = max(1, limit)
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._threads = 0
        self._unfinished = 0
        self._lock = threading.Lock()

    def run(self, call: Callable[[], None]) -> None:
        """Have `call` run in a thread, as soon as there is one. It must raise nothing."""
        with self._lock:
            self._unfinished += 1
            more = self._threads < min(self._unfinished, self._limit)
            self._threads += more
        if more:
            threading.Thread(target=self._work, name=f"view-{self._threads}", daemon=True).start()
        self._calls.put(call)

    def _work(self) -> None:
        while True:
            self._calls.get()()
            with self._lock:
                self._unfinished -= 1
