"""The reports of one smoke test and one rollout, as files to look at and to compare with.

`python -m tests.client.golden_reports` writes them anew; review what changes.
"""

from __future__ import annotations

from pathlib import Path

from petsage.client.explain import explain
from petsage.client.reports import FORMATS, render
from petsage.client.result import BadRequestOutcome
from petsage.client.run import LogResult, Run
from tests.client.reported import bad_request, run_of, watched
from tests.client.results import failed, old, result

FOLDER = Path(__file__).parent / "golden"
ENDINGS = {"text": "txt", "json": "json", "junit": "xml", "markdown": "md", "html": "html"}


def smoke_test() -> Run:
    """Return a smoke test with something in each member of its report."""
    here, there = "192.0.2.1:443", "[2001:db8::1]:443"
    return run_of(
        lambda due_at: old(due_at=due_at, address=here),
        lambda due_at: failed(due_at=due_at, address=there),
        *[
            lambda due_at: result(due_at=due_at, address=here),
            lambda due_at: result(due_at=due_at, address=there, instance="web.2", worker="w3"),
        ]
        * 3,
        instances=2,
        addresses=(here, there),
        warnings=["The name has IPv6 addresses too, but there is no route to them."],
        bad_requests=[
            bad_request(name="missing member"),
            bad_request(BadRequestOutcome.ACCEPTED, "unknown member", "200"),
            bad_request(BadRequestOutcome.NOT_DELIVERED, "not UTF-8", "403 from a firewall"),
        ],
        log=LogResult(found=True, late_s=0.25, complete=True),
    )


def rollout() -> Run:
    """Return a rollout in which a few pings failed."""
    argv = ("git", "push", "heroku", "main")
    return watched(120, rate=10, lost=0.2, argv=argv, consecutive=5)


RUNS = {"smoke-test": smoke_test, "rollout": rollout}


def path(name: str, report_format: str) -> Path:
    """Return the file of a run's report in one of the formats."""
    return FOLDER / f"{name}.{ENDINGS[report_format]}"


def main() -> None:
    """Write all of them."""
    FOLDER.mkdir(exist_ok=True)
    for name, make in RUNS.items():
        run = make()
        for report_format in FORMATS:
            path(name, report_format).write_text(render(run, explain(run), report_format))


if __name__ == "__main__":
    main()
