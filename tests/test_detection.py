"""docs/detection.md: its tables are those that the simulation prints."""

import subprocess
import sys
from pathlib import Path

from tests.running import ROOT


def test_the_simulation_prints_the_tables_of_the_docs() -> None:
    page = Path(ROOT, "docs", "detection.md").read_text().splitlines()
    done = subprocess.run(
        [sys.executable, "-m", "bench.detection", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    bounds, missed, instances = done.stdout.strip().split("\n\n")
    assert set(bounds.splitlines()) <= set(page)
    for table in (missed, instances):
        head, *rows = table.splitlines()
        assert head in page
        # The first cells say what was simulated; the others are luck.
        for row in rows:
            begins = "|".join(row.split("|")[: 4 if table is missed else 2])
            assert [line for line in page if line.startswith(begins)], begins
