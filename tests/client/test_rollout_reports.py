"""What a rollout's reports say: the JSON members, the timeline, and the same numbers as tables."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from petsage.client.fact import Fact, Failure
from petsage.client.outcome import RolloutOutcome
from petsage.client.reports import FORMATS, rendered
from petsage.client.verdict import ExitCode
from tests.client.facts import NEW, OLD, lost
from tests.client.rollouts import LOST, START, went

HOSTILE = "<script>alert(1)</script>&\"'"


@pytest.fixture(scope="module")
def large() -> RolloutOutcome:
    return went(30_000)


def test_the_json_report_has_the_members_of_the_design() -> None:
    report = json.loads(rendered(went(600, argv=("kubectl", "apply")), "json"))
    assert list(report) == [
        *("schema", "url", "verdict", "exit_code", "expected_release", "started_at", "elapsed_s"),
        *("pings", "releases", "instances", "workers", "row", "refusals", "log", "problems"),
        *("warnings", "rate", "command", "switch", "longest_gap_s", "open_gap_s"),
        *("failures", "headline", "what_next", "now"),
    ]
    assert (report["schema"], report["rate"]) == ("petsage.rollout/1", 50.0)
    assert list(report["command"]) == ["argv", "exit_code", "started_at", "ended_at"]
    assert list(report["switch"]) == ["first_new", "last_old", "overlap_s"]
    assert list(report["failures"][0]) == ["due_at", "class", "detail"]
    assert report["started_at"] < report["switch"]["first_new"] < report["switch"]["last_old"]


def test_without_a_command_or_a_switch_their_members_are_null() -> None:
    report = json.loads(rendered(went(0), "json"))
    assert (report["command"], report["longest_gap_s"], report["failures"]) == (None, None, [])
    assert report["switch"] == {"first_new": None, "last_old": None, "overlap_s": None}


def test_the_failures_stand_in_the_order_of_their_due_times() -> None:
    dues = [one["due_at"] for one in json.loads(rendered(went(5_000), "json"))["failures"]]
    assert len(dues) > 10
    assert dues == sorted(dues)


@pytest.mark.parametrize("form", ["text", "markdown", "html"])
def test_people_are_told_of_the_switch_the_gap_and_the_command(form: str) -> None:
    report = rendered(went(600, argv=("kubectl", "apply")), form).replace("\\", "")
    told = " ".join(report.split())
    for words in ("50 pings a second", "both answered for", "between two successes"):
        assert words in told
    assert "kubectl apply: exit code 0 after 1.0 s" in told


@pytest.mark.parametrize("code", [3, 4, 5, 7, 8, 130])
@pytest.mark.parametrize("form", FORMATS)
def test_every_verdict_can_be_told_in_every_format(form: str, code: int) -> None:
    outcome = went(20, lost=0.0, argv=("deploy",))
    outcome.problems = [(ExitCode(code), "It is so.")]
    report = rendered(outcome, form).replace("\\", "")
    assert "It is so." in report
    assert (f"{ExitCode(code).word}" in report) or (ExitCode(code).word.upper() in report)


def test_junit_has_a_case_for_the_command_and_for_the_budget() -> None:
    root = ET.fromstring(rendered(went(600, argv=("deploy",)), "junit"))
    cases = {case.get("name"): [child.tag for child in case] for case in root.iter("testcase")}
    assert cases == {
        "PetSage answers": [],
        "the command succeeds": [],
        "release v43 answers": [],
        "20 answers in a row are right": [],
        "the budget is kept": ["failure"],
    }


def test_a_command_that_was_stopped_has_not_passed_in_junit_though_it_ended_with_0() -> None:
    outcome = went(600, argv=("deploy",))
    assert outcome.deploy is not None
    outcome.deploy.cut_short = True
    outcome.problems = [(ExitCode.INTERRUPTED, "Interrupted by SIGINT.")]
    root = ET.fromstring(rendered(outcome, "junit"))
    [case] = [one for one in root.iter("testcase") if one.get("name") == "the command succeeds"]
    assert [child.tag for child in case] == ["skipped"]


class Page(HTMLParser):
    """The page's tags, its outward references, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_asks_nothing_of_anybody(large: RolloutOutcome) -> None:
    page = rendered(large, "html")
    tags = Page(page).tags
    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in tags}
    assert not [attrs for _, attrs in tags if {"src", "href", "xlink:href", "onload"} & set(attrs)]
    assert "@import" not in page
    assert "url(" not in page


def test_the_page_stays_small_with_30000_pings(large: RolloutOutcome) -> None:
    assert len(rendered(large, "html").encode()) < 200_000


def test_the_heading_tells_the_page_from_those_of_other_runs() -> None:
    page = rendered(went(600), "html")
    told = "over-budget</b>: petsage rollout for v43, 2027-01-15 08:00:00 UTC"
    assert f"<b>{told}" in page
    assert f"<title>{told.replace('</b>', '')}</title>" in page


def test_a_switch_and_an_outage_after_it_have_a_line_each_for_their_words() -> None:
    outcome = went(600, lost=0.0)
    for number in range(600, 700):
        due = number / 50
        one = replace(lost(), due_at=START + due)
        outcome.record.add(one, due, "", new=False)
        outcome.record.add_in_turn(one, due, after_pause=False)
        outcome.present.add(one, "", right=False)
    outcome.elapsed_s = 14.0
    wide = rendered(outcome, "html").split('<svg class="wide"')[1].split("</svg>")[0]
    told = re.findall(r'y="(\d+)"[^>]*>((?:both answer|nobody answers), [^<]*)<', wide)
    assert [words.partition(",")[0] for _, words in told] == ["both answer", "nobody answers"]
    assert len({y for y, _ in told}) == 2


