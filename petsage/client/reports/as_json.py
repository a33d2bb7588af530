"""The report for programs: one JSON object, described in docs/report.schema.json."""

from __future__ import annotations

import json
from typing import Any

from petsage.client.explain import Explanation
from petsage.client.history import ReleaseStats
from petsage.client.reports.figures import instant
from petsage.client.result import BadRequestOutcome, PingResult
from petsage.client.run import Run
from petsage.client.wording import who_responds

VERSION = 2


def render(run: Run, explanation: Explanation) -> str:
    """Return the report as one indented JSON object, in ASCII."""
    return json.dumps(value(run, explanation), indent=2) + "\n"


def value(run: Run, explanation: Explanation) -> dict[str, Any]:
    """Return the members of the report."""
    history, streak = run.history, run.streak
    return {
        "schema": f"petsage.{run.kind}/{VERSION}",
        "verdict": explanation.exit_code.word,
        "exit_code": int(explanation.exit_code),
        "headline": explanation.headline,
        "what_next": explanation.what_next,
        "url": run.url,
        "proxy": run.proxy,
        "expected_release": run.expected,
        "started_at": instant(run.started_at),
        "elapsed_s": round(run.elapsed_s, 3),
        "pings": {"sent": len(history.results), "ok": history.ok, "failed": history.failed},
        "current": _current(run),
        "releases": {name: _release(one) for name, one in history.releases.items()},
        "addresses": {name: _address(run, one) for name, one in history.addresses.items()},
        "instances": history.instances,
        "workers": history.workers,
        "streak": {
            "needed": streak.needed,
            "reached": streak.reached,
            "interruptions": streak.interruptions,
            "excluded_share": streak.excluded_share if run.proved else None,
        },
        "bad_requests": [
            {
                "name": one.name,
                "rejected": _REJECTED.get(one.outcome),
                "expected": one.expected,
                "got": one.got,
            }
            for one in run.bad_requests
        ],
        "log": run.log
        and {
            "found": run.log.found,
            "late_s": _rounded(run.log.late_s),
            "complete": run.log.complete,
        },
        "problems": [problem.sentence for problem in explanation.problems],
        "warnings": explanation.warnings,
        **(_rollout(run) if run.kind == "rollout" else {}),
    }


# Of other outcomes None: nothing is known of the release that was asked for.
_REJECTED = {
    BadRequestOutcome.REJECTED: True,
    BadRequestOutcome.ACCEPTED: False,
}


def _rollout(run: Run) -> dict[str, Any]:
    history, deploy, switch = run.history, run.deploy, run.history.switch
    longest, open_gap = history.longest_gap, history.open_gap
    return {
        "rate": run.rate,
        "command": deploy
        and {
            # Bytes that are no text come as lone surrogates, which JSON may not hold.
            "argv": [one.encode(errors="replace").decode() for one in deploy.argv],
            "started": deploy.started_at is not None,
            "started_at": _instant(deploy.started_at),
            "ended_at": _instant(deploy.ended_at),
            "exit_code": deploy.exit_code,
            "stopped": deploy.stopped,
        },
        "switch": {
            "first_new": _instant(switch.first_new),
            "last_old": _instant(switch.last_old),
            "overlap_s": _rounded(switch.overlap_s),
        },
        "longest_gap_s": _rounded(longest.seconds if longest else None),
        "open_gap_s": _rounded(open_gap.seconds if open_gap else None),
        "failures": [
            {
                "due_at": instant(one.due_at),
                "class": one.failure,
                "address": one.address,
                "detail": one.detail,
            }
            for one in history.failures
        ],
    }


def _current(run: Run) -> dict[str, Any]:
    current = run.current
    return {
        "summary": who_responds(run),
        "releases": dict(current.releases),
        "incorrect": len(current.incorrect),
        "since": _instant(current.since),
        "failure": current.failed.failure if current.outcome and current.failed else None,
    }


def _address(run: Run, results: list[PingResult]) -> dict[str, Any]:
    names = [run.history.release_of(one) for one in results]
    counts = {name: names.count(name) for name in names if name is not None}
    return {"count": len(results), "releases": counts}


def _release(stats: ReleaseStats) -> dict[str, Any]:
    return {
        "count": stats.count,
        "first_seen": instant(stats.first_seen),
        "last_seen": instant(stats.last_seen),
        "latency_ms": stats.latency_ms,
        "instances": stats.instances,
    }


def _instant(seconds: float | None) -> str | None:
    return None if seconds is None else instant(seconds)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
