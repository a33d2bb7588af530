"""What `make soak` measures, in short: outcomes, not timings."""

from __future__ import annotations

import asyncio

import pytest

from bench import floods, holding_out
from bench.figures import QUIET
from bench.hostile import KINDS, held
from bench.traffic import Tally, for_seconds, get, steady
from tests.running import running_service

pytestmark = pytest.mark.alone


@pytest.mark.parametrize("kind", KINDS)
def test_every_probe_is_answered_while_hostile_connections_are_held(kind: str) -> None:
    async def scenario(port: int) -> Tally:
        async with held(port, kind, 100):
            await asyncio.sleep(0.5)
            return await steady(port, 20, for_seconds(1), get("/system/live"))

    with running_service(**QUIET) as service:
        probes = asyncio.run(scenario(service.port))
    assert set(probes.outcomes) == {"200"}


def test_uploads_that_are_too_large_are_refused_and_take_no_memory() -> None:
    (figure,) = asyncio.run(holding_out.uploads(1))
    assert figure.raw["statuses"] == [413] * 8
    assert figure.raw["peak"] - figure.raw["before"] < 40e6


def test_views_and_checks_that_block_keep_nothing_else_waiting() -> None:
    (figure,) = asyncio.run(holding_out.blocked(0.1))
    assert figure.raw["outcomes"] == ["200"]
    assert figure.raw["max"] < 2


def test_a_log_that_cannot_be_written_stops_no_request() -> None:
    for figure in asyncio.run(holding_out.dead_logs(1)):
        assert figure.reached, figure


def test_a_mix_of_requests_of_every_sort_gives_no_fault() -> None:
    (figure,) = asyncio.run(floods.mixed(0.004))
    outcomes = figure.raw["outcomes"]
    assert not [name for name in outcomes if name.startswith("5")], outcomes
    assert {"200", "400", "404", "413", "422"} <= set(outcomes)
    assert not set(outcomes) & {"timeout", "cut", "reset"}


def test_bytes_that_are_no_request_give_no_fault() -> None:
    (figure,) = asyncio.run(floods.fuzz(0.025))
    assert figure.reached, figure
