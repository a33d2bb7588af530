"""The reports: each format says the same, and what machines read has the promised shape."""

from __future__ import annotations

import html.parser
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from petsage.client.explain import explain
from petsage.client.reports import FORMATS, format_of, render
from petsage.client.result import BadRequestOutcome, Failure, PingResult
from petsage.client.run import Run
from petsage.client.verdict import ExitCode
from tests.client import golden_reports
from tests.client.reported import bad_request, run_of, run_of_results, watched
from tests.client.results import failed, old, result
from tests.client.test_explain import CASES
from tests.running import ROOT

NASTY = "<b>|`x`|</b> & ]]> \"'[red]{0}%s"
CONTROLS = "\x1b\x07\x00\n\r\u2028\u202e"
SCHEMA = json.loads(Path(ROOT, "docs", "report.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def reported(run: Run, report_format: str) -> str:
    return render(run, explain(run), report_format)


def as_json(run: Run) -> dict[str, Any]:
    """Return a JSON report that fits the schema."""
    report: dict[str, Any] = json.loads(reported(run, "json"))
    VALIDATOR.validate(report)
    return report


def nasty(text: str) -> Run:
    """Return a run in which the service says `text` wherever it can."""
    names = {"release": text, "instance": text, "worker": text}

    def lost(due_at: float) -> PingResult:
        return failed(due_at=due_at, detail=text, address=text)

    return run_of(
        lambda due_at: old(due_at=due_at, **names),
        lost,
        *[result] * 4,
        lost,
        warnings=[text],
        bad_requests=[bad_request(BadRequestOutcome.ACCEPTED, text, text)],
        kind="rollout",
        addresses=(text, "192.0.2.1:443"),
    )


@pytest.mark.parametrize("report_format", FORMATS)
@pytest.mark.parametrize("name", golden_reports.RUNS)
def test_the_reports_are_those_that_were_reviewed(name: str, report_format: str) -> None:
    run = golden_reports.RUNS[name]()
    golden = golden_reports.path(name, report_format).read_text()
    assert reported(run, report_format) == golden, "see tests/client/golden_reports.py"


@pytest.mark.parametrize("run", [run for run, _, _ in CASES.values()], ids=CASES.keys())
def test_every_verdict_can_be_reported_and_its_json_fits_the_schema(run: Run) -> None:
    explanation = explain(run)
    report = as_json(run)
    assert report["exit_code"] == explanation.exit_code
    assert report["headline"] == explanation.headline
    for report_format in FORMATS:
        assert reported(run, report_format)
    junit = ET.fromstring(reported(run, "junit"))
    broken = [*junit.iter("failure"), *junit.iter("error")]
    assert bool(broken) == bool(report["exit_code"])


def test_a_run_in_which_nothing_came_can_be_reported() -> None:
    for kind in ("smoke-test", "rollout"):
        run = run_of(kind=kind, interrupted_by="SIGINT")
        assert as_json(run)["exit_code"] == 130
        assert all(reported(run, report_format) for report_format in FORMATS)


def objects(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Return every part of the schema that lists the members of an object."""
    parts = [schema] if "properties" in schema and "type" in schema else []
    for value in schema.values():
        for inner in value if isinstance(value, list) else [value]:
            parts += objects(inner) if isinstance(inner, dict) else []
    return parts


def test_the_schema_is_strict() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    parts = objects(SCHEMA)
    assert len(parts) > 8
    for part in parts:
        assert part["additionalProperties"] is False
        assert part["required"]


@pytest.mark.parametrize(
    "change",
    [
        {"further": 1},
        {"verdict": "down"},
        {"exit_code": 2},
        {"rate": 10},
        {"schema": "petsage.rollout/2"},
        {"started_at": "2027-01-15"},
        {"addresses": {"192.0.2.1:443": {"count": 1}}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_schema_rejects(change: dict[str, Any]) -> None:
    report = as_json(run_of(*[result] * 4))
    assert not VALIDATOR.is_valid(report | change)
    del report["pings"]
    assert not VALIDATOR.is_valid(report)


def test_the_json_report_of_a_rollout() -> None:
    run = golden_reports.rollout()
    report = as_json(run)
    assert report["pings"] == {"sent": 120, "ok": 118, "failed": {"5xx": 2}}
    assert set(report["releases"]) == {"v42", "v43"}
    assert report["releases"]["v42"]["instances"].keys() == {"web.1", "web.2"}
    assert report["current"]["releases"].keys() == {"v43"}
    assert (report["current"]["failure"], report["current"]["incorrect"]) == (None, 0)
    assert (report["command"]["started"], report["command"]["exit_code"]) == (True, 0)
    assert report["switch"]["first_new"] < report["switch"]["last_old"]
    assert report["switch"]["overlap_s"] > 0
    assert (report["longest_gap_s"], report["open_gap_s"]) == (0.2, None)
    assert [one["class"] for one in report["failures"]] == ["5xx", "5xx"]
    assert report["streak"]["excluded_share"] == 0.5


def test_the_json_report_says_who_responds_at_each_address() -> None:
    report = as_json(golden_reports.smoke_test())
    assert report["addresses"] == {
        "192.0.2.1:443": {"count": 4, "releases": {"v42": 1, "v43": 3}},
        "[2001:db8::1]:443": {"count": 4, "releases": {"v43": 3}},
    }
    assert [one["rejected"] for one in report["bad_requests"]] == [True, False, None]
    silent = as_json(run_of(old, *[failed] * 9))
    assert (silent["current"]["releases"], silent["current"]["failure"]) == ({}, "refused")


def test_a_dead_address_is_counted_there_and_fails_no_ping_of_the_switch() -> None:
    here, there = "192.0.2.1:443", "192.0.2.2:443"
    results = [
        result(due_at=1_800_000_000.0 + number, address=here)
        if number % 2
        else failed(due_at=1_800_000_000.0 + number, address=there)
        for number in range(9)
    ]
    report = as_json(run_of_results(results, kind="rollout", addresses=(here, there)))
    assert (report["exit_code"], report["failures"]) == (5, [])
    assert report["addresses"][there] == {"count": 5, "releases": {}}
    assert there in report["headline"]


def test_bytes_of_the_command_that_are_no_text_are_replaced() -> None:
    run = watched(60, rate=10, argv=("deploy", "caf\udce9"))
    assert as_json(run)["command"]["argv"] == ["deploy", "caf?"]
    for report_format in FORMATS:
        reported(run, report_format).encode()


def test_the_junit_report_is_what_ci_systems_read() -> None:
    root = ET.fromstring(reported(golden_reports.smoke_test(), "junit"))
    (suite,) = root
    cases = suite.findall("testcase")
    assert int(suite.get("tests", "")) == len(cases)
    for counter, element in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert int(suite.get(counter, "")) == len(suite.findall(f"testcase/{element}"))
    assert {case.get("classname") for case in cases} == {
        "petsage.smoke-test",
        "petsage.smoke-test.bad-requests",
    }
    names = [case.get("name") for case in cases if case.find("failure") is not None]
    assert names == ["its responses are correct", "unknown member"]
    assert suite.find("system-out") is not None


class Page(html.parser.HTMLParser):
    """Collects what an HTML page consists of."""

    VOID = frozenset({"meta", "br", "hr", "link", "img"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("name", golden_reports.RUNS)
def test_the_html_report_is_one_page_that_loads_nothing(name: str) -> None:
    run = golden_reports.RUNS[name]()
    page = Page(reported(run, "html"))
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert not [one for one in page.attributes if one[0] in {"src", "href"} or one[0][:2] == "on"]
    assert page.tags.count("h1") == page.tags.count("main") == 1
    assert page.text.index(explain(run).headline) < page.text.index("What next:")


def test_what_a_service_says_is_text_in_each_format() -> None:
    run = nasty(NASTY)
    assert NASTY in as_json(run)["releases"]
    page = Page(reported(run, "html"))
    assert "b" in page.tags
    assert page.tags.count("b") == Page(reported(nasty("v42"), "html")).tags.count("b")
    assert NASTY in page.text
    junit = ET.fromstring(reported(run, "junit"))
    assert NASTY in "".join(junit.itertext())
    markdown = reported(run, "markdown")
    assert re.search(r"(?<!\\)[<`\[]", re.sub(r"</?(?:details|summary)>", "", markdown)) is None
    plain = reported(nasty("v42"), "markdown").splitlines()
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in markdown.splitlines()] == [
        len(re.findall(r"(?<!\\)\|", line)) for line in plain
    ]


@pytest.mark.parametrize("report_format", FORMATS)
def test_no_control_character_reaches_a_report(report_format: str) -> None:
    report = reported(nasty(f"v42{CONTROLS}"), report_format)
    assert not [char for char in report if not char.isprintable() and char != "\n"]
    harmless = reported(nasty(f"v42{'?' * len(CONTROLS)}"), report_format)
    if report_format != "json":
        assert report == harmless


def test_what_next_follows_the_headline_in_each_format() -> None:
    run = golden_reports.rollout()
    explanation = explain(run)
    step = explanation.what_next.split()[:5]
    for report_format in ("text", "markdown", "html", "junit"):
        report = " ".join(reported(run, report_format).split())
        assert " ".join(step) in report, report_format
    text = reported(run, "text").splitlines()
    assert text[0].startswith("OVER-BUDGET  v43")
    assert text[1].split()[:2] == ["what", "next"]


def test_the_proxy_is_named() -> None:
    run = run_of(*[result] * 4, proxy="http://proxy.example:3128")
    assert as_json(run)["proxy"] == "http://proxy.example:3128"
    for report_format in ("text", "markdown", "html"):
        assert "proxy.example:3128" in reported(run, report_format)


def test_colours_are_asked_for() -> None:
    run = golden_reports.rollout()
    coloured = render(run, explain(run), "text", colour=True)
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == reported(run, "text")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("report.json", ("json", True)),
        ("a.b/report.XML", ("junit", True)),
        ("report.md", ("markdown", True)),
        ("report.html", ("html", True)),
        ("report.txt", ("text", True)),
        ("/dev/stdout", ("text", True)),
        ("report.tmp", ("text", False)),
        ("report.pdf", ("text", False)),
    ],
)
def test_the_ending_of_a_file_says_the_format(path: str, expected: tuple[str, bool]) -> None:
    assert format_of(path) == expected


def test_the_schema_and_the_page_of_reports_name_every_class_and_verdict() -> None:
    page = Path(ROOT, "docs", "reports.md").read_text()
    assert SCHEMA["$defs"]["failure_class"]["enum"] == [one.value for one in Failure]
    for code in ExitCode:
        if code not in (ExitCode.USAGE, ExitCode.INTERNAL):
            assert f"`{code.word}`" in page
            assert code.word in SCHEMA["properties"]["verdict"]["enum"]
    for member in SCHEMA["properties"]:
        assert f"`{member}`" in page
