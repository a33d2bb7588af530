"""`make soak` runs, and writes a page that can be published: what was measured, and others."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench import besieged
from bench.soak_page import page
from tests.running import ROOT

CIRCUMSTANCES = {
    "machine": "two cores",
    "python": "3.13.0",
    "versions": {"gunicorn": "27.0.1"},
    "scale": 1,
}


def entry(**figure: Any) -> dict[str, Any]:
    told = {"name": "1,000 idle, one worker", "measured": "100 %", "goal": "100 %", "reached": True}
    return {
        "at": "2026-11-21T10:00+00:00",
        "seconds": 7,
        "figures": [told | {"beside": {}} | figure],
    }


def test_the_best_of_a_row_is_bold_and_the_page_says_where_node_is_better() -> None:
    node = {"share": 1.0, "p99": 0.002}
    beside = {"PetSage": {"share": 1.0, "p99": 0.004}, "node": node}
    told = page(CIRCUMSTANCES, {"hostile": entry(beside=beside)})
    assert "| 1,000 idle | 100 %, p99 4.0 ms | **100 %, p99 2.0 ms** |" in told
    # More responses are better than quicker ones.
    beside["node"] = {"share": 0.9, "p99": 0.002}
    told = page(CIRCUMSTANCES, {"hostile": entry(beside=beside)})
    assert "| 1,000 idle | **100 %, p99 4.0 ms** | 90 %, p99 2.0 ms |" in told


def test_the_page_says_that_node_was_not_there_and_that_a_goal_was_missed() -> None:
    beside = {
        "PetSage": {"share": 1.0, "p99": 0.2},
        "gunicorn sync": {"share": 0.0, "p99": None},
    }
    told = page(CIRCUMSTANCES, {"hostile": entry(beside=beside, reached=False)})
    assert besieged.MISSING_NODE in told
    assert "| **100 %, p99 200.0 ms** | 0 % |" in told
    assert "| **no** |" in told


def test_a_measurement_runs_and_its_page_and_raw_figures_are_written(tmp_path: Path) -> None:
    raw, output = tmp_path / "soak.json", tmp_path / "page.md"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "bench.soak", "sigterm-idle", "--scale", "0.1"),
            *("--raw", str(raw), "--output", str(output)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    # Whether it reaches its goal here depends on the machine.
    assert (done.returncode in {0, 1}, done.stderr) == (True, "")
    assert list(json.loads(raw.read_text())["measurements"]) == ["sigterm-idle"]
    assert "| SIGTERM with 100 idle connections, each used again | " in output.read_text()
