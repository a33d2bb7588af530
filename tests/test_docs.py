"""What the pages promise: links lead somewhere; members and limits are the real ones."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from petsage.client.reports import FORMATS, format_of, rendered
from petsage.client.verdict import ExitCode
from petsage.server import gunicorn_conf
from tests.client.rollouts import went
from tests.client.test_reports import outcome
from tests.documents import DOCUMENTS, README, anchors, links, table, without_blocks
from tests.running import ROOT, web_line

REPORTS = DOCUMENTS["docs/reports.md"]
LINKS = [(name, link) for name, text in DOCUMENTS.items() for link in links(text)]


@pytest.mark.parametrize(("page", "link"), LINKS)
def test_a_link_leads_to_a_file_and_a_heading_that_are_there(page: str, link: str) -> None:
    assert not link.startswith("http"), "no page needs another host"
    path, _, anchor = link.partition("#")
    target = Path(ROOT, page).parent.joinpath(path).resolve() if path else Path(ROOT, page)
    assert target.is_relative_to(ROOT)
    assert target.exists()
    if anchor:
        assert anchor in anchors(target.read_text())


def test_each_page_of_docs_is_found_from_the_readme() -> None:
    reached, left = set(), ["README.md"]
    while left:
        page = left.pop()
        reached.add(page)
        for link in links(DOCUMENTS[page]):
            path = Path(ROOT, page).parent.joinpath(link.partition("#")[0]).resolve()
            name = str(path.relative_to(ROOT))
            if name in DOCUMENTS and name not in reached:
                left.append(name)
    assert reached == set(DOCUMENTS)


def test_what_comes_before_the_tables_of_the_readme_is_read_in_three_minutes() -> None:
    opening = README.partition("\n## Settings\n")[0].partition("\n| exit code")[0]
    assert len(without_blocks(opening).split()) < 500
    assert len(opening.split()) < 800


def promised(heading: str) -> dict[str, str]:
    """Return what the table below a heading says of each member of the JSON report."""
    rows = table(heading, REPORTS)
    return {name: told for names, told in rows for name in names.split("`")[1::2]}


def named_in(told: str) -> set[str]:
    return set(re.findall(r"`([a-z0-9_]+)`", told))


def members_below(value: Any) -> set[str]:
    """Return the names of the members of an object, or of the objects of a list."""
    if isinstance(value, list):
        return set().union(*map(members_below, value))
    return set(value) if isinstance(value, dict) else set()


def test_every_member_of_the_json_reports_stands_in_the_tables() -> None:
    smoke = json.loads(rendered(outcome(ExitCode.WRONG), "json"))
    told = promised("Of a smoke test, as JSON")
    assert set(told) == set(smoke)
    one_release = next(iter(smoke["releases"].values()))
    assert named_in(told["releases"]) == {*one_release, *one_release["latency_ms"]}
    for name in ("row", "refusals", "log", "pings"):
        assert members_below(smoke[name]) <= named_in(told[name]), name

    watched = json.loads(rendered(went(600, argv=("kubectl", "apply")), "json"))
    further = promised("Of a rollout, as JSON")
    assert set(further) == set(watched) - set(smoke)
    for name in ("command", "switch", "failures"):
        assert members_below(watched[name]) <= named_in(further[name]), name


def test_every_verdict_and_schema_stands_in_the_pages() -> None:
    assert {f"`{code.word}`" for code in ExitCode if code is not ExitCode.USAGE} <= set(
        re.findall(r"`[a-z-]+`", REPORTS)
    )
    for report in (outcome(), went(600)):
        assert f'`"{json.loads(rendered(report, "json"))["schema"]}"`' in REPORTS


def test_every_ending_that_chooses_a_format_is_named() -> None:
    endings = re.findall(r"`(\.[a-z]+)`", REPORTS)
    assert {format_of(f"report{ending}")[0] for ending in endings} >= set(FORMATS) - {"text"}


def test_the_server_page_names_the_limits_of_the_server() -> None:
    page = DOCUMENTS["docs/server.md"]
    assert f"{gunicorn_conf.keepalive} s, which is longer" in page
    assert f"| {gunicorn_conf.worker_connections:,};" in page
    assert f"{gunicorn_conf.threads} threads a worker" in page
    assert f"gone within {gunicorn_conf.graceful_timeout} s" in page
    assert web_line().replace("gunicorn ", "gunicorn --check-config ", 1) in page
