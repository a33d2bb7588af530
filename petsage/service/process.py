"""Which process is this: the random id of the worker, and when it began.

Both are made anew in each child of a fork, so that workers differ also where a server loads
the app first and forks afterwards.
"""

import os
import secrets
import time

_id = ""
_started_at = 0.0


def _begin() -> None:
    global _id, _started_at
    _id = secrets.token_hex(6)
    _started_at = time.time()


def worker_id() -> str:
    """Return the random id of this process, 12 hex digits."""
    return _id


def started_at() -> float:
    """Return when this process began, in seconds since the epoch."""
    return _started_at


_begin()
os.register_at_fork(after_in_child=_begin)
