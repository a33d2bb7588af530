"""What the pages promise: links lead somewhere; members and limits are the real ones."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.documents import DOCUMENTS, README, anchors, links, promised, without_blocks
from tests.running import ROOT, Service, gunicorn_settings, petsage, web_line

pytestmark = pytest.mark.contract

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


def named_in(told: str) -> set[str]:
    return set(re.findall(r"`([a-z0-9_]+)`", told))


def members_below(value: Any) -> set[str]:
    """Return the names of the members of an object, or of the objects of a list."""
    if isinstance(value, list):
        return set().union(*map(members_below, value))
    return set(value) if isinstance(value, dict) else set()


def test_every_member_of_the_json_report_of_a_smoke_test_is_in_the_tables(
    service: Service,
) -> None:
    done = petsage("smoke-test", service.url, "--expect-release", "v43", "--format", "json")
    report = json.loads(done.stdout)
    told = promised("smoke test")
    assert told.keys() == report.keys()
    # The members of the others are names: of releases, instances, workers and addresses.
    for name in {"pings", "row", "streak", "refusals", "bad_requests"} & report.keys():
        assert members_below(report[name]) <= named_in(told[name]), name
    for one in report["releases"].values():
        assert members_below([one, one["latency_ms"]]) <= named_in(told["releases"])
    assert f'`"{report["schema"]}"`' in REPORTS
    assert f"`{report['verdict']}`" in REPORTS


def test_the_server_page_names_the_limits_of_the_server() -> None:
    page = DOCUMENTS["docs/server.md"].replace(",", "")
    settings = gunicorn_settings()
    for name in ("keepalive", "worker_connections", "threads", "graceful_timeout"):
        assert re.search(rf"\b{settings[name]}\b", page), name
    assert web_line().replace("gunicorn ", "gunicorn --check-config ", 1) in page
