"""The timeline: its marks, spans and slices, whatever the number of pings."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from petsage.client.explain import explain
from petsage.client.reports import render
from petsage.client.reports.timeline import timeline
from petsage.client.run import Run
from tests.client.reported import command, run_of, watched
from tests.client.results import failed, old, result


def texts(run: Run) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", timeline(run))


def titles(run: Run) -> list[str]:
    return re.findall(r"<title>([^<]*)</title>", timeline(run))


@pytest.mark.parametrize("pings", [1, 2, 200, 3_000])
def test_it_is_well_formed_and_has_a_title_per_slice(pings: int) -> None:
    run = watched(pings)
    ET.fromstring(timeline(run))
    assert 1 <= len(titles(run)) <= 95
    numbers = [int(count) for one in titles(run) for count in re.findall(r"v4[23] (\d+)", one)]
    assert sum(numbers) == run.history.ok


def test_its_size_depends_on_the_picture_and_not_on_the_pings() -> None:
    few, many = (len(timeline(watched(pings, rate=pings / 60))) for pings in (3_000, 30_000))
    assert many < 4 * few
    assert many < 200_000


def test_thirty_thousand_pings_are_drawn_in_three_densities() -> None:
    drawn = timeline(watched(30_000))
    for shade in ("r0", "r1"):
        for density in ("d1", "d2", "d3"):
            assert f'class="dots {shade} {density}"' in drawn


def test_where_the_command_began_and_ended_is_marked() -> None:
    run = run_of(*[old] * 9, *[result] * 9, kind="rollout", deploy=command(0.2, 1.0, 3))
    assert {"command", "exit 3"} <= set(texts(run))
    assert timeline(run).count('class="mark"') == 2
    assert "command" not in texts(run_of(*[old] * 9, kind="rollout"))


@pytest.mark.parametrize(
    ("makes", "expected"),
    [
        ([old, result, old, result], ["both respond, 0.1 s"]),
        ([old, failed, failed, failed, result], ["nothing responds, 0.4 s"]),
        ([old, *[failed] * 40], ["nothing responds, 4.0 s"]),
        ([old, result], []),
    ],
    ids=["both", "neither", "open at the end", "at once"],
)
def test_spans_are_shaded(makes: list[object], expected: list[str]) -> None:
    run = run_of(*makes, kind="rollout")  # type: ignore[arg-type]
    assert [one for one in texts(run) if "respond," in one or "responds," in one] == expected
    assert timeline(run).count('class="band"') == len(expected)


def test_failures_are_red_crosses_and_red_shares() -> None:
    drawn = timeline(run_of(*[old] * 9, failed, *[result] * 9, kind="rollout"))
    assert 'class="failed"' in drawn
    assert 'class="share failed"' in drawn
    assert "failed: refused 1" in drawn
    clean = timeline(run_of(*[old] * 9, *[result] * 9, kind="rollout"))
    assert "failed" not in clean.replace("failed pings", "")


def test_the_expected_release_has_the_first_colour_also_where_it_never_responded() -> None:
    assert 'class="dots r0' in timeline(run_of(result, old, kind="rollout"))
    drawn = timeline(run_of(*[old] * 9, kind="rollout"))
    assert 'class="dots r0' not in drawn
    assert 'class="dots r1' in drawn


def test_a_name_of_the_service_is_text() -> None:
    run = run_of(
        lambda due_at: old(due_at=due_at, release="</title><script>&\x1b"), result, kind="rollout"
    )
    assert "<script" not in timeline(run)
    ET.fromstring(timeline(run))


def test_a_smoke_test_has_none() -> None:
    run = run_of(*[result] * 4)
    assert "<figure>" not in render(run, explain(run), "html")
