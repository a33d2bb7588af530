"""load_settings: whatever then goes wrong in the process is a line of the log."""

import json
import subprocess
import sys

import pytest

from tests.running import ROOT, environment

BEGIN = """
import gc, os, sys, threading, warnings
from petsage.service.settings import load_settings
load_settings(os.environ)
class Pet:
    def __del__(self): raise ValueError("Miu")
def run(target):
    thread = threading.Thread(target=target)
    thread.start()
    thread.join()
"""
ERRORS = {
    "uncaught": ("raise ValueError('Miu')", "CRITICAL", 1),
    "uncaught in a thread": ("run(lambda: int('Miu'))", "CRITICAL", 0),
    "in a finaliser": ("Pet(); gc.collect()", "CRITICAL", 0),
    "a warning": ("warnings.warn('Miu')", "WARNING", 0),
}


def lines_of(code: str) -> tuple[list[dict[str, str]], int]:
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", BEGIN + code],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()], done.returncode


@pytest.mark.parametrize(("code", "level", "exit_code"), ERRORS.values(), ids=ERRORS)
def test_an_error_comes_as_one_line(code: str, level: str, exit_code: int) -> None:
    (line,), ended_with = lines_of(code)
    assert (line["level"], ended_with) == (level, exit_code)
    assert "Miu" in line.get("traceback", line["message"])


def test_a_thread_that_ends_itself_is_no_error() -> None:
    assert lines_of("run(sys.exit)") == ([], 0)
