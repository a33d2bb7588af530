"""Readiness: the registered checks, run side by side, each under its own time limit.

A check that hangs holds one daemon thread, and nothing else: until it ends it is not run again,
and once it is over its limit nobody waits for it any more.
"""

import logging
import re
import threading
from collections.abc import Callable, Collection
from contextvars import copy_context
from dataclasses import dataclass
from inspect import iscoroutinefunction
from time import monotonic
from typing import Literal

log = logging.getLogger(__name__)

# How long a result is kept, so that probes can't hammer a dependency.
KEPT_SECONDS = 1.0
DEFAULT_TIMEOUT = 2.0
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")


@dataclass(frozen=True)
class Result:
    """How a check went, and how long it took (or has taken so far) in milliseconds."""

    status: Literal["ok", "failed", "timeout"]
    duration_ms: float


class _Run:
    """One run of a check, in a thread of its own."""

    def __init__(self, name: str, check: Callable[[], object]) -> None:
        self._name = name
        self._check = check
        self.began = monotonic()
        self.result: Result | None = None
        self.ended = threading.Event()
        # The context carries the id of the request that asked, into the log of the check.
        context = copy_context()
        thread = threading.Thread(
            target=lambda: context.run(self._run), name=f"readiness-{name}", daemon=True
        )
        thread.start()

    def _run(self) -> None:
        status: Literal["ok", "failed"] = "failed"
        try:
            if self._check() is False:
                log.warning("Readiness check %s returned False.", self._name)
            else:
                status = "ok"
        except BaseException:
            log.warning("Readiness check %s failed.", self._name, exc_info=True)
        self.result = Result(status, self.elapsed_ms())
        self.ended.set()

    def elapsed_ms(self) -> float:
        return round((monotonic() - self.began) * 1000, 3)

    def is_fresh(self) -> bool:
        return self.result is None or (
            monotonic() - self.began - self.result.duration_ms / 1000 < KEPT_SECONDS
        )


class _Check:
    """A registered check, with its run under way or its last one."""

    def __init__(self, name: str, check: Callable[[], object], timeout: float) -> None:
        self._name = name
        self._check = check
        self._timeout = timeout
        self._lock = threading.Lock()
        self._run: _Run | None = None

    def begin(self) -> Callable[[], Result]:
        """Start the check, or join the run under way; return what waits for its result."""
        with self._lock:
            if self._run is None or not self._run.is_fresh():
                self._run = _Run(self._name, self._check)
            run = self._run

        def result() -> Result:
            run.ended.wait(max(0.0, run.began + self._timeout - monotonic()))
            if run.result is not None and run.result.duration_ms <= self._timeout * 1000:
                return run.result
            return Result("timeout", run.result.duration_ms if run.result else run.elapsed_ms())

        return result


class Readiness:
    """The registry of readiness checks of one app."""

    def __init__(self) -> None:
        self._checks: dict[str, _Check] = {}

    def add(self, name: str, check: Callable[[], object], timeout: float = DEFAULT_TIMEOUT) -> None:
        """Register a check under a new name.

        Args:
            name: lower-case letters, digits, `-` and `_`, as `exclude` and the answer name it.
            check: called without arguments, in a thread of its own; it fails when it raises an
                error or returns `False`. The error goes to the log, never to the answer.
            timeout: the limit of the check, in seconds.

        Raises:
            ValueError: the name is taken or malformed, the check is a coroutine function (which
                would pass without being run), or the limit is no positive number.

        """
        if not _NAME.fullmatch(name):
            raise ValueError(f"a check's name must match {_NAME.pattern}: {name!r}")
        if name in self._checks:
            raise ValueError(f"there is a readiness check {name!r} already")
        if iscoroutinefunction(check):
            raise ValueError(f"check {name!r} must be a plain function, not a coroutine function")
        if not 0 < timeout <= threading.TIMEOUT_MAX:
            raise ValueError(f"the limit of check {name!r} must be a positive number of seconds")
        self._checks[name] = _Check(name, check, timeout)

    def names(self) -> list[str]:
        """Return the names of the registered checks."""
        return list(self._checks)

    def results(self, exclude: Collection[str] = ()) -> dict[str, Result]:
        """Run the checks side by side, but for the excluded ones, and return how each went."""
        waiting = {
            name: check.begin() for name, check in self._checks.items() if name not in exclude
        }
        return {name: result() for name, result in waiting.items()}
