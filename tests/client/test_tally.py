"""The counts of a run: what is filed where, and that no server fills the memory with names."""

from __future__ import annotations

import re

import pytest

from petsage.client.outcome import Outcome
from petsage.client.reports.summary import figures
from petsage.client.tally import MOST_NAMES, OTHERS, Tally
from petsage.client.verdict import Row
from tests.client.facts import NEW, fact


def test_names_beyond_the_first_thousand_are_counted_together() -> None:
    tally, row = Tally("v43"), Row("v43", 5)
    for number in range(MOST_NAMES + 50):
        name = f"random-{number}"
        tally.add(fact(release=name, instance=name, worker=name, mismatch=True, status=412))
    for _ in range(7):
        tally.add(NEW)
        row.add(NEW)
    assert len(tally.releases) == MOST_NAMES + 2
    assert (tally.releases[OTHERS].count, tally.releases["v43"].count) == (50, 7)
    for counts in (tally.instances, tally.workers):
        assert (len(counts), counts[OTHERS], counts.total()) == (
            MOST_NAMES + 1,
            57,
            MOST_NAMES + 57,
        )


@pytest.mark.parametrize("expected", ["v43", "0F35C1B"], ids=["by release", "by commit"])
def test_the_expected_release_keeps_its_name_among_a_thousand_others(expected: str) -> None:
    tally = Tally(expected)
    for number in range(MOST_NAMES + 50):
        tally.add(fact(release=f"random-{number}", mismatch=True, status=412))
    for _ in range(7):
        tally.add(fact(release="v43", commit="0f35c1bb6a"))
    assert (tally.releases[OTHERS].count, tally.releases["v43"].count) == (50, 7)


def test_a_thousand_names_of_the_expected_commit_fill_no_memory_either() -> None:
    tally = Tally("0f35c1b")
    for number in range(MOST_NAMES + 50):
        tally.add(fact(release=f"random-{number}", commit="0f35c1bb6a"))
    assert tally.releases[OTHERS].count == 50


def test_a_row_remembers_no_more_instances_than_were_asked_for() -> None:
    for asked in (None, 3):
        row = Row(None, 2, asked)
        for number in range(500):
            row.add(fact(instance=f"random-{number}"))
        assert len(row.instances) == (asked or 0)


def test_of_each_release_the_instances_are_counted_and_no_more_names_than_a_thousand() -> None:
    tally = Tally("v43")
    for release, instance, count in (("v42", "vm", 3), ("v43", "vm", 1), ("v43", "new1", 2)):
        for _ in range(count):
            tally.add(fact(release=release, instance=instance))
    assert tally.releases["v42"].instances == {"vm": 3}
    assert tally.releases["v43"].instances == {"vm": 1, "new1": 2}
    for number in range(4 * MOST_NAMES):
        tally.add(fact(release=f"v{number % 20}", instance=f"random-{number}"))
    kept = sum(len(one.instances) for one in tally.releases.values())
    assert kept <= MOST_NAMES + len(tally.releases)
    assert sum(one.instances.total() for one in tally.releases.values()) == tally.ok


def test_every_answer_stands_in_one_line_of_the_report() -> None:
    tally = Tally("v43")
    for number in range(30):
        tally.add(fact(release=f"v{number % 10}"))
    nameless = fact(release=None, commit=None, mismatch=True, status=412)
    for _ in range(4):
        tally.add(nameless, control=True)
    outcome = Outcome("http://app.example", "v43", 0.0, tally, Row("v43", 5))
    lines = [told for label, told in figures(outcome) if label.startswith("release")]
    counts = [int(re.split("[:,]", told)[1]) for told in lines]
    assert (len(lines), sum(counts), tally.ok) == (10, 34, 34)
