"""Each shortcut of the service, and how to do without it: `python -m bench.shortcuts NAME`.

Prints what a request costs without it, in microseconds. `bench.app_cost --savings` asks for all.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

from flask import Flask
from werkzeug.wrappers import Response

from bench.in_process import log_to_nowhere, microseconds_of
from petsage.service import fast_path, json_logs, routes

# What is set to what, for a service without the shortcut.
SHORTCUTS: dict[str, list[tuple[Any, str, Any]]] = {
    "a response is JSON already, no schema dumps it": [
        (routes, "json_response", lambda value: value)
    ],
    "a path is found by one look-up, its view called without a search for hooks": [
        (fast_path.FastFlask, "_inline_rule", lambda _app, _environ: None)
    ],
    "a response is sent as it is": [(fast_path.CompleteResponse, "__call__", Response.__call__)],
    "a flag tells whether a function is a coroutine": [
        (fast_path.FastFlask, "ensure_sync", Flask.ensure_sync)
    ],
    "the text of a second is made once in it": [
        (json_logs, "_to_the_second", json_logs._to_the_second.__wrapped__)
    ],
    "a log record without threads and processes": [
        (logging, name, True)
        for name in ("logThreads", "logProcesses", "logMultiprocessing", "logAsyncioTasks")
    ],
}
ROUNDS = 250


def main() -> None:
    """Measure the service without one shortcut, or with all where the name is empty."""
    missing = SHORTCUTS[sys.argv[1]] if sys.argv[1] else []
    for owner, name, value in missing:
        setattr(owner, name, value)
    from wsgi import app

    for owner, name, value in missing:  # load_settings may have set it
        setattr(owner, name, value)
    log_to_nowhere("INFO")()
    print(min(microseconds_of(app) for _ in range(ROUNDS)))


if __name__ == "__main__":
    main()