def test_a_table_that_goes_on_beyond_a_narrow_screen_shows_it_at_its_edge() -> None:
    style = rendered(went(20), "html").split("<style>")[1].split("</style>")[0]
    rule = style.split(".scrolls {")[1].split("}")[0]
    assert "overflow-x: auto" in rule
    # A cover that scrolls along over a shadow that stays: seen only where there is more.
    assert (rule.count("local"), rule.count("radial-gradient")) == (2, 2)


def failure_columns(page: str) -> dict[str, set[int]]:
    """Return, of the wide picture, the columns of the marks in the lane of each class."""
    wide = page.split('<svg class="wide"')[1].split("</svg>")[0]
    lanes = re.findall(r'<path class="failed" d="([^"]*)"/><text[^>]*><title>([^<]*)', wide)
    return {name: {int(x) + 3 for x in re.findall(r"M(-?\d+)", marks)} for marks, name in lanes}


def test_no_failure_is_hidden(large: RolloutOutcome) -> None:
    lanes = failure_columns(rendered(large, "html"))
    assert set(lanes) == {failure.value for failure in LOST}
    for point in large.record.points():
        if point.failed:
            column = round(84 + point.due_s / large.elapsed_s * (760 - 84 - 20))
            assert column in lanes[point.ending]


@pytest.mark.parametrize("failure", Failure)
def test_a_single_failure_among_many_pings_has_a_mark_in_its_lane(failure: Failure) -> None:
    outcome = went(5_000, lost=0.0)
    outcome.record.add(lost(failure), 50.0, "", new=False)
    assert len(failure_columns(rendered(outcome, "html"))[failure.value]) == 1


def test_the_tables_hold_the_same_numbers(large: RolloutOutcome) -> None:
    page = rendered(large, "html").split("<h2>Over time</h2>")[1].split("</table>")[0]
    rows = [re.findall(r"<t[hd][^>]*>([^<]*)", row) for row in page.split("<tr>")[1:]]
    heads, *body = rows
    assert heads == ["from", "v43", "v42", "failed", "median ms", "max ms"]
    for column, release in ((1, "v43"), (2, "v42")):
        total = sum(int(row[column] or 0) for row in body)
        assert total == large.tally.releases[release].count
    failed = sum(int(number) for row in body for number in re.findall(r" (\d+)(?:,|$)", row[3]))
    assert failed == sum(large.tally.failed.values())
    assert len(body) <= 21


@pytest.mark.parametrize("form", ["html", "junit"])
def test_what_strangers_say_stays_text(form: str) -> None:
    outcome = went(300, old=HOSTILE, new="v43", detail=HOSTILE, argv=("echo", HOSTILE))
    report = rendered(outcome, form)
    if form == "junit":
        ET.fromstring(report)
    else:
        assert "script" not in {tag for tag, _ in Page(report).tags}
        assert HOSTILE in Page(report).text


@pytest.mark.parametrize("form", FORMATS)
def test_whatever_the_command_is_the_report_is_whole_and_safe_to_show(form: str) -> None:
    # A script of two lines that colours a terminal, and a byte that is no UTF-8.
    argv = ("sh", "-c", "printf '\x1b[1m'\necho \udcff")
    report = rendered(went(100, argv=argv), form)
    assert report.encode()
    assert "\x1b" not in report
    if form == "junit":
        ET.fromstring(report)
    elif form == "json":
        assert json.loads(report)["command"]["argv"][2] == "printf '\x1b[1m'\necho ?"
    else:
        assert "echo ?" in report


def test_the_expected_release_is_blue_and_round_and_others_are_square() -> None:
    page = rendered(went(600), "html")
    assert ".r0 { stroke: var(--r0); stroke-linecap: round; }" in page
    assert ".r1 { stroke: var(--r1); stroke-linecap: square; }" in page
    lanes = re.findall(r'<path class="lane (r\d)"[^>]*/><text[^>]*><title>([^<]*)', page)
    assert lanes[:2] == [("r0", "v43"), ("r1", "v42")]


def between(*facts: Fact) -> RolloutOutcome:
    """Return a rollout in which these pings came between the last old answer and the new one."""
    outcome = went(0)
    for number, one in enumerate((OLD, *facts, NEW)):
        at = replace(one, due_at=START + number, latency_s=0.0)
        outcome.record.add(at, float(number), at.release or "", new=one is NEW)
    return outcome


def test_the_band_and_the_switch_are_labelled_for_what_they_are() -> None:
    assert "both answer, " in rendered(went(600, lost=0.0), "html")
    for outcome, label, told in (
        (between(lost(), lost()), ">nobody answers, 3.0 s<", "nobody for 3.00 s in between"),
        (between(), ">the switch, 1.0 s<", "v43 first answered after 1.00 s, another last"),
    ):
        page = rendered(outcome, "html")
        assert label in page
        assert told in page
        assert ("nobody" in page) is ("nobody" in label)


def test_a_commit_that_was_asked_for_is_drawn_as_the_release_that_bears_it() -> None:
    outcome = went(600)
    outcome.expected = "12e4567"
    lanes = re.findall(
        r'class="lane (r\d)"[^>]*/><text[^>]*><title>([^<]*)', rendered(outcome, "html")
    )
    assert lanes[:2] == [("r0", "v43"), ("r1", "v42")]
