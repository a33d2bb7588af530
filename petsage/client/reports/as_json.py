"""The report for programs: one JSON object of a documented, versioned shape (docs/reports.md)."""

from __future__ import annotations

import json
from typing import Any

from petsage.client.outcome import Outcome, RolloutOutcome
from petsage.client.present import Now
from petsage.client.reports.advice import next_step
from petsage.client.reports.headline import headline
from petsage.client.reports.summary import instant
from petsage.client.tally import ReleaseCount

VERSION = 1


def render(outcome: Outcome) -> str:
    """Return the report as one indented JSON object, in ASCII."""
    return json.dumps(value(outcome), indent=2) + "\n"


def value(outcome: Outcome) -> dict[str, Any]:
    """Return the report's members."""
    tally, row, log = outcome.tally, outcome.row, outcome.log
    further = _rollout(outcome) if isinstance(outcome, RolloutOutcome) else {}
    return {
        "schema": f"petsage.{outcome.kind}/{VERSION}",
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
            {name: getattr(refusal, name) for name in ("name", "passed", "expected", "got")}
            for refusal in outcome.refusals
        ],
        "log": log and {"found": log.found, "late_s": log.late_s, "whole": log.whole},
        "problems": [sentence for _, sentence in outcome.problems],
        "warnings": outcome.warnings,
        **further,
        "headline": headline(outcome),
        "what_next": next_step(outcome),
        "now": _now(outcome.now),
    }


def _rollout(outcome: RolloutOutcome) -> dict[str, Any]:
    record, deploy = outcome.record, outcome.deploy
    failures = sorted(record.failures, key=lambda failed: failed.due_at)
    return {
        "rate": outcome.rate,
        "command": deploy
        and {
            # Bytes that are no text come from Python as lone surrogates, which JSON may not hold.
            "argv": [one.encode(errors="replace").decode() for one in deploy.argv],
            "exit_code": deploy.exit_code,
            "started_at": _instant(deploy.started_at),
            "ended_at": _instant(deploy.ended_at),
        },
        "switch": {
            "first_new": _instant(record.first_new),
            "last_old": _instant(record.last_old),
            "overlap_s": _rounded(record.overlap_s),
        },
        "longest_gap_s": _rounded(record.longest_gap_s),
        "open_gap_s": _rounded(record.open_gap_s),
        "failures": [
            {"due_at": instant(one.due_at), "class": one.failure.value, "detail": one.detail}
            for one in failures
        ],
    }


def _now(now: Now) -> dict[str, Any]:
    return {
        "answers": next(iter(now.answers), None),
        "releases": dict(now.answers),
        "since": _instant(now.since),
        "class": now.last.failure.value if now.nobody and now.last and now.last.failure else None,
    }


def _instant(seconds: float | None) -> str | None:
    return None if seconds is None else instant(seconds)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _release(one: ReleaseCount) -> dict[str, Any]:
    return {
        "count": one.count,
        "first_seen": instant(one.first_seen),
        "last_seen": instant(one.last_seen),
        "latency_ms": one.percentiles(),
        "instances": dict(one.instances),
    }
