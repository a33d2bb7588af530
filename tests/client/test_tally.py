"""The counts of a run: what is filed where, and that no server fills the memory with names."""

from __future__ import annotations

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


def test_a_row_remembers_no_more_instances_than_were_asked_for() -> None:
    for asked in (None, 3):
        row = Row(None, 2, asked)
        for number in range(500):
            row.add(fact(instance=f"random-{number}"))
        assert len(row.instances) == (asked or 0)
