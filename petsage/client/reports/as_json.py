"""The report for programs: one JSON object of a documented, versioned shape (README)."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from petsage.client.outcome import Outcome
from petsage.client.reports.summary import instant
from petsage.client.tally import ReleaseCount

SCHEMA = "petsage.smoke-test/1"


def render(outcome: Outcome) -> str:
    """Return the report as one indented JSON object, in ASCII."""
    return json.dumps(value(outcome), indent=2) + "\n"


def value(outcome: Outcome) -> dict[str, Any]:
    """Return the report's members."""
    tally, row, log = outcome.tally, outcome.row, outcome.log
    return {
        "schema": SCHEMA,
        "url": outcome.url,
        "verdict": outcome.exit_code.word,
        "exit_code": int(outcome.exit_code),
        "expected_release": outcome.expected,
        "started_at": instant(outcome.started_at),
        "elapsed_s": round(outcome.elapsed_s, 3),
        "pings": {"sent": tally.sent, "ok": tally.ok, "failed": dict(tally.failed)},
        "releases": {name: _release(one) for name, one in tally.releases.items()},
        "instances": dict(tally.instances),
        "workers": dict(tally.workers),
        "row": {
            "needed": row.needed,
            "reached": row.reached,
            "breaks": row.breaks,
            "excluded_share": row.excluded_share,
        },
        "refusals": [
            {name: part for name, part in asdict(refusal).items() if name != "mismatch"}
            for refusal in outcome.refusals
        ],
        "log": log and {"found": log.found, "late_s": log.late_s, "whole": log.whole},
        "problems": [sentence for _, sentence in outcome.problems],
        "warnings": outcome.warnings,
    }


def _release(one: ReleaseCount) -> dict[str, Any]:
    return {
        "count": one.count,
        "first_seen": instant(one.first_seen),
        "last_seen": instant(one.last_seen),
        "latency_ms": one.percentiles(),
    }
