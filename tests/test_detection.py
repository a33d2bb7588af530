"""docs/detection.md: the bounds in it are those that the rule of the streak gives."""

import subprocess
import sys
from pathlib import Path

from tests.running import ROOT


def test_the_bounds_in_the_docs_are_those_that_are_worked_out() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from bench import detection; detection.bounds()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    bounds = done.stdout.splitlines()
    assert len(bounds) > 5
    assert set(bounds) <= set(Path(ROOT, "docs", "detection.md").read_text().splitlines())
