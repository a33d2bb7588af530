"""The reports: each format says the same, and what machines read has the promised shape."""

from __future__ import annotations

import html.parser
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import jsonschema
import pytest
from petsage.client.fact import Failure
from petsage.client.logs import LogFinding
from petsage.client.outcome import Outcome
from petsage.client.present import Present
from petsage.client.refusals import REFUSALS, Refused
from petsage.client.tally import MOST_NAMES, Tally

from petsage.client.reports import FORMATS, as_text, format_of, rendered
from petsage.client.verdict import ExitCode, Row
from tests.client.facts import NEW, OLD, fact, lost

NASTY = "<b>|`x`|</b> & ]]> \"'"


def outcome(*problems: ExitCode) -> Outcome:
    """Return an outcome that has something in each of its members, and these problems."""
    expected = "v43"
    tally, row, present = Tally(expected), Row(expected, 2), Present()
    facts = [OLD, lost(), NEW, fact(instance=NASTY, worker="w2"), fact(latency_s=0.25)]
    for one in facts:
        tally.add(one)
        row.add(one)
        present.add(one, tally.release_of(one), right=one is not OLD)
    return Outcome(
        url="https://app.example",
        expected=expected,
        started_at=1_795_232_573.009378,
        tally=tally,
        row=row,
        present=present,
        elapsed_s=3.14159,
        refusals=[
            Refused(REFUSALS[0].name, True, REFUSALS[0].expected, REFUSALS[0].expected),
            Refused(REFUSALS[1].name, False, REFUSALS[1].expected, f"200 {NASTY}"),
            Refused(REFUSALS[2].name, None, REFUSALS[2].expected, "403 from a firewall"),
        ],
        log=LogFinding(found=True, late_s=0.25, whole=False),
        problems=[(code, f"Problem {NASTY} of {code.word}.") for code in problems],
        warnings=[f"Warning {NASTY}."],
    )


NUMBER = {"type": "number", "minimum": 0}
COUNT = {"type": "integer", "minimum": 0}
COUNTS = {"type": "object", "additionalProperties": COUNT}
SENTENCES = {"type": "array", "items": {"type": "string"}}
INSTANT = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$"}


def exactly(**members: object) -> dict[str, object]:
    return {
        "type": "object",
        "properties": members,
        "required": list(members),
        "additionalProperties": False,
    }


SHAPE = exactly(
    schema={"const": "petsage.smoke-test/1"},
    url={"type": "string"},
    verdict={"type": "string"},
    exit_code=COUNT,
    expected_release={"type": ["string", "null"]},
    started_at=INSTANT,
    elapsed_s=NUMBER,
    pings=exactly(sent=COUNT, ok=COUNT, failed=COUNTS),
    releases={
        "type": "object",
        "additionalProperties": exactly(
            count=COUNT,
            first_seen=INSTANT,
            last_seen=INSTANT,
            latency_ms=exactly(p50=NUMBER, p95=NUMBER, p99=NUMBER, max=NUMBER),
            instances=COUNTS,
        ),
    },
    instances=COUNTS,
    workers=COUNTS,
    row=exactly(
        needed=COUNT, reached=COUNT, breaks=COUNT, excluded_share={"type": ["number", "null"]}
    ),
    refusals={
        "type": "array",
        "items": exactly(
            name={"type": "string"},
            passed={"type": ["boolean", "null"]},
            expected={"type": "string"},
            got={"type": "string"},
        ),
    },
    log={
        "anyOf": [
            {"type": "null"},
            exactly(
                found={"type": "boolean"},
                late_s={"type": ["number", "null"]},
                whole={"type": ["boolean", "null"]},
            ),
        ]
    },
    problems=SENTENCES,
    warnings=SENTENCES,
    headline={"type": "string", "minLength": 10},
    what_next={"type": "string"},
    now=exactly(
        **{"class": {"type": ["string", "null"]}},
        answers={"type": ["string", "null"]},
        releases=COUNTS,
        since={"anyOf": [{"type": "null"}, INSTANT]},
    ),
)
CODES = [[], *[[code] for code in (1, 3, 4, 5, 6, 130)], [1, 6]]
EVERY_VERDICT = pytest.mark.parametrize(
    "problems", [[ExitCode(one) for one in codes] for codes in CODES], ids=str
)


@EVERY_VERDICT
def test_the_json_report_has_exactly_the_documented_members(problems: list[ExitCode]) -> None:
    report = json.loads(rendered(outcome(*problems), "json"))
    jsonschema.validate(report, SHAPE)
    assert report["exit_code"] == (min(problems) if problems else 0)
    assert report["pings"] == {"sent": 5, "ok": 4, "failed": {"reset": 1}}
    assert report["started_at"] == "2026-11-21T03:42:53.009378Z"
    assert report["releases"]["v43"]["latency_ms"] == {
        "p50": 2.0,
        "p95": 250.0,
        "p99": 250.0,
        "max": 250.0,
    }


def test_the_verdicts_are_words() -> None:
    assert {int(code): code.word for code in ExitCode} == {
        0: "passed",
        1: "wrong",
        2: "usage",
        3: "unreachable",
        4: "other-release",
        5: "mixed",
        6: "log-missing",
        7: "over-budget",
        8: "command-failed",
        130: "interrupted",
    }


