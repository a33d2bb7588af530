"""Each shortcut of the service, and how to do without it: `python -m bench.shortcuts NAME`.

Prints what a request costs without it, in microseconds. `bench.app_cost --savings` asks for all.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

from flask import Flask
from webargs.flaskparser import FlaskParser
from werkzeug.wrappers import Response

from bench.in_process import log_to_nowhere, microseconds_of
from petsage.service import clock, lean, messages

# What is set to what, for a service without the shortcut.
SHORTCUTS: dict[str, list[tuple[Any, str, Any]]] = {
    "an answer is JSON already, no schema dumps it": [(messages, "as_json", lambda value: value)],
    "an answer is sent as it is": [(messages.LeanResponse, "__call__", Response.__call__)],
    "a body is parsed without detours": [(messages.LeanParser, "use_args", FlaskParser.use_args)],
    "a path is found by one look-up": [
        (lean.LeanFlask, "create_url_adapter", Flask.create_url_adapter)
    ],
    "a request is taken apart when it is asked for a part": [
        (lean.LeanFlask, "request_class", Flask.request_class)
    ],
    "no teardown where nothing is torn down": [
        (lean.LeanFlask, name, getattr(Flask, name))
        for name in ("do_teardown_request", "do_teardown_appcontext")
    ],
    "a flag tells whether a function is a coroutine": [
        (lean.LeanFlask, "ensure_sync", Flask.ensure_sync)
    ],
    "the text of a second is made once in it": [
        (clock, "_to_the_second", clock._to_the_second.__wrapped__)
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

    for owner, name, value in missing:  # the doorstep may have set it
        setattr(owner, name, value)
    log_to_nowhere("INFO")()
    print(min(microseconds_of(app) for _ in range(ROUNDS)))


if __name__ == "__main__":
    main()
