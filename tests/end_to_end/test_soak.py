"""`make soak` writes a page that can be published: all that was measured, and others beside it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import besieged
from bench.soak import MEASUREMENTS, _circumstances
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


@pytest.mark.alone
def test_others_are_held_to_the_same() -> None:
    # Not the sync worker: one connection stops it, for as long as it lasts.
    others = {name: run for name, run in besieged.peers().items() if "sync" not in name}
    assert others
    figure = asyncio.run(besieged.beside("idle", 4, 0.1, others))
    assert {name: fared["share"] for name, fared in figure.beside.items()} == dict.fromkeys(
        ["PetSage", *others], 1
    )


def test_the_best_of_a_row_is_bold_and_the_page_says_where_node_is_better() -> None:
    node = {"share": 1.0, "p99": 0.002}
    beside = {"PetSage": {"share": 1.0, "p99": 0.004}, "node": node}
    told = page(CIRCUMSTANCES, {"hostile": entry(beside=beside)})
    assert "| 1,000 idle | 100 %, p99 4.0 ms | **100 %, p99 2.0 ms** |" in told
    assert "node does better than PetSage with 1,000 idle." in told
    # More answers are better than quicker ones.
    beside["node"] = {"share": 0.9, "p99": 0.002}
    told = page(CIRCUMSTANCES, {"hostile": entry(beside=beside)})
    assert "| 1,000 idle | **100 %, p99 4.0 ms** | 90 %, p99 2.0 ms |" in told
    assert "with none of them" in told


def test_the_page_says_that_node_was_not_there_and_that_a_goal_was_missed() -> None:
    beside = {
        "PetSage": {"share": 1.0, "p99": 0.2},
        "gunicorn sync": {"share": 0.0, "p99": None},
    }
    told = page(CIRCUMSTANCES, {"hostile": entry(beside=beside, reached=False)})
    assert besieged.MISSING_NODE in told
    assert "| **100 %, p99 200.0 ms** | 0 % |" in told
    assert "| **no** |" in told


@pytest.mark.parametrize("scale", [0.1, 0.2], ids=["at the same scale", "at another scale"])
def test_what_is_measured_by_name_joins_what_was_measured_before_at_the_same_scale(
    tmp_path: Path, scale: float
) -> None:
    raw, output = tmp_path / "soak.json", tmp_path / "page.md"
    before = {"circumstances": _circumstances(scale), "measurements": {"hostile": entry()}}
    raw.write_text(json.dumps(before))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "bench.soak", "sigterm-idle", "--scale", "0.1"),
            *("--raw", str(raw), "--output", str(output)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    told = output.read_text()
    assert told.startswith("# What the service holds out against\n\nMeasured by `make soak` on ")
    assert "gunicorn 27" in told
    assert "Everything at 0.1 of its size." in told
    assert "| SIGTERM with 100 idle connections, each used again | " in told
    assert ("| 1,000 idle, one worker |" in told) == (scale == 0.1)


def test_the_million_comes_last_so_that_the_rest_need_not_wait_for_it() -> None:
    assert list(MEASUREMENTS)[-1] == "mixed"