# Attributes and children as the JUnit schema of Jenkins (junit-10.xsd) and GitLab's docs list them.
JUNIT = {
    "testsuites": ({"name", "tests", "failures", "errors", "time"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors", "skipped", "time", "timestamp"},
        {"properties", "testcase", "system-out"},
    ),
    "properties": (set(), {"property"}),
    "property": ({"name", "value"}, set()),
    "testcase": ({"name", "classname", "time"}, {"failure", "error", "skipped"}),
    "failure": ({"message", "type"}, set()),
    "error": ({"message", "type"}, set()),
    "skipped": ({"message"}, set()),
    "system-out": (set(), set()),
}


@EVERY_VERDICT
def test_the_junit_report_is_what_ci_systems_read(problems: list[ExitCode]) -> None:
    root = ET.fromstring(rendered(outcome(*problems), "junit"))
    assert root.tag == "testsuites"
    told = {one.get("name"): one.get("value") for one in root.iter("property")}
    assert told == {"now": "v43, the last 3 answers"}
    for element in root.iter():
        attributes, children = JUNIT[element.tag]
        assert set(element.attrib) == attributes
        assert {child.tag for child in element} <= children
    suite = root.find("testsuite")
    assert suite is not None
    cases = suite.findall("testcase")
    for name, tag in {"failures": "failure", "errors": "error", "skipped": "skipped"}.items():
        assert int(suite.attrib[name]) == len(suite.findall(f"testcase/{tag}"))
    assert int(suite.attrib["tests"]) == len(cases)
    assert len({(case.attrib["classname"], case.attrib["name"]) for case in cases}) == len(cases)
    failed = suite.findall("testcase/failure") + suite.findall("testcase/error")
    assert len(failed) == len(problems) + 1  # and the refusal
    assert all(float(case.attrib["time"]) >= 0 for case in cases)


@EVERY_VERDICT
def test_the_markdown_report_shows_what_came_as_text(problems: list[ExitCode]) -> None:
    text = rendered(outcome(*problems), "markdown")
    assert "<b>" not in text
    for line in text.splitlines():
        if line.startswith("| "):
            assert len(re.findall(r"(?<!\\)\|", line)) in (3, 5)
    assert text.startswith("## ❌" if problems else "## ✅")


class Page(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        assert not {"src", "href", "onclick"} & {name for name, _ in attrs}
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@EVERY_VERDICT
def test_the_html_report_is_one_page_that_asks_nothing_of_anybody(
    problems: list[ExitCode],
) -> None:
    text = rendered(outcome(*problems), "html")
    page = Page()
    page.feed(text)
    assert page.open == []
    assert {"script", "link", "img", "b"} & set(page.seen) == {"b"}
    assert page.seen.count("b") == 1
    assert "http" not in text.replace("https://app.example", "")


@EVERY_VERDICT
def test_the_text_report_says_what_it_means_and_what_to_do(problems: list[ExitCode]) -> None:
    text = as_text.render(outcome(*problems))
    first = min(problems) if problems else ExitCode.PASSED
    assert text.startswith(first.word.upper())
    assert ("what next" in text) is bool(problems)
    assert "evidence" in text
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text
    assert "\x1b[1;3" in as_text.render(outcome(*problems), colour=True)


@pytest.mark.parametrize("form", ["text", "junit", "markdown", "html"])
def test_what_people_read_shows_the_eight_releases_that_answered_most(form: str) -> None:
    run = outcome()
    for number in range(500):
        run.tally.add(fact(release=f"flapping-{number}"))
    text = rendered(run, form)
    assert len(set(re.findall(r"flapping-\d+", text.replace("\\", "")))) == 6
    assert "v42" in text
    assert "v43" in text
    assert "494 more" in text


@pytest.mark.parametrize(
    ("instances", "told"),
    [(None, "2 of 2 in a row, 0 breaks"), (3, "4 in a row (2 needed), 1 of 3 instances, 0 breaks")],
)
def test_a_row_that_ran_on_for_the_instances_says_so(instances: int | None, told: str) -> None:
    row = Row(None, 2, instances)
    for _ in range(4 if instances else 2):
        row.add(NEW)
    run = Outcome("http://app.example", None, 0.0, Tally(None), row)
    assert f"row        {told}\n" in as_text.render(run)


@pytest.mark.parametrize("form", FORMATS)
def test_a_run_in_which_nothing_came_can_be_reported(form: str) -> None:
    nothing = Outcome("http://app.example", None, 0.0, Tally(None), Row(None, 3))
    nothing.problems.append((ExitCode.INTERRUPTED, "Interrupted by SIGTERM."))
    assert "interrupted" in rendered(nothing, form).lower()


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("a.json", "json"),
        ("a.XML", "junit"),
        ("a.md", "markdown"),
        ("a.html", "html"),
        ("a.txt", "text"),
        ("a.log", "text"),
        ("a.htm", "html"),
        ("a.b/step_summary_4711", "text"),
        ("report", "text"),
        ("tmp.XaB3kq9Lw2", "text"),
    ],
)
def test_the_files_ending_says_the_format(path: str, form: str) -> None:
    assert format_of(str(Path("/some/where", path))) == (form, not path.startswith("tmp"))


@pytest.mark.parametrize(
    "ending", ["pdf", "csv", "yaml", "yml", "xlsx", "png", "svg", "htlm", "PDF"]
)
def test_an_ending_that_stands_for_something_else_is_refused(ending: str) -> None:
    with pytest.raises(ValueError, match=r"ends in none of \.txt .*\.json .*; name the format"):
        format_of(f"report.{ending}")


def test_more_workers_than_are_kept_are_not_counted_as_if_they_were_all() -> None:
    report = outcome()
    for number in range(MOST_NAMES + 50):
        report.tally.add(fact(worker=f"random-{number}"))
    assert "  workers    more than 1,000\n" in as_text.render(report)


def test_one_failure_class_a_word_as_the_design_lists_them() -> None:
    assert [one.value for one in Failure] == [
        "dns",
        "refused",
        "reset",
        "tls",
        "timeout",
        "5xx",
        "other status",
        "wrong pong",
        "not PetSage",
    ]
